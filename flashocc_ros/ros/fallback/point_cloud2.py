"""The part of ``sensor_msgs_py.point_cloud2`` this package and its users need, for machines without it."""

from __future__ import annotations

import sys
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
    header: Header,
    fields: Iterable[PointField],
    points: Iterable[Any],
    step: int | None = None,
    point_step: int | None = None,
) -> PointCloud2:
    """PointCloud2 of points given as a structured array, an (M, F) array or rows of F values."""
    fields = list(fields)
    dtype = dtype_from_fields(fields, point_step=point_step)
    if isinstance(points, np.ndarray) and points.dtype.names is not None:
        cloud = points if points.dtype == dtype else _repack(points, dtype)
    elif isinstance(points, np.ndarray):
        cloud = np.zeros(points.shape[:-1], dtype)
        for column, name in enumerate(dtype.names or ()):
            cloud[name] = points[..., column]
    else:
        cloud = np.array([tuple(point) for point in points], dtype)
    height, width = (1, len(cloud)) if cloud.ndim <= 1 else cloud.shape
    message = PointCloud2(header=header, height=height, width=width, fields=fields, is_dense=False)
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
        skip_nans: leave out points with a NaN in one of the fields.
        uvs: only the points of these indices, or (column, row) pairs of an organised cloud.
        reshape_organized_cloud: give an organised cloud as (width, height).
    """
    dtype = dtype_from_fields(cloud.fields, point_step=cloud.point_step)
    points: npt.NDArray[Any] = np.ndarray((cloud.width * cloud.height,), dtype, buffer=cloud.data)
    if field_names is not None:
        if not set(field_names) <= set(dtype.names or ()):
            raise ValueError("Requests field is not in the fields of the PointCloud!")
        points = points[list(field_names)]
    if bool(sys.byteorder != "little") != bool(cloud.is_bigendian):
        points = points.byteswap()
    if skip_nans:
        keep = np.ones(len(points), bool)
        for name in points.dtype.names or ():
            keep &= ~np.isnan(points[name])
        points = points[keep]
    if uvs is not None:
        indices = np.asarray(uvs)
        points = points[indices if indices.ndim == 1 else indices[:, 0] + indices[:, 1] * cloud.width]
    if reshape_organized_cloud and cloud.height > 1:
        points = points.reshape(cloud.width, cloud.height)
    return points


def read_points_numpy(
    cloud: PointCloud2, field_names: Sequence[str] | None = None, skip_nans: bool = False
) -> npt.NDArray[Any]:
    """(M, F) array of fields that have one datatype."""
    if len({described.datatype for described in cloud.fields if not field_names or described.name in field_names}) > 1:
        raise ValueError("All fields need to have the same datatype. Use `read_points()` otherwise.")
    points = read_points(cloud, field_names, skip_nans)
    return np.stack([points[name] for name in points.dtype.names or ()], axis=-1)


def _repack(points: npt.NDArray[Any], dtype: np.dtype) -> npt.NDArray[Any]:
    if points.dtype.names != dtype.names:
        raise ValueError(f"points have fields {points.dtype.names}, the cloud {dtype.names}")
    packed = np.zeros(points.shape, dtype)
    for name in dtype.names or ():
        packed[name] = points[name]
    return packed
