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

"""The published code's instances, mistakes included."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from panoptic_objects import centers, free_grid, voxel

from flashocc_ros.labels import CLASS_NAMES, FREE
from flashocc_ros.pipeline.decode import Centers
from flashocc_ros.pipeline.reference_instances import reference_instances

CAR, PEDESTRIAN, CONE, BARRIER = (CLASS_NAMES.index(n) for n in ("car", "pedestrian", "traffic_cone", "barrier"))


def test_a_voxel_alone_in_its_column_finds_what_it_finds_in_a_full_one() -> None:
    rng = np.random.default_rng(6)
    found = centers(*(("car", tuple(rng.uniform((-40, -40, -1), (40, 40, 5)))) for _ in range(60)))
    full, alone = np.full_like(free_grid(), CAR), free_grid()
    picked = rng.random(alone.shape) < 0.1
    alone[picked] = CAR
    expected, _ = reference_instances(full, found)
    grid, _ = reference_instances(alone, found)
    np.testing.assert_array_equal(grid[picked], expected[picked])
    assert len(np.unique(grid[picked])) > 30


def test_without_centres_the_map_is_the_semantic_one() -> None:
    semantics = np.random.default_rng(3).integers(0, 18, (200, 200, 16)).astype(np.uint8)
    grid, instances = reference_instances(semantics, centers())
    assert grid.dtype == np.int32
    np.testing.assert_array_equal(grid, semantics)
    assert instances == ()


def test_equal_distances_go_to_the_better_score() -> None:
    semantics = free_grid()
    semantics[100, 100, 2] = CAR
    found = centers(("car", (1.2, 0.2, 0.0)), ("car", (-1.2, 0.2, 0.0)))
    grid, _ = reference_instances(semantics, found)
    assert grid[100, 100, 2] == 18


def test_the_published_mistakes_are_repeated() -> None:
    semantics = free_grid()
    semantics[voxel(5, 5, 0)] = PEDESTRIAN
    semantics[voxel(6, 5, 0)] = CONE
    semantics[voxel(7, 5, 0)] = BARRIER
    semantics[voxel(-39, 5, 0)] = CAR
    found = centers(
        ("bicycle", (5.0, 5.0, 0.0)),
        ("pedestrian", (6.0, 5.0, 0.0)),
        ("traffic_cone", (7.0, 5.0, 0.0)),
        ("car", (39.0, 5.0, 0.0)),
    )
    grid, instances = reference_instances(semantics, found)
    assert grid[voxel(5, 5, 0)] == instances[0].id  # pedestrian voxels look for bicycle centres
    assert grid[voxel(6, 5, 0)] == 0  # cones and barriers are claimed by a class without a way back
    assert grid[voxel(7, 5, 0)] == 0
    assert grid[voxel(-39, 5, 0)] == instances[3].id  # no distance limit


def test_ids_are_a_permutation_and_empty_instances_stay() -> None:
    found = centers(("pedestrian", (0, 0, 0)), ("car", (0, 0, 0)), ("truck", (0, 0, 0)))
    _, instances = reference_instances(np.full((200, 200, 16), FREE, np.uint8), found)
    assert [(i.id, i.voxel_count, i.extent_m) for i in instances] == [(k, 0, (0.0, 0.0, 0.0)) for k in (19, 20, 18)]


@pytest.mark.data
def test_the_golden_instances_are_reproduced(shared_dir: Path) -> None:
    golden = np.load(shared_dir / "spec" / "golden" / "panoptic-flashocc-r50-depth4d-longterm8f-pano.npz")
    found = Centers(golden["center_xyz"], golden["center_score"], golden["center_label"].astype(np.int64))
    grid, instances = reference_instances(golden["occ"], found)
    expected = golden["pano_inst"].astype(np.int32)
    pairs = np.unique(np.stack([grid.ravel(), expected.ravel()]), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]  # one to one
    stuff = expected < 18
    np.testing.assert_array_equal(grid[stuff], expected[stuff])
    assert sum(i.voxel_count for i in instances) == (~stuff).sum()


def test_sixty_centres_on_a_full_grid_are_quick() -> None:
    rng = np.random.default_rng(5)
    semantics = np.full((200, 200, 16), CAR, np.uint8)
    found = Centers(
        rng.uniform((-40, -40, -1), (40, 40, 5), (60, 3)).astype(np.float32),
        np.linspace(0.9, 0.3, 60, dtype=np.float32),
        np.zeros(60, np.int64),
    )
    seconds = []
    for _ in range(5):
        begin = time.process_time()
        reference_instances(semantics, found)
        seconds.append(time.process_time() - begin)
    assert min(seconds) < 0.1  # measured 12 ms; the bound only catches a lost compilation or a quadratic loop
