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

"""Frames of a recording or a folder of pictures, whichever a path holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flashocc_ros.bags.camera_sets import Frames, read_sets
from flashocc_ros.bags.files import is_recording
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.data.folder import ImageFolder
from flashocc_ros.errors import ConfigError
from flashocc_ros.remote import Location

CALIBRATION_FILE = "calibration.yaml"


def has_calibration(path: Path) -> bool:
    """Whether a folder holds pictures as ``data.folder`` describes it, or several such folders."""
    return (path / CALIBRATION_FILE).is_file() or any(path.glob(f"*/{CALIBRATION_FILE}"))


def read_frames(
    path: Location,
    frames: Frames = Frames(),  # noqa: B008 - frozen
    fisheye: Fisheye | None = None,
) -> Iterator[CameraSet]:
    """Camera sets of a rosbag2, of a folder as ``data.folder`` describes it, or of several such folders in one.

    Args:
        fisheye: what becomes of wide lenses, see `cameras.rectify`; None: what a folder's calibration says, else
            rectify.

    Raises:
        ConfigError: the path holds neither.
        BagError, InputError: a recording or a folder is damaged.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist; give a rosbag2 or a folder with {CALIBRATION_FILE} and pictures")
    if isinstance(path, Path) and has_calibration(path):
        single = (path / CALIBRATION_FILE).is_file()
        for folder in [path] if single else sorted(file.parent for file in path.glob(f"*/{CALIBRATION_FILE}")):
            yield from ImageFolder(folder, fisheye=fisheye)
    elif not path.is_dir() or is_recording(path):
        yield from read_sets(path, frames=frames, fisheye=fisheye or "rectify")
    else:
        raise ConfigError(
            f"{path} is no rosbag2 (no .mcap or .db3 file) and holds no {CALIBRATION_FILE}; pictures need their "
            "calibration"
        )


def first_frame(
    path: Location,
    frames: Frames = Frames(),  # noqa: B008 - frozen
    fisheye: Fisheye | None = None,
) -> CameraSet:
    """The first frame of ``read_frames``.

    Raises:
        ConfigError: there is none.
    """
    for frame in read_frames(path, frames, fisheye):
        return frame
    raise ConfigError(f"{path} holds no complete frame; record at least one picture of every camera")


def check_cameras(frame: CameraSet, path: Location, cameras: int) -> None:
    """Refuse frames of a vehicle with another number of cameras.

    Raises:
        ConfigError: there are more or fewer than ``cameras``.
    """
    if frame.rig.num_cameras != cameras:
        raise ConfigError(
            f"{path} is of a rig with {frame.rig.num_cameras} cameras, the engine is for {cameras}: calibrate on a "
            f"recording of the vehicle itself, or give --cameras {frame.rig.num_cameras}"
        )
