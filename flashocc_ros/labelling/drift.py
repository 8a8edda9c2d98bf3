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

"""How far the sweeps at a key frame lie beside what the sweeps of all its seconds say: drift of the poses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flashocc_ros.labelling.counts import View
from flashocc_ros.labelling.planes import Planes
from flashocc_ros.labelling.sweeps import RETURN
from flashocc_ros.structures import VoxelGrid

Float64 = npt.NDArray[np.float64]

_THICK_M = 0.2
"""Planes may be this thick: what drifts doubles them."""
_HITS, _FEWEST = 20, 500
"""Hits of a voxel whose plane counts, and hits on such planes that tell a shift."""
_OUTLIER_M = 0.1
_ABOVE_GROUND_M = 0.3
_ROUNDS = 5


def shift_m(
    views: Sequence[View],
    planes: Planes,
    moments: npt.NDArray[np.float32],
    hits: npt.NDArray[np.uint16],
    height: npt.NDArray[np.float32],
    grid: VoxelGrid,
) -> float | None:
    """Length of the shift that brings the sweeps at the key frame onto the planes; None where too little stands around.

    Least squares of distances from points to planes (Chen and Medioni, 1992), outliers weighted down.

    Args:
        moments, hits: (V, MOMENTS) and (V,) behind the planes, of `kernels.bin_hits`; height: (X, Y) of the ground.
    """
    away, normals = [np.empty(0)], [np.empty((0, 3))]
    for view in views:
        if not view.recent:
            continue
        points = view.sweep.ends[view.kind == RETURN] @ view.matrix[:, :3].T + view.matrix[:, 3]
        place = (points - grid.origin_m) / grid.resolution_m
        index = np.floor(place).astype(np.int64)
        inside = ((index >= 0) & (index < grid.size)).all(1)
        points, place, index = points[inside], place[inside], index[inside]
        flat = np.ravel_multi_index(tuple(index.T), grid.size)
        ground = height[index[:, 0], index[:, 1]]
        counts = (hits[flat] >= _HITS) & (planes.spread_m[flat] < _THICK_M) & ~(points[:, 2] < ground + _ABOVE_GROUND_M)
        n, flat = planes.normal[flat[counts]].astype(np.float64), flat[counts]
        # From the mean hit of the same voxel, which is where planes of corners and bushes do not lie.
        from_mean = (place[counts] - index[counts]) * grid.resolution_m - moments[flat, :3] / hits[flat, None]
        away.append((n * from_mean).sum(1))
        normals.append(n)
    distance, normal = np.concatenate(away), np.concatenate(normals)
    if len(distance) < _FEWEST:
        return None
    shift: Float64 = np.zeros(3)
    for _ in range(_ROUNDS):
        left = distance + normal @ shift
        weighted = normal / (1 + (left / _OUTLIER_M) ** 2)[:, None]
        # Where nothing stands across a direction the shift along it is unknown and stays small.
        shift = np.asarray(-np.linalg.solve(weighted.T @ normal + _FEWEST / 10 * np.eye(3), weighted.T @ distance))
    return float(np.linalg.norm(shift))
