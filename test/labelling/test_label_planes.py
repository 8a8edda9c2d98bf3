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

"""Planes of surfaces from hits in voxels, and which voxels they tell noise from."""

from __future__ import annotations

import numpy as np
import pytest

from flashocc_ros.labelling.kernels import MOMENTS
from flashocc_ros.labelling.planes import FLAT_M, Planes, shallow, surface_planes

SIZE, CELL_M = (7, 7, 7), 0.4


def planes_of(points: np.ndarray, seen_from: np.ndarray) -> tuple[Planes, np.ndarray]:
    """Of points (P, 3) in metres, and the hits (V,) per voxel."""
    voxel = np.floor(points / CELL_M).astype(int)
    flat = np.ravel_multi_index(tuple(voxel.T), SIZE)
    inside = points - voxel * CELL_M
    way = points - seen_from
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    pairs = [inside[:, a] * inside[:, b] for a in range(3) for b in range(a, 3)]
    values = np.column_stack([inside, *pairs, way])
    count = int(np.prod(SIZE))
    moments = np.stack([np.bincount(flat, values[:, k], count) for k in range(MOMENTS)], 1).astype(np.float32)
    hits = np.bincount(flat, minlength=count).astype(np.uint16)
    return surface_planes(moments, hits, SIZE, CELL_M), hits


def wall(normal: np.ndarray, distance_m: float, noise_m: float = 0.02) -> np.ndarray:
    """4000 points of a wide plane through the grid, with noise along its normal."""
    rng = np.random.default_rng(1)
    across = np.linalg.svd(normal[None])[2][1:]
    points = normal * distance_m + rng.uniform(-4, 4, (4000, 2)) @ across + normal * rng.normal(0, noise_m, (4000, 1))
    return points[((points > 0) & (points < 7 * CELL_M)).all(1)]


@pytest.mark.parametrize("normal", [(-1.0, 0.0, 0.0), (-0.6, 0.8, 0.0), (-0.48, -0.6, 0.64)])
def test_a_plane_lies_where_its_hits_lie_and_looks_at_the_lidar(normal: tuple[float, float, float]) -> None:
    n = np.array(normal)
    middle = np.full(3, 3.5 * CELL_M)
    distance_m = float(middle @ n) + 0.07
    planes, _ = planes_of(wall(n, distance_m), middle + 10 * n)
    at = np.ravel_multi_index((3, 3, 3), SIZE)
    assert planes.normal[at] @ n > 0.999
    assert planes.offset_m[at] == pytest.approx(-0.07, abs=0.01)  # the surface is 0.07 m nearer to the lidar
    assert planes.spread_m[at] < FLAT_M


def test_noise_over_a_side_lies_outside_the_plane() -> None:
    """A wall 1 cm before a side of voxels, whose noise spills over it."""
    planes, hits = planes_of(wall(np.array([1.0, 0.0, 0.0]), 4 * CELL_M - 0.01), np.array([9.0, 1.4, 1.4]))
    spilled = np.ravel_multi_index((4, 3, 3), SIZE)
    assert hits[spilled] > 0
    assert planes.offset_m[spilled] > planes.reach_m(CELL_M, spilled)
    beside = np.ravel_multi_index((3, 3, 3), SIZE)
    assert abs(planes.offset_m[beside]) < planes.reach_m(CELL_M, beside)


def test_bushes_are_no_planes() -> None:
    points = np.random.default_rng(2).uniform(0.4, 2.4, (3000, 3))
    planes, hits = planes_of(points, np.array([-9.0, 1.4, 1.4]))
    inner = np.ravel_multi_index((3, 3, 3), SIZE)
    assert hits[inner] > 0
    assert planes.spread_m[inner] > FLAT_M
    assert np.isinf(planes_of(points[:2], np.zeros(3))[0].spread_m).all()  # two hits are no plane either


@pytest.mark.parametrize(("reaches", "share", "belongs"), [(0.05, 0.1, True), (0.2, 0.1, False), (0.05, 0.5, False)])
def test_few_hits_along_a_side_belong_to_what_lies_beyond(reaches: float, share: float, belongs: bool) -> None:
    hits = np.zeros((3, 3, 3), np.uint16)
    hits[1, 1, 1], hits[2, 1, 1] = 100, round(share * 100)
    extent = np.full((3, 3, 3, 6), 255, np.uint8)
    extent[2, 1, 1] = (0, 10, 10, 255 - round(reaches / CELL_M * 255), 10, 10)
    found = shallow(hits.ravel(), extent.reshape(-1, 6), (3, 3, 3)).reshape(3, 3, 3)
    assert found[2, 1, 1] == belongs
    assert not found[1, 1, 1]
