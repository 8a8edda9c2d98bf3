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

"""Calibration files of KITTI: ``calib_cam_to_cam.txt`` of its recordings, ``calib.txt`` of its benchmarks.

A camera's projection P (3, 4) takes points in the rectified frame of camera 0 to pixels of the rectified pictures, so
its first three columns are K and its centre is ``-K^-1 p``, p the fourth column (Geiger et al., *Vision meets
Robotics*, 2013). The files do not say where the ground is; that paper puts all cameras 1.65 m above it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.rectify import Lens
from flashocc_ros.data.rig_files import FORWARD, Rig, RigCamera
from flashocc_ros.errors import InputError
from flashocc_ros.regular_file import regular_size
from flashocc_ros.structures import why_no_intrinsic

CAMERA_HEIGHT_M = 1.65
COLOUR = ("2", "3")
"""The colour cameras; 0 and 1 are grey."""
MAX_BYTES = 1 << 20
_PROJECTION = re.compile(r"P(?:_rect_0)?([0-9])")


def is_kitti(path: Path) -> bool:
    """Whether a file is such a calibration."""
    if not path.is_file() or regular_size(path) > MAX_BYTES:
        return False
    return any(_PROJECTION.fullmatch(key) for key in _lines(path))


def kitti_rig(path: Path, wanted: Sequence[str] = ()) -> Rig:
    """The colour cameras, or all when ``wanted`` names others.

    Raises:
        InputError: a line holds something else than it should.
    """
    lines, found = _lines(path), {}
    for key, text in lines.items():
        if (match := _PROJECTION.fullmatch(key)) is None:
            continue
        projection = np.reshape(_numbers(path, key, text, 12), (3, 4))
        matrix = projection[:, :3]
        if why := why_no_intrinsic(matrix):
            raise InputError(f"{path}: {key}: {why}; unpack the calibration again")
        placed = np.eye(4)
        placed[:3, :3] = FORWARD
        placed[:3, 3] = FORWARD @ -np.linalg.solve(matrix, projection[:, 3]) + (0, 0, CAMERA_HEIGHT_M)
        width, height = 0, 0
        if (size := lines.get(key.replace("P_rect", "S_rect"))) is not None and "rect" in key:
            width, height = map(int, _numbers(path, key.replace("P_rect", "S_rect"), size, 2))
        name = f"image_0{match[1]}" if "rect" in key else f"image_{match[1]}"
        found[match[1]] = RigCamera(name, Lens(matrix.tolist()), placed, width, height)
    colour = {number: camera for number, camera in found.items() if number in COLOUR}
    chosen = colour if colour and not wanted else found
    remarks = (
        "For its rectified pictures. Assumed, as the file does not tell: base_link is on the ground below camera 0, "
        f"{CAMERA_HEIGHT_M} m under it, and camera 0 is level.",
        f"Cameras there: {', '.join(camera.name for camera in found.values())}; --cameras chooses.",
    )
    return Rig(tuple(chosen.values()), f"{path.name} of KITTI", remarks)


def _lines(path: Path) -> dict[str, str]:
    """Texts behind ``key:``, by key."""
    pairs = (line.partition(":") for line in path.read_text("utf-8", "replace").splitlines())
    return {key.strip(): text for key, colon, text in pairs if colon}


def _numbers(path: Path, key: str, text: str, count: int) -> npt.NDArray[np.float64]:
    try:
        values = np.array(text.split(), np.float64)
    except ValueError:
        values = np.empty(0)
    if len(values) != count or not np.isfinite(values).all():
        raise InputError(f"{path}: {key} is {text.strip()!r:.80}, needs {count} numbers; unpack the calibration again")
    return values
