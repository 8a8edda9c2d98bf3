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

"""Sizes of the pooling tree in a fused graph: room for a recalibration, one sentence when it does not fit."""

from __future__ import annotations

import pytest

from flashocc_ros.engine.export.calibration import standing_table
from flashocc_ros.engine.export.tree16 import TreeSizes, tree_table
from flashocc_ros.errors import EngineError
from flashocc_ros.geometry.lift import LiftTable
from flashocc_ros.structures import CameraRig
from flashocc_ros.variants import get_variant


@pytest.mark.parametrize(
    ("sizes", "what"),
    [
        (TreeSizes(rows=256, tall_cells=2048), "rows of 16 points"),
        (TreeSizes(rows=32768, tall_cells=4), "cells with more than 16 points"),
        (TreeSizes(rows=32768, tall_cells=2048, rows_per_cell=2), "rows in its fullest cell"),
    ],
)
def test_tree_overflow_names_the_calibration_and_the_remedy(table_m0: LiftTable, sizes: TreeSizes, what: str) -> None:
    with pytest.raises(EngineError, match=what) as caught:
        tree_table(table_m0, sizes, calibration="of CAM_A, CAM_B")
    assert "of CAM_A, CAM_B" in str(caught.value)
    assert "export it again" in str(caught.value)


def test_tree_sizes_hold_a_shifted_calibration(rig: CameraRig) -> None:
    variant = get_variant("flashocc-r50-M0")
    moved = rig.base_from_camera.copy()
    moved[:, :3, 3] += (0.3, -0.2, 0.4)
    sizes = TreeSizes.fitting(standing_table(variant, rig))
    table = standing_table(variant, CameraRig(rig.names, rig.intrinsics, moved))
    assert tree_table(table, sizes).row_point.shape == (sizes.rows, sizes.row_points)
