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

"""Exact truth of both conventions, on solids whose voxels can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from flashocc_ros.checks.label_truth import Score, touched
from flashocc_ros.data.synthetic.drive import Drive
from flashocc_ros.data.synthetic.solids import BOX, ELLIPSOID, Solids
from flashocc_ros.labels import CLASS_NAMES, FLAT_CLASSES, FREE

CAR = CLASS_NAMES.index("car")


@pytest.fixture(scope="module")
def drive() -> Drive:
    return Drive(1003, 1.0, image_size=(99, 176), threads=1)


def solid(kind: int, center: tuple[float, ...], size: tuple[float, ...]) -> Solids:
    def row(values: object, dtype: type) -> np.ndarray:
        return np.array([values], dtype)

    return Solids(
        row(center, np.float32), row(np.eye(3), np.float32), row(np.array(size) / 2, np.float32),
        row((0, 0), np.float32), row((1, 1, 1), np.float32), row(kind, np.uint8), row(0, np.uint8),
        row(CAR, np.uint8), row(1, np.int32),
    )  # fmt: skip


def voxels(drive: Drive, thing: Solids) -> set[tuple[int, ...]]:
    found = touched(thing, drive.world.street.ground, drive.world.ego_pose(0.0))
    return {tuple(v) for v in np.argwhere(found == CAR)}


def test_a_voxel_that_a_surface_reaches_into_is_touched(drive: Drive) -> None:
    # 0.44 m along x from 10.38 to 10.82: into the voxels from 10.0, 10.4 and 10.8.
    found = voxels(drive, solid(BOX, (10.6, 0.2, 3.2), (0.44, 0.3, 0.3)))
    assert {v[0] for v in found} == {125, 126, 127}
    assert {v[1] for v in found} == {100}
    assert {v[2] for v in found} == {10}


def test_the_inside_of_a_large_solid_is_touched_too_and_corners_of_a_ball_are_not(drive: Drive) -> None:
    assert len(voxels(drive, solid(BOX, (10.6, 0.2, 3.2), (1.9, 1.9, 1.9)))) == 5**3
    ball = voxels(drive, solid(ELLIPSOID, (10.6, 0.2, 3.2), (1.9, 1.9, 1.9)))
    assert (126, 100, 10) in ball
    assert (124, 98, 8) not in ball


def test_the_score_counts_above_ground_inside_both_masks() -> None:
    truth = np.full((4, 1, 1), FREE, np.uint8)
    truth[0], truth[1] = CAR, FLAT_CLASSES[0]
    labels = truth.copy()
    labels[2] = CAR  # wrong
    everywhere = np.ones(truth.shape, bool)
    unseen = everywhere.copy()
    unseen[3] = False
    score = Score()
    score.update(labels, everywhere, everywhere, truth, unseen)
    result = score.result()
    assert result["above_ground"] == 0.5
    assert result["coverage"] == 1.0
    assert result["mask_camera"] == 0.75
