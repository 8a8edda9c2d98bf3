# Copyright 2026 flashocc_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Point clouds, with sensor_msgs_py or its stand-in, whichever is installed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sensor_msgs.msg")

from sensor_msgs.msg import PointCloud2, PointField
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


def structured() -> np.ndarray:
    return np.array(ROWS, point_cloud2.dtype_from_fields(FIELDS))


def test_a_structured_array_comes_back() -> None:
    cloud = point_cloud2.create_cloud(Header(frame_id="base_link"), FIELDS, structured())
    assert (cloud.header.frame_id, cloud.height, cloud.width) == ("base_link", 1, 3)
    assert (cloud.point_step, cloud.row_step, len(cloud.data)) == (17, 51, 51)
    points = point_cloud2.read_points(cloud)
    assert points.dtype.names == ("x", "y", "z", "class_id")
    np.testing.assert_array_equal(points["class_id"], [4, 8, 12])
    np.testing.assert_array_equal(points["z"], [3, 7, 11])


def test_some_fields_no_nan() -> None:
    cloud = point_cloud2.create_cloud(Header(), FIELDS, structured())
    points = point_cloud2.read_points(cloud, ["y", "class_id"], skip_nans=True)
    assert points.dtype.names == ("y", "class_id")
    np.testing.assert_array_equal(points["class_id"], [4, 12])


def test_points_with_room_behind_them() -> None:
    fields = [PointField(name="color", offset=0, datatype=PointField.UINT8, count=3)]
    cloud = PointCloud2(fields=fields, height=1, width=2, point_step=4, row_step=8, data=[1, 2, 3, 0, 4, 5, 6, 0])
    points = point_cloud2.read_points(cloud)
    assert points.dtype.names == ("color_0", "color_1", "color_2")
    np.testing.assert_array_equal(points["color_2"], [3, 6])


def test_an_organised_cloud_is_read_row_by_row() -> None:
    cloud = point_cloud2.create_cloud(Header(), FIELDS, np.repeat(structured(), 2))
    cloud.width, cloud.height, cloud.row_step = 3, 2, 51
    np.testing.assert_array_equal(point_cloud2.read_points(cloud)["class_id"], [4, 4, 8, 8, 12, 12])


def test_big_endian_data_is_swapped() -> None:
    cloud = point_cloud2.create_cloud(Header(), FIELDS, structured())
    cloud.data = type(cloud.data)("B", structured().byteswap().tobytes())
    cloud.is_bigendian = True
    np.testing.assert_array_equal(point_cloud2.read_points(cloud)["x"], [1, 5, 9])


def test_a_field_that_is_not_there_and_another_layout_are_refused() -> None:
    cloud = point_cloud2.create_cloud(Header(), FIELDS, structured())
    with pytest.raises(AssertionError, match="field"):
        point_cloud2.read_points(cloud, ["intensity"])
    with pytest.raises(AssertionError, match="fields"):
        point_cloud2.create_cloud(Header(), FIELDS, structured()[["x", "y"]])
