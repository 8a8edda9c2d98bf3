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

"""Pictures and lidar points that the tables of nuScenes name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from flashocc_ros.errors import ImageError, InputError

_POINT_VALUES = 5
"""float32 per point: x, y, z, intensity, ring."""


def read_picture(path: Path) -> Image.Image:
    """A picture as RGB, decoded.

    Raises:
        ImageError: the file is missing, damaged or no picture.
    """
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(f"cannot read picture {path}: {_reason(error)}; unpack samples/ again") from error


def read_points(path: Path) -> npt.NDArray[np.float64]:
    """(P, 3) metres, frame of the lidar.

    Raises:
        InputError: the file is missing, cut short or holds a value that is not finite.
    """
    return read_lidar(path)[:, :3].astype(np.float64)


def read_lidar(path: Path) -> npt.NDArray[np.float32]:
    """(P, 5) x, y, z in metres in the frame of the lidar, intensity, ring.

    Raises:
        InputError: as ``read_points``.
    """
    try:
        values = np.fromfile(path, np.float32)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read lidar points {path}: {_reason(error)}; unpack samples/ again") from error
    if values.size == 0 or values.size % _POINT_VALUES:
        raise InputError(
            f"lidar points {path} are {values.size} numbers, needs {_POINT_VALUES} per point; unpack samples/ again"
        )
    points = values.reshape(-1, _POINT_VALUES)
    if not np.isfinite(points[:, :3]).all():
        raise InputError(f"lidar points {path} hold a value that is not finite; unpack samples/ again")
    return points


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())
