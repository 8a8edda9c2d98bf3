"""Point clouds, with sensor_msgs_py or its stand-in, whichever is installed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sensor_msgs.msg")

from sensor_msgs.msg import PointField
from std_msgs.msg import Header

from flashocc_ros.ros.fallback import point_cloud2

pytestmark = pytest.mark.ros

FIELDS = [
    PointField(name="x", offset=0, datatype=PointField.FLOAT32, count=1),
    PointField(name="y", offset=4, datatype=PointField.FLOAT32, count=1),
    PointField(name="z", offset=8, datatype=PointField.FLOAT32, count=1),
    PointField(name="class_id", offset=16, datatype=PointField.UINT8, count=1),
]
ROWS = [(1.0, 2.0, 3.0, 4), (5.0, np.nan, 7.0, 8), (9.0, 10.0, 11.0, 12)]
XYZ = np.arange(12, dtype=np.float32).reshape(4, 3)


def structured() -> np.ndarray:
    return np.array(ROWS, point_cloud2.dtype_from_fields(FIELDS, 20))


def test_rows_and_structured_arrays_make_the_same_cloud() -> None:
    rows = point_cloud2.create_cloud(Header(frame_id="base_link"), FIELDS, ROWS, 20)
    array = point_cloud2.create_cloud(Header(frame_id="base_link"), FIELDS, structured(), 20)
    for cloud in (rows, array):
        assert (cloud.header.frame_id, cloud.height, cloud.width) == ("base_link", 1, 3)
        assert (cloud.point_step, cloud.row_step, len(cloud.data)) == (20, 60, 60)
        points = point_cloud2.read_points(cloud)
        assert points.dtype.names == ("x", "y", "z", "class_id")
        np.testing.assert_array_equal(points["class_id"], [4, 8, 12])
        np.testing.assert_array_equal(points["z"], [3, 7, 11])


def test_a_plain_array() -> None:
    cloud = point_cloud2.create_cloud_xyz32(Header(), XYZ)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, ["x", "y", "z"]), XYZ)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, ["y"]), XYZ[:, 1:2])


def test_some_fields_some_points_no_nan() -> None:
    cloud = point_cloud2.create_cloud(Header(), FIELDS, ROWS, 20)
    points = point_cloud2.read_points(cloud, ["y", "class_id"], skip_nans=True)
    assert points.dtype.names == ("y", "class_id")
    np.testing.assert_array_equal(points["class_id"], [4, 12])
    np.testing.assert_array_equal(point_cloud2.read_points(cloud, uvs=[2, 0])["x"], [9, 1])


def test_a_field_of_several_values() -> None:
    fields = [PointField(name="color", offset=0, datatype=PointField.UINT8, count=3)]
    cloud = point_cloud2.create_cloud(Header(), fields, [(1, 2, 3), (4, 5, 6)])
    points = point_cloud2.read_points(cloud)
    assert points.dtype.names == ("color_0", "color_1", "color_2")
    np.testing.assert_array_equal(points["color_2"], [3, 6])


def test_an_organised_cloud_keeps_its_shape() -> None:
    organised = np.resize(structured(), (3, 2)).astype(structured().dtype)
    cloud = point_cloud2.create_cloud(Header(), FIELDS, organised, 20)
    assert (cloud.width, cloud.height) == (3, 2)
    back = point_cloud2.read_points(cloud, reshape_organized_cloud=True)
    np.testing.assert_array_equal(back["class_id"], organised["class_id"])


def test_big_endian_data_is_swapped() -> None:
    cloud = point_cloud2.create_cloud_xyz32(Header(), XYZ)
    swapped = XYZ.astype(">f4")
    cloud.is_bigendian = True
    cloud.data = type(cloud.data)("B", swapped.tobytes())
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), XYZ)


def test_named_tuples() -> None:
    cloud = point_cloud2.create_cloud(Header(), FIELDS, ROWS, 20)
    assert point_cloud2.read_points_list(cloud)[0]._asdict() == {"x": 1, "y": 2, "z": 3, "class_id": 4}


def test_an_empty_cloud() -> None:
    cloud = point_cloud2.create_cloud(Header(), FIELDS, [])
    assert cloud.width == 0
    assert len(point_cloud2.read_points(cloud)) == 0


def test_a_field_that_is_not_there_and_mixed_types_are_refused() -> None:
    cloud = point_cloud2.create_cloud(Header(), FIELDS, ROWS, 20)
    with pytest.raises(AssertionError, match="field"):
        point_cloud2.read_points(cloud, ["intensity"])
    with pytest.raises(AssertionError, match=r"[Ff]ields"):
        point_cloud2.read_points_numpy(cloud)
    with pytest.raises(AssertionError, match="fields"):
        point_cloud2.create_cloud(Header(), FIELDS, structured()[["x", "y"]], 20)
