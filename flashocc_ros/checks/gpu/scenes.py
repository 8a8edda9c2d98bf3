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

"""Camera sets to look at: the real frame of the specification where it is there, else noise seen by a nominal rig."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.nominal_rig import SOURCE_HW, nominal_rig
from flashocc_ros.checks.gpu.setting import Setting
from flashocc_ros.structures import CameraRig
from flashocc_ros.variants import get_variant

CAMERAS = ("FRONT_LEFT", "FRONT", "FRONT_RIGHT", "BACK_LEFT", "BACK", "BACK_RIGHT")
"""In the order of the golden files."""
GOLDEN = "flashocc-r50-M0"
STEP_NS = 500_000_000
SHUTTERS_S = 0.045
"""From the first to the last camera of a nuScenes vehicle."""
SPEED_MPS, TURN_RADPS = 8.0, 0.15

Pixels = npt.NDArray[np.uint8]


def still(setting: Setting) -> CameraSet:
    """One set of six JPEG files, the vehicle standing."""
    jpegs, rig = _files(setting.shared)
    return CameraSet(list(jpegs), rig, np.tile(np.eye(4), (rig.num_cameras, 1, 1)), STEP_NS)


def what(setting: Setting) -> str:
    """What ``still`` shows, for the report."""
    return "a real frame" if _real(setting.shared) else "noise"


Shown = Literal["moved", "same", "jpeg"]


def drive(setting: Setting, frames: int, shown: Shown = "moved", *, moving: bool = True) -> list[CameraSet]:
    """Sets half a second apart of a vehicle in a bend, each camera at its own time.

    Args:
        frames: how many.
        shown: the pictures of ``still``, "moved" sideways from set to set so that they differ, all the "same", or the
            "jpeg" files.
        moving: False leaves the vehicle where it is.
    """
    first = still(setting)
    pictures = [] if shown == "jpeg" else first.pictures
    cameras = first.rig.num_cameras
    sets = []
    for index in range(frames):
        stamp_ns = (index + 1) * STEP_NS
        stamps_ns = stamp_ns + np.round(1e9 * np.linspace(-SHUTTERS_S / 2, SHUTTERS_S / 2, cameras)).astype(np.int64)
        seen_at_s = stamps_ns / 1e9 if moving else np.zeros(cameras)
        poses = np.stack([pose_at(time_s) for time_s in seen_at_s])
        key = pose_at(stamp_ns / 1e9 if moving else 0.0)
        images = [np.roll(picture, 6 * index, axis=1) for picture in pictures] if shown == "moved" else pictures
        sets.append(CameraSet(images or first.images, first.rig, poses, stamp_ns, stamps_ns, key))
    return sets


def pose_at(time_s: float) -> npt.NDArray[np.float64]:
    """(4, 4) vehicle in odom, driving a circle at a steady speed."""
    angle = TURN_RADPS * time_s
    radius_m = SPEED_MPS / TURN_RADPS
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    pose[:2, 3] = radius_m * np.sin(angle), radius_m * (1 - np.cos(angle))
    return pose


def recalibrated(rig: CameraRig) -> CameraRig:
    """The same cameras, each turned by half a degree and lifted by 2 cm."""
    poses = rig.base_from_camera.copy()
    angle = np.radians(0.5)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    poses[:, :3, :3] = turn @ poses[:, :3, :3]
    poses[:, 2, 3] += 0.02
    return replace(rig, base_from_camera=poses)


def _real(shared: Path | None) -> bool:
    return shared is not None and all(
        path.is_file()
        for path in (
            shared / f"spec/golden/{GOLDEN}.npz",
            *(shared / f"data/nuscenes_frame_scene0003/CAM_{camera}.jpg" for camera in CAMERAS),
        )
    )


@lru_cache(maxsize=1)
def _files(shared: Path | None) -> tuple[tuple[bytes, ...], CameraRig]:
    if shared is None or not _real(shared):
        rig = nominal_rig(len(CAMERAS))
        return tuple(_noise(index) for index in range(rig.num_cameras)), rig
    from flashocc_ros.checks.golden_parity import read_golden

    # The calibration stands in the golden file too, which needs nothing but numpy to be read.
    geometry = read_golden(shared / f"spec/golden/{GOLDEN}.npz", get_variant(GOLDEN)).geometry
    rig = CameraRig([f"CAM_{camera}" for camera in CAMERAS], geometry.intrinsics[0], geometry.sensor2ego[0])
    folder = shared / "data/nuscenes_frame_scene0003"
    return tuple((folder / f"CAM_{camera}.jpg").read_bytes() for camera in CAMERAS), rig


def _noise(index: int) -> bytes:
    """A JPEG of smooth noise."""
    import cv2

    small = np.random.default_rng(index).integers(0, 256, (SOURCE_HW[0] // 20, SOURCE_HW[1] // 20, 3), np.uint8)
    done, data = cv2.imencode(".jpg", small.repeat(20, 0).repeat(20, 1), [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    return bytes(data)


def first_cameras(frame: CameraSet, count: int) -> CameraSet:
    """The set without its other cameras."""
    rig = CameraRig(frame.rig.names[:count], frame.rig.intrinsics[:count], frame.rig.base_from_camera[:count])
    return CameraSet(frame.images[:count], rig, frame.odom_from_base[:count], frame.stamp_ns, key_pose=frame.key_pose)
