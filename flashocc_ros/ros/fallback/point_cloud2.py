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

"""The part of ``sensor_msgs_py.point_cloud2`` that is used, for machines without it.

Wrong arguments raise AssertionError, as there.
"""

from __future__ import annotations

import sys
from array import array
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


def dtype_from_fields(fields: Iterable[PointField], point_step: int | None = None) -> np.dtype:
    """Structured dtype of one point; a field with a count becomes that many, named ``name_0``, ``name_1`` ..."""
    names, formats, offsets = [], [], []
    for described in fields:
        dtype = np.dtype(_DTYPES[described.datatype])
        for part in range(described.count):
            names.append(f"{described.name}_{part}" if described.count > 1 else described.name)
            formats.append(dtype)
            offsets.append(described.offset + part * dtype.itemsize)
    layout: Any = {"names": names, "formats": formats, "offsets": offsets}
    if point_step is not None:
        layout["itemsize"] = point_step
    return np.dtype(layout)


def create_cloud(header: Header, fields: Sequence[PointField], points: npt.NDArray[np.void]) -> PointCloud2:
    """PointCloud2 of a structured array (M,).

    Raises:
        AssertionError: the array's fields are not those described.
    """
    dtype = dtype_from_fields(fields)
    if points.dtype != dtype:
        raise AssertionError(f"points have the layout {points.dtype}, the fields describe {dtype}")
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=list(fields),
        is_bigendian=sys.byteorder != "little",
        point_step=dtype.itemsize,
        row_step=dtype.itemsize * len(points),
        data=array("B", points.tobytes()),
        is_dense=False,
    )


def read_points(
    cloud: PointCloud2, field_names: Sequence[str] | None = None, skip_nans: bool = False
) -> npt.NDArray[np.void]:
    """Structured array (M,) of the points.

    Args:
        cloud: the message.
        field_names: only these fields.
        skip_nans: leave out points with a NaN in one of the fields, unless the cloud is dense.

    Raises:
        AssertionError: a field that is not in the cloud.
    """
    dtype = dtype_from_fields(cloud.fields, cloud.point_step)
    points: npt.NDArray[Any] = np.ndarray((cloud.width * cloud.height,), dtype, buffer=cloud.data)
    known = dtype.names or ()
    if unknown := set(field_names or ()) - set(known):
        raise AssertionError(f"the cloud has no field {', '.join(sorted(unknown))}, only {', '.join(known)}")
    if field_names is not None:
        points = points[list(field_names)]
    if bool(sys.byteorder != "little") != bool(cloud.is_bigendian):
        points = points.byteswap()
    if skip_nans and not cloud.is_dense:
        keep = np.ones(len(points), bool)
        for name in points.dtype.names or ():
            keep &= ~np.isnan(points[name])
        points = points[keep]
    return points
