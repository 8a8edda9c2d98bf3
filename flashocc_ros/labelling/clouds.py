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

"""What drivers of lidars put into a ``PointCloud2``: coordinates, times in any spelling and unit, classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.errors import InputError

MAX_POINTS = 2_000_000
"""Of one cloud; of a larger one every n-th point counts."""
TIME_FIELDS = ("t", "time", "timestamp", "time_stamp", "offset_time", "time_offset", "timeoffset", "stamp", "ts")
UNKNOWN_CLASS = 255
_DATATYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
_UNITS_S = (1.0, 1e-3, 1e-6, 1e-9)
_SWEEP_S = (0.002, 0.6)
"""A sweep takes this long; factors of 1000 between units leave one that fits."""
_ABSOLUTE_S = 1e6
_NEAR_HEADER_S = 2.0
_NOTHING_M = 0.05
"""A point this close to the lidar is how some drivers say that there was no return."""


@dataclass(frozen=True, eq=False)
class Cloud:
    """M points of one message, or of each ray of H x W where the message is organised.

    Attributes:
        points: (M, 3) float32 metres, frame of the lidar; NaN without return.
        times_s: (M,) float64 seconds after the header stamp, or None where the driver gives none.
        classes: (M,) uint8 class ids, 255 unknown, or None.
        shape: (H, W) of an organised cloud, whose M = H W rays are in this order; None otherwise.
        remark: what its times look like that cannot be used; empty when there is nothing to say.
    """

    points: npt.NDArray[np.float32]
    times_s: npt.NDArray[np.float64] | None
    classes: npt.NDArray[np.uint8] | None
    shape: tuple[int, int] | None
    remark: str = ""


def read_cloud(message: Any, stamp_ns: int, class_field: str = "") -> Cloud:
    """Points of a PointCloud2.

    Args:
        message: of rosbags or of ROS.
        stamp_ns: its header stamp.
        class_field: field with the class of each point; empty for none.

    Raises:
        InputError: the message does not hold what it announces, lacks x, y, z or the class field, or
            a class is no uint8.
    """
    rows = structured(message)
    names = rows.dtype.names or ()
    missing = [name for name in ("x", "y", "z", *([class_field] if class_field else ())) if name not in names]
    if missing:
        raise InputError(
            f"a cloud has no field {', '.join(missing)}, only {', '.join(names)}; name another topic or field"
        )
    shape = (rows.shape[0], rows.shape[1]) if min(rows.shape) > 1 else None
    flat, remark = rows.ravel(), ""
    if flat.size > MAX_POINTS:
        every = -(-flat.size // MAX_POINTS)
        remark = f"clouds of {flat.size} points, limit {MAX_POINTS}: every {every}th point counts"
        flat, shape = flat[::every], None
    points = np.stack([flat[name].astype(np.float32) for name in "xyz"], 1)
    gone = np.asarray(~np.isfinite(points).all(1) | (np.abs(points) < _NOTHING_M).all(1))
    points[gone] = np.nan
    if shape is None:
        flat, points, gone = flat[~gone], points[~gone], gone[~gone]
    times, why = _times(flat, names, stamp_ns)
    classes = None
    if class_field:
        values = flat[class_field]
        wrong = values[~gone & ((values < 0) | (values > UNKNOWN_CLASS))]
        if wrong.size:
            raise InputError(
                f"a point has class {wrong[0]:g} in {class_field}, limit 0 to {UNKNOWN_CLASS}; record classes in that "
                f"range, {UNKNOWN_CLASS} for none"
            )
        classes = np.where(~gone & np.isfinite(values), values, UNKNOWN_CLASS).astype(np.uint8)
    return Cloud(points, times, classes, shape, remark or why)


def structured(message: Any) -> npt.NDArray[np.void]:
    """(height, width) structured array over the bytes of a PointCloud2; a field of several values is an array.

    Raises:
        InputError: fields or sizes do not fit the data.
    """
    order = ">" if message.is_bigendian else "<"
    try:
        layout: Any = {
            "names": [field.name for field in message.fields],
            "formats": [
                order + _DATATYPES[field.datatype]
                if field.count <= 1
                else (order + _DATATYPES[field.datatype], field.count)
                for field in message.fields
            ],
            "offsets": [field.offset for field in message.fields],
            "itemsize": message.point_step,
        }
        dtype = np.dtype(layout)
        height, width = int(message.height), int(message.width)
        step = int(message.row_step) or width * dtype.itemsize
        data = np.frombuffer(memoryview(message.data).cast("B"), np.uint8)
        if width * dtype.itemsize > step or height * step > data.size:
            raise ValueError(f"{height} x {width} points of {dtype.itemsize} bytes, but {data.size} bytes of data")
        return np.ndarray((height, width), dtype, data, strides=(step, dtype.itemsize))
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"a PointCloud2 does not hold what it announces ({error}); record it again") from error


def _times(flat: npt.NDArray[np.void], names: tuple[str, ...], stamp_ns: int) -> tuple[Any, str]:
    """Seconds after the header stamp and an empty text, or None and why."""
    found = next((name for wanted in TIME_FIELDS for name in names if name.lower() == wanted), None)
    if found is None:
        return None, f"clouds without a time per point (fields {', '.join(names)}): sweeps are not de-skewed"
    values = flat[found]
    if values.size == 0:
        return None, ""
    # Whole numbers are subtracted before they become floats: nanoseconds since 1970 have more digits than a float64.
    known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if known.size == 0:
        return None, f"times of points in {found} are not finite: sweeps are not de-skewed"
    first = known.min()
    offsets = (values - first).astype(np.float64)
    span = float(np.nanmax(offsets))
    unit = next((u for u in _UNITS_S if _SWEEP_S[0] <= span * u <= _SWEEP_S[1]), None)
    if unit is None:
        return None, (
            f"times of points in {found} span {span:g}, in no unit {_SWEEP_S[0]:g} to {_SWEEP_S[1]:g} s: "
            "sweeps are not de-skewed"
        )
    start_s = float(first) * unit
    if abs(start_s) > _ABSOLUTE_S:
        start_s = (int(first) * round(unit * 1e9) - stamp_ns) / 1e9 if unit == 1e-9 else start_s - stamp_ns / 1e9
    remark = ""
    if abs(start_s) > _NEAR_HEADER_S:
        remark = (
            f"times of points in {found} begin {start_s:g} s after the header stamp, another clock: the sweep is taken "
            "to begin at its header stamp"
        )
        start_s = 0.0
    return np.nan_to_num(offsets * unit) + start_s, remark
