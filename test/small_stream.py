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

"""Shrunken networks and a drive of noise pictures for them: streams in seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from flashocc_ros import CameraRig
from flashocc_ros.variants import Variant, get_variant

STEP_NS = 500_000_000


def small(name: str) -> Variant:
    """The same network with few channels and small pictures, so that a test takes seconds."""
    variant = get_variant(name)
    return replace(
        variant,
        name=f"{name} small",
        input_size=(64, 176),
        depth=replace(variant.depth, step_m=2.0),
        backbone="resnet18",
        backbone_width=16,
        neck_channels=32,
        lift_channels=2 if variant.volumetric else 8,
        encoder_channels=(4, 8, 8) if variant.volumetric else (16, 24, 32),
        head_channels=4 if variant.volumetric else 16,
    )


@dataclass(frozen=True)
class Shot:
    """One frame of a drive."""

    images: list[npt.NDArray[np.uint8]]
    odom_from_base: npt.NDArray[np.float64]


def rig() -> CameraRig:
    """A camera to the front and one to the left."""
    optical = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    poses = np.tile(np.eye(4), (2, 1, 1))
    for pose, yaw_deg, xyz in zip(poses, (0, 75), ((1.5, 0.1, 1.6), (1.0, 0.5, 1.5)), strict=True):
        pose[:3, :3] = Rotation.from_euler("z", yaw_deg, degrees=True).as_matrix() @ optical
        pose[:3, 3] = xyz
    return CameraRig(["front", "left"], np.tile([[280.0, 0, 176], [0, 280.0, 100], [0, 0, 1]], (2, 1, 1)), poses)


def drive(frames: int, motion: tuple[float, float, float], stagger_m: float = 0.0) -> list[Shot]:
    """Pictures of smooth noise; per frame the vehicle moves by (x m, y m, yaw degrees) in its own frame."""
    rng = np.random.default_rng(7)
    pose, step, shots = np.eye(4), np.eye(4), []
    pose[:3, 3] = (120.0, -35.0, 0.5)
    step[:3, :3] = Rotation.from_euler("z", motion[2], degrees=True).as_matrix()
    step[:2, 3] = motion[:2]
    for _ in range(frames):
        coarse = rng.integers(0, 256, (2, 10, 18, 3), dtype=np.uint8)
        images = [np.ascontiguousarray(c.repeat(20, 0).repeat(20, 1)[:200, :352]) for c in coarse]
        poses = np.stack([pose, pose])
        poses[1, 0, 3] += stagger_m
        shots.append(Shot(images, poses))
        pose = pose @ step
    return shots
