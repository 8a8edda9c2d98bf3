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

"""Camera rigs of the synthetic world: six nuScenes-like cameras by default, any other from YAML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from flashocc_ros import bounded_yaml
from flashocc_ros.camera_model import CameraModel
from flashocc_ros.cameras.rectify import model_of
from flashocc_ros.errors import ConfigError
from flashocc_ros.structures import CameraRig

MAX_BYTES = 1 << 20
"""Of a rig file."""
SOURCE_SIZE = (900, 1600)
"""Height, width in pixels of the pictures that the default intrinsics belong to."""

# name, yaw of the optical axis (degrees, left positive), focal length (px at 1600x900), mounting (x, y, z) in metres,
# shutter delay after the first camera in milliseconds (the order in which a spinning lidar passes the cameras).
_NUSCENES_LIKE = (
    ("CAM_FRONT_LEFT", 55.0, 1270.0, (1.52, 0.49, 1.51), 0.0),
    ("CAM_FRONT", 0.0, 1266.0, (1.70, 0.02, 1.51), 7.6),
    ("CAM_FRONT_RIGHT", -55.0, 1261.0, (1.55, -0.49, 1.50), 15.5),
    ("CAM_BACK_LEFT", 109.0, 1257.0, (1.04, 0.48, 1.59), 42.5),
    ("CAM_BACK", 180.0, 809.0, (0.03, 0.0, 1.58), 32.7),
    ("CAM_BACK_RIGHT", -110.0, 1260.0, (1.03, -0.48, 1.57), 22.6),
)
# A shuttle's: bumpers and mirrors, looking down a little. Name, yaw and pitch of the optical axis (degrees, left and
# down positive), mounting (x, y, z) in metres.
_SURROUND = (
    ("CAM_FRONT", 0.0, 12.0, (3.70, 0.0, 1.00)),
    ("CAM_LEFT", 90.0, 12.0, (1.90, 1.00, 1.15)),
    ("CAM_BACK", 180.0, 12.0, (-0.90, 0.0, 1.10)),
    ("CAM_RIGHT", -90.0, 12.0, (1.90, -1.00, 1.15)),
)
SURROUND_SIZE = (800, 1600)
SURROUND_DEG = 190.0
_BASE_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True, eq=False)
class SyntheticRig:
    """Cameras with the size of their pictures and the delays of their shutters.

    Attributes:
        cameras: names, intrinsics for ``image_size`` and mounting.
        image_size: (height, width) in pixels, one for all cameras.
        delays_s: (N,) seconds after the frame's stamp at which each shutter opens; the first is the key stamp.
    """

    cameras: CameraRig
    image_size: tuple[int, int]
    delays_s: npt.NDArray[np.float64]

    def resized(self, image_size: tuple[int, int]) -> SyntheticRig:
        """The same rig with pictures of ``image_size`` (height, width) and intrinsics to match."""
        scale = np.diag([image_size[1] / self.image_size[1], image_size[0] / self.image_size[0], 1.0])
        cameras = replace(self.cameras, intrinsics=scale @ self.cameras.intrinsics)
        return SyntheticRig(cameras, image_size, self.delays_s)

    def cropped(self, top_px: int) -> SyntheticRig:
        """The same rig whose pictures lack their upper ``top_px`` rows."""
        shift = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -top_px], [0.0, 0.0, 1.0]])
        cameras = replace(self.cameras, intrinsics=shift @ self.cameras.intrinsics)
        return SyntheticRig(cameras, (self.image_size[0] - top_px, self.image_size[1]), self.delays_s)


def nuscenes_like_rig() -> SyntheticRig:
    """Six cameras, 70 degrees wide (90 at the back), 1600x900, in the package's camera order."""
    names, intrinsics, poses, delays = [], [], [], []
    for name, yaw_deg, focal_px, mounting, delay_ms in _NUSCENES_LIKE:
        names.append(name)
        intrinsics.append([[focal_px, 0.0, 812.0], [0.0, focal_px, 488.0], [0.0, 0.0, 1.0]])
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("z", yaw_deg, degrees=True).as_matrix() @ _BASE_FROM_OPTICAL
        pose[:3, 3] = mounting
        poses.append(pose)
        delays.append(delay_ms / 1000)
    return SyntheticRig(CameraRig(names, np.array(intrinsics), np.array(poses)), SOURCE_SIZE, np.array(delays))


def surround_rig(field_of_view_deg: float = SURROUND_DEG) -> SyntheticRig:
    """Four equidistant fisheyes around the vehicle, 1600x800, so wide horizontally, all fired at once."""
    height, width = SURROUND_SIZE
    focal_px = width / np.deg2rad(field_of_view_deg)
    names, poses = [], []
    for name, yaw_deg, pitch_deg, mounting in _SURROUND:
        names.append(name)
        pose = np.eye(4)
        turn = Rotation.from_euler("ZY", (yaw_deg, pitch_deg), degrees=True)
        pose[:3, :3] = turn.as_matrix() @ _BASE_FROM_OPTICAL
        pose[:3, 3] = mounting
        poses.append(pose)
    intrinsic = np.array([[focal_px, 0.0, width / 2], [0.0, focal_px, height / 2], [0.0, 0.0, 1.0]])
    models = (CameraModel("equidistant", (0.0, 0.0, 0.0, 0.0)),) * len(names)
    cameras = CameraRig(names, np.tile(intrinsic, (len(names), 1, 1)), np.array(poses), models)
    return SyntheticRig(cameras, SURROUND_SIZE, np.zeros(len(names)))


def load_rig(path: Path) -> SyntheticRig:
    """Read a rig from YAML.

    The file holds ``image_size: [width, height]`` and ``cameras``, a list of ``name``, ``k`` (3x3, pixels),
    ``translation_m`` [x, y, z], ``rotation_xyzw`` (optical frame to base_link) and optionally ``delay_s``, and for a
    lens ``distortion_model`` and ``d`` as in a CameraInfo: pictures are drawn through it.

    Raises:
        ConfigError: the file cannot be read or lacks a key.
    """
    try:
        content = bounded_yaml.read(path, MAX_BYTES)
        width, height = (int(v) for v in content["image_size"])
        cameras = content["cameras"]
        names = [str(camera["name"]) for camera in cameras]
        intrinsics = np.array([camera["k"] for camera in cameras], np.float64).reshape(-1, 3, 3)
        poses = np.tile(np.eye(4), (len(cameras), 1, 1))
        for pose, camera in zip(poses, cameras, strict=True):
            pose[:3, :3] = Rotation.from_quat(camera["rotation_xyzw"]).as_matrix()
            pose[:3, 3] = camera["translation_m"]
        delays = np.array([float(camera.get("delay_s", 0.0)) for camera in cameras])
        models = [model_of(str(c.get("distortion_model", "plumb_bob")), c.get("d", ())) for c in cameras]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"rig file {path} cannot be used ({type(error).__name__}: {error}); it needs image_size [width, height] "
            "and cameras, each with name, k, translation_m and rotation_xyzw"
        ) from error
    if not 16 <= width <= 8192 or not 16 <= height <= 8192:
        raise ConfigError(f"rig file {path}: image_size {width}x{height} must lie within 16 and 8192 pixels")
    if (delays < 0).any() or (delays > 0.1).any():
        raise ConfigError(f"rig file {path}: delay_s must lie within 0 and 0.1 s, got {delays.tolist()}")
    return SyntheticRig(CameraRig(names, intrinsics, poses, models), (height, width), delays)
