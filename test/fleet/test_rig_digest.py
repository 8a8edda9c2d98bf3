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

"""Recordings of one rig have one digest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flashocc_ros import CameraRig
from flashocc_ros.camera_model import CameraModel
from flashocc_ros.data.synthetic.rig import nuscenes_like_rig
from flashocc_ros.fleet.rig_digest import rig_digest


def rig() -> CameraRig:
    return nuscenes_like_rig().cameras


def test_rounding_is_no_other_rig() -> None:
    assert rig_digest(replace(rig(), intrinsics=rig().intrinsics + 1e-9)) == rig_digest(rig())


def test_a_camera_that_moved_is_another_rig() -> None:
    moved = np.array(rig().base_from_camera)
    moved[0, 0, 3] += 0.01
    assert rig_digest(replace(rig(), base_from_camera=moved)) != rig_digest(rig())


def test_another_lens_is_another_rig() -> None:
    lenses = [CameraModel("rational", (0.1, 0.0, 0.0, 0.0)), *rig().models[1:]]
    assert rig_digest(replace(rig(), models=lenses)) != rig_digest(rig())
