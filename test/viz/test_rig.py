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

"""The drawing of a rig: implausible cameras are red, and every rig can be drawn."""

from __future__ import annotations

import numpy as np
import pytest

from flashocc_ros.cameras.nominal_rig import nominal_rig
from flashocc_ros.cameras.rig_check import check_rig
from flashocc_ros.structures import CameraRig
from flashocc_ros.viz.rig import GOOD, WRONG, draw_rig


def pixels_of(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - colour).max(-1) < 12).sum())


@pytest.mark.parametrize("count", [1, 6, 12])
def test_plausible_cameras_are_blue(count: int) -> None:
    picture = draw_rig(nominal_rig(count), [(900, 1600)] * count)
    assert picture.dtype == np.uint8
    assert pixels_of(picture, GOOD) > 500
    assert pixels_of(picture, WRONG) == 0


def test_implausible_cameras_are_red_and_explained() -> None:
    rig = nominal_rig(6)
    wrong = CameraRig(rig.names, rig.intrinsics, np.linalg.inv(rig.base_from_camera))
    sizes = [(900, 1600)] * 6
    picture = draw_rig(wrong, sizes, check_rig(wrong, sizes))
    assert pixels_of(picture, WRONG) > 500
    assert pixels_of(picture, GOOD) == 0


@pytest.mark.parametrize("scale", [0.0, 1000.0])
def test_rigs_of_any_size_can_be_drawn(scale: float) -> None:
    rig = nominal_rig(3)
    poses = rig.base_from_camera.copy()
    poses[:, :3, 3] *= scale
    assert pixels_of(draw_rig(CameraRig(rig.names, rig.intrinsics, poses), [(900, 1600)] * 3), GOOD) > 500
