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

"""A labelled drive of a few small pictures, without any recording: what `flashocc label` leaves, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.data.label_files import FrameFiles, SceneWriter, camera_facts, class_facts, picture_files
from flashocc_ros.labels import CLASS_NAMES, FREE, OCC3D, ClassTable
from flashocc_ros.structures import OCC3D_GRID, CameraRig

CAR, ROAD, MANMADE = (CLASS_NAMES.index(name) for name in ("car", "driveable_surface", "manmade"))
PERIOD_NS = 500_000_000
FOCAL_PX, HEIGHT, WIDTH = 100.0, 88, 176
WALL_M, CAR_M = 20.0, 10.0
"""Distance of the wall and of the car ahead."""


def rig(cameras: int) -> CameraRig:
    """Level cameras 1.5 m high that look ahead, left, back and right."""
    poses = np.tile(np.eye(4), (cameras, 1, 1))
    for k, pose in enumerate(poses):
        c, s = np.cos(k * np.pi / 2), np.sin(k * np.pi / 2)
        ahead, left = np.array([c, s, 0.0]), np.array([-s, c, 0.0])
        pose[:3, :3] = np.stack([-left, [0, 0, -1], ahead], 1)
        pose[:3, 3] = (0.5 * c, 0.5 * s, 1.5)
    intrinsics = np.tile([[FOCAL_PX, 0, WIDTH / 2], [0, FOCAL_PX, HEIGHT / 2], [0, 0, 1]], (cameras, 1, 1))
    return CameraRig([f"cam{k}" for k in range(cameras)], intrinsics, poses)


def camera_set(number: int, cameras: int = 2) -> CameraSet:
    """The vehicle drives 1 m per key frame along x."""
    rng = np.random.default_rng(number)
    pictures = [np.full((HEIGHT, WIDTH, 3), rng.integers(40, 200, 3), np.uint8) for _ in range(cameras)]
    poses = np.tile(np.eye(4), (cameras, 1, 1))
    poses[:, 0, 3] = number
    return CameraSet(pictures, rig(cameras), poses, (number + 1) * PERIOD_NS)


def volumes() -> dict[str, Any]:
    """A road, a car of known class 10 m ahead, a wall of a class nobody knows 20 m ahead; known up to 24 m."""
    semantics = np.full(OCC3D_GRID.size, FREE, np.uint8)
    guessed, instances = np.zeros(semantics.shape, np.uint8), np.zeros(semantics.shape, np.int32)
    observed = np.zeros(semantics.shape, np.uint8)
    observed[40:160, 40:160] = 1
    semantics[40:160, 40:160, 2], guessed[40:160, 40:160, 2] = ROAD, 1
    semantics[150, 90:110, 3:8], guessed[150, 90:110, 3:8] = MANMADE, 1
    semantics[125:130, 98:102, 3:6], instances[125:130, 98:102, 3:6] = CAR, 7
    seen = observed.copy()
    seen[:100] = 0
    return {
        "semantics": semantics,
        "mask_lidar": observed,
        "mask_camera": seen,
        "guessed": guessed,
        "instances": instances,
        "boxes": np.array([[11.0, 0, 0.8, 2.0, 1.6, 1.2, 0, 1, 0], [-30, 0, 0.8, 4, 2, 1.5, 0, 0, 0]], np.float32),
        "box_classes": np.array([CAR, CAR], np.uint8),
        "box_ids": np.array([7, 8], np.int32),
    }


def hits() -> dict[str, Any]:
    """Three points in the first camera: the car, the wall beside it, and one beyond the grid."""
    pixel = np.array([[WIDTH / 2, HEIGHT / 2 + 8.0], [WIDTH / 2 + 16, HEIGHT / 2], [WIDTH / 2 - 40, 3.0]], np.float32)
    return {
        "camera": np.zeros(3, np.uint8),
        "pixel": pixel,
        "depth_m": np.array([CAR_M - 0.4, WALL_M - 0.4, 60.0], np.float32),
    }


def write_drive(
    out: Path,
    name: str = "monday",
    frames: int = 2,
    cameras: int = 2,
    *,
    convention: str = "touch",
    grid: dict[str, Any] | None = None,
    arrays: dict[str, Any] | None = None,
    pictures: bool = True,
    finish: bool = True,
    tokens: Sequence[str] | None = None,
    classes: ClassTable = OCC3D,
) -> Path:
    """A drive in ``out/name``; ``arrays`` replace those of ``volumes``, None among them leaves one out."""
    writer = SceneWriter(out, name, "made for a test")
    voxels = {key: value for key, value in {**volumes(), **(arrays or {})}.items() if value is not None}
    for number in range(frames):
        cameras_then = camera_set(number, cameras)
        token = str(cameras_then.stamp_ns)
        facts = {
            "token": token,
            "stamp_ns": cameras_then.stamp_ns,
            "odom_from_base": cameras_then.key_pose.tolist(),
            **class_facts(classes),
            **camera_facts(cameras_then),
        }
        writer.write(token, FrameFiles(voxels, hits(), picture_files(cameras_then) if pictures else {}, facts))
    if finish:
        listed = [str((number + 1) * PERIOD_NS) for number in range(frames)] if tokens is None else tokens
        settings = {"grid": grid or asdict(OCC3D_GRID), "convention": convention}
        writer.finish({"settings": settings, "frames": [{"token": token} for token in listed]})
    return writer.folder
