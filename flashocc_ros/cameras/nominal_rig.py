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

"""A rig for where there is neither a recording nor a calibration."""

from __future__ import annotations

import numpy as np

from flashocc_ros.structures import CameraRig

SOURCE_HW = (900, 1600)
"""Pictures of the published rig, in pixels."""


def nominal_rig(cameras: int) -> CameraRig:
    """Level cameras of 65 degrees, 1.5 m up, looking outwards at even angles; for pictures of 1600x900."""
    optical = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    poses = np.tile(np.eye(4), (cameras, 1, 1))
    for pose, yaw in zip(poses, np.arange(cameras) * 2 * np.pi / cameras, strict=True):
        turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        pose[:3, :3] = turn @ optical
        pose[:3, 3] = (1.0 + 0.5 * np.cos(yaw), 0.5 * np.sin(yaw), 1.5)
    intrinsic = np.array([[1260.0, 0, SOURCE_HW[1] / 2], [0, 1260, SOURCE_HW[0] / 2], [0, 0, 1]])
    return CameraRig([f"camera_{i}" for i in range(cameras)], np.tile(intrinsic, (cameras, 1, 1)), poses)
