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

"""Lift tables for exports: of the pictures of a frame."""

from __future__ import annotations

import numpy as np

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.engine.export.calibration import frame_table, standing_table
from flashocc_ros.structures import CameraRig
from flashocc_ros.variants import get_variant


def test_the_table_of_a_frame_knows_the_size_of_its_pictures(rig: CameraRig) -> None:
    """The same cameras with pictures of half the size see the same cells."""
    variant = get_variant("flashocc-r50-M0")
    scaled = CameraRig(rig.names, rig.intrinsics * np.array([0.5, 0.5, 1])[:, None], rig.base_from_camera)
    halved = CameraSet([np.zeros((450, 800, 3), np.uint8)] * 6, scaled, np.tile(np.eye(4), (6, 1, 1)), 1)
    table, expected = frame_table(variant, halved), standing_table(variant, rig)
    assert abs(len(table.point_index) - len(expected.point_index)) < 0.001 * len(expected.point_index)
    assert len(np.setxor1d(table.cell_index, expected.cell_index)) < 0.01 * len(expected.cell_index)
