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

"""Which way the surface in a voxel looks, from the hits in it and beside it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from flashocc_ros.labelling.kernels import MOMENTS

Float32 = npt.NDArray[np.float32]
SPILL_M = 0.05
_SPILL_SHARE, _WIDE = 0.7, 0.6
"""Hits this near to a side, less than that share of those beyond it, and spread over so much of the side both ways, are
noise of a surface along it; those of an edge or a corner that reaches in are not spread."""
_FLATNESS = 0.5
"""Least over middle eigenvalue; above it there is no surface, and the way of the rays stands for its normal."""


def outward_normals(
    moments: Float32, hits: npt.NDArray[np.uint16], size: tuple[int, int, int], cell_m: float
) -> Float32:
    """(V, 3) float32 unit normals towards the lidar, zeros where nothing was hit.

    Args:
        moments: (V, MOMENTS) of `kernels.bin_hits`; hits: (V,).
    """
    occupied = np.flatnonzero(hits)
    normals = np.zeros((len(hits), 3), np.float32)
    if not len(occupied):
        return normals
    place = np.stack(np.unravel_index(occupied, size), 1)
    sums = np.zeros((len(occupied), MOMENTS))
    count = np.zeros(len(occupied))
    grid = hits.reshape(size)
    for offset in np.ndindex(3, 3, 3):
        step = np.array(offset) - 1
        there = place + step
        inside = ((there >= 0) & (there < size)).all(1)
        at = np.ravel_multi_index(tuple(there[inside].T), size)
        n, m, d = grid.ravel()[at].astype(np.float64), moments[at].astype(np.float64), step * cell_m
        count[inside] += n
        sums[inside] += _shifted(m, n, d)
    mean = sums[:, :3] / count[:, None]
    second = sums[:, [3, 4, 5, 4, 6, 7, 5, 7, 8]].reshape(-1, 3, 3) / count[:, None, None]
    values, vectors = np.linalg.eigh(second - mean[:, :, None] * mean[:, None, :])
    inward = sums[:, 9:] / np.maximum(np.linalg.norm(sums[:, 9:], axis=1, keepdims=True), 1e-9)
    normal = vectors[:, :, 0]
    normal = normal * np.where((normal * inward).sum(1) > 0, -1, 1)[:, None]
    scattered = (values[:, 0] > _FLATNESS * values[:, 1]) | (count < 5)
    normals[occupied] = np.where(scattered[:, None], -inward, normal)
    return normals


def _shifted(
    m: npt.NDArray[np.float64], n: npt.NDArray[np.float64], d: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Moments about a point that lies ``-d`` away."""
    out = m.copy()
    out[:, :3] += n[:, None] * d
    for column, (j, k) in enumerate(((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)), 3):
        out[:, column] += m[:, j] * d[k] + m[:, k] * d[j] + n * d[j] * d[k]
    return out


def denser_than_neighbours(
    hits: npt.NDArray[np.uint16], size: tuple[int, int, int], share: float
) -> npt.NDArray[np.bool_]:
    """(V,) where a voxel has at least ``share`` of the hits of the strongest of its six neighbours."""
    cross = ndimage.generate_binary_structure(3, 1)
    strongest = ndimage.maximum_filter(hits.reshape(size), footprint=cross)
    return np.asarray(hits >= share * strongest.ravel())


def spilled(
    hits: npt.NDArray[np.uint16], extent: npt.NDArray[np.uint8], size: tuple[int, int, int], cell_m: float
) -> npt.NDArray[np.bool_]:
    """(V,) where all hits lie along one side, beyond which there are more: noise of a surface there.

    Args:
        extent: (V, 6) of `kernels.bin_hits`.
    """
    grid, reach = hits.reshape(size).astype(np.float32), min(255 * SPILL_M / cell_m, 127)
    span = 255 - extent[:, :3].astype(np.int16) - extent[:, 3:]
    wide = (span > _WIDE * 255).reshape(*size, 3)
    out = np.zeros(size, bool)
    for axis in range(3):
        for side in (0, 1):  # the lower and the upper
            # Near the lower side: even the highest hit is low, so far from the upper one.
            near = extent[:, axis + 3 * (1 - side)].reshape(size) > 255 - reach
            there = np.zeros_like(grid)
            inner, outer = [slice(None)] * 3, [slice(None)] * 3
            inner[axis], outer[axis] = (
                (slice(1, None), slice(None, -1)) if side == 0 else (slice(None, -1), slice(1, None))
            )
            there[tuple(inner)] = grid[tuple(outer)]
            out |= near & wide[..., (axis + 1) % 3] & wide[..., (axis + 2) % 3] & (grid < _SPILL_SHARE * there)
    return np.asarray(out.ravel() & (hits > 0))
