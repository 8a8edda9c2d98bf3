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

"""A camera rig out of what a calibration is kept in: ``CameraRig.from_yaml`` and ``CameraRig.from_camera_info``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flashocc_ros.camera_model import PINHOLE
from flashocc_ros.cameras.calibration_file import read_calibration
from flashocc_ros.cameras.rectify import Calibration, Fisheye, Rectifier, is_flat
from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.structures import CameraRig

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo

Float64 = npt.NDArray[np.float64]


def rig_from_yaml(path: str | Path) -> CameraRig:
    """The rig of ``calibration.yaml`` as `calibration_file` describes it, for pictures of the size written there.

    Raises:
        ConfigError: it cannot be read, or holds something else.
        InputError: a camera has distortion and is not lifted along its rays (``fisheye: rays``).
    """
    if not isinstance(path, str | Path):
        raise ConfigError(f"calibration is {path!r:.60}, needs a path")
    written = read_calibration(Path(path))
    cameras, models = written.cameras, []
    for name, camera in cameras.items():
        rectifier = Rectifier(name, fisheye=written.fisheye)
        rectifier.update(camera.lens())
        models.append(rectifier.model)
        if rectifier.model == PINHOLE:
            remedy = "take sets from flashocc_ros.data.frames.read_frames, which undistorts them"
            _check_flat(name, camera.lens(), remedy)
    return CameraRig(
        tuple(cameras),
        np.array([camera.K for camera in cameras.values()]),
        np.stack([camera.T_base_cam.matrix() for camera in cameras.values()]),
        models,
    )


def rig_from_camera_info(
    messages: Sequence[CameraInfo],
    base_from_camera: npt.ArrayLike,
    names: Sequence[str] | None,
    rectified: bool,
    fisheye: Fisheye,
) -> CameraRig:
    """The rig of N ``CameraInfo`` messages, of rclpy or of a recording, for images as the cameras publish them.

    Raises:
        ConfigError: ``fisheye`` is none of its values.
        InputError: a calibration cannot be used, or has distortion and the images are not rectified.
    """
    if names is None:
        names = [info.header.frame_id for info in messages]
    if len(names) != len(messages):
        raise InputError(f"{len(names)} names for {len(messages)} messages; give one for each")
    matrices, models = [], []
    for name, info in zip(names, messages, strict=True):
        rectifier = Rectifier(name, rectified, fisheye=fisheye)
        rectifier.update(info)
        models.append(rectifier.model)
        if not rectified and rectifier.model == PINHOLE:
            remedy = "rectified=True is for image_rect; undistort others with flashocc_ros.cameras.rectify.Rectifier"
            _check_flat(name, info, remedy)
        matrices.append(rectifier.prepare(rectifier.image_size)[0])
    return CameraRig(names, np.array(matrices), np.asarray(base_from_camera), models)


def _check_flat(name: str, info: Calibration, remedy: str) -> None:
    if not is_flat(info):
        raise InputError(
            f"camera {name}: its calibration has distortion ({info.distortion_model}), and a CameraRig is for pictures "
            f"without: {remedy}"
        )
