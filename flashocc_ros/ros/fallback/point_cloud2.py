"""The part of ``sensor_msgs_py.point_cloud2`` this package and its users need, for machines without it.

Wrong arguments raise AssertionError, as there.
"""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

_DTYPES: dict[int, Any] = {
    PointField.INT8: np.int8,
    PointField.UINT8: np.uint8,
    PointField.INT16: np.int16,
    PointField.UINT16: np.uint16,
    PointField.INT32: np.int32,
    PointField.UINT32: np.uint32,
    PointField.FLOAT32: np.float32,
    PointField.FLOAT64: np.float64,
}
DUMMY_FIELD_PREFIX = "unnamed_field"


def dtype_from_fields(fields: Iterable[PointField], point_step: int | None = None) -> np.dtype:
    """Structured dtype of one point; a field with a count becomes that many, named ``name_0``, ``name_1`` ..."""
    names, formats, offsets = [], [], []
    for index, described in enumerate(fields):
        dtype = np.dtype(_DTYPES[described.datatype])
        name = described.name or f"{DUMMY_FIELD_PREFIX}_{index}"
        for part in range(described.count):
            names.append(f"{name}_{part}" if described.count > 1 else name)
            formats.append(dtype)
            offsets.append(described.offset + part * dtype.itemsize)
    layout: Any = {"names": names, "formats": formats, "offsets": offsets}
    if point_step is not None:
        layout["itemsize"] = point_step
    return np.dtype(layout)


def create_cloud(
    header: Header, fields: Sequence[PointField], points: Iterable[Any], point_step: int | None = None
) -> PointCloud2:
    """PointCloud2 of points given as a structured array, an (M, F) array or rows of F values.

    A structured array of two dimensions makes an organised cloud of shape (width, height), as in ``sensor_msgs_py``.

    Raises:
        AssertionError: the array's fields are not those described.
    """
    dtype = dtype_from_fields(fields, point_step)
    if not isinstance(points, np.ndarray):
        cloud = np.array([tuple(point) for point in points], dtype)
    elif points.dtype.names is not None:
        if points.dtype != dtype:
            raise AssertionError(f"points have the layout {points.dtype}, the fields describe {dtype}")
        cloud = points
    else:
        if len({described.datatype for described in fields}) > 1:
            raise AssertionError("fields of several types need a structured array")
        cloud = np.zeros(points.shape[:-1], dtype)
        for column, name in enumerate(dtype.names or ()):
            cloud[name] = points[..., column]
    width, height = (cloud.shape[0], 1) if cloud.ndim == 1 else cloud.shape
    message = PointCloud2(header=header, height=height, width=width, fields=list(fields), is_dense=False)
    message.is_bigendian = sys.byteorder != "little"
    message.point_step = dtype.itemsize
    message.row_step = dtype.itemsize * width
    message.data.frombytes(np.ascontiguousarray(cloud).tobytes())
    return message


def create_cloud_xyz32(header: Header, points: Iterable[Any]) -> PointCloud2:
    """PointCloud2 with float32 fields x, y, z."""
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate("xyz")
    ]
    return create_cloud(header, fields, points)


def read_points(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: npt.ArrayLike | None = None,
    reshape_organized_cloud: bool = False,
) -> npt.NDArray[Any]:
    """Structured array of the points.

    Args:
        cloud: the message.
        field_names: only these fields.
        skip_nans: leave out points with a NaN in one of the fields, unless the cloud is dense.
        uvs: only the points at these positions.
        reshape_organized_cloud: give an organised cloud as (width, height).

    Raises:
        AssertionError: a field that is not in the cloud.
    """
    dtype = dtype_from_fields(cloud.fields, cloud.point_step)
    points: npt.NDArray[Any] = np.ndarray((cloud.width * cloud.height,), dtype, buffer=cloud.data)
    if field_names is not None:
        unknown = set(field_names) - set(dtype.names or ())
        if unknown:
            raise AssertionError(
                f"the cloud has no field {', '.join(sorted(unknown))}, only {', '.join(dtype.names or ())}"
            )
        points = points[list(field_names)]
    if bool(sys.byteorder != "little") != bool(cloud.is_bigendian):
        points = points.byteswap()
    if skip_nans and not cloud.is_dense:
        keep = np.ones(len(points), bool)
        for name in points.dtype.names or ():
            keep &= ~np.isnan(points[name])
        points = points[keep]
    if uvs is not None:
        points = points[np.asarray(uvs, int)]
    if reshape_organized_cloud and cloud.height > 1:
        points = points.reshape(cloud.width, cloud.height)
    return points


def read_points_numpy(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: npt.ArrayLike | None = None,
    reshape_organized_cloud: bool = False,
) -> npt.NDArray[Any]:
    """(M, F) array of fields that have one datatype; arguments as `read_points`.

    Raises:
        AssertionError: the fields have several datatypes, or one is not in the cloud.
    """
    if len({each.datatype for each in cloud.fields if field_names is None or each.name in field_names}) > 1:
        raise AssertionError("fields of several types; use read_points")
    points = read_points(cloud, field_names, skip_nans, uvs, reshape_organized_cloud)
    return np.stack([points[name] for name in points.dtype.names or ()], axis=-1)


def read_points_list(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: npt.ArrayLike | None = None,
) -> list[Any]:
    """The points as a list of named tuples; arguments as `read_points`."""
    points = read_points(cloud, field_names, skip_nans, uvs)
    point = namedtuple("Point", points.dtype.names or ())  # type: ignore[misc]
    return [point._make(values) for values in points]
