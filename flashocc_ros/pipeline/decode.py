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

"""From raw head outputs to labels and object centres."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from flashocc_ros.structures import OCC3D_GRID, VoxelGrid

MAX_CENTERS = 500
"""Kept per class, then overall; the reference's limit."""

RANGE_XY_M = 61.2
RANGE_Z_M = 10.0
"""Centres farther out than this (absolute value, base frame), and outside a grid that reaches farther, are dropped."""


@dataclass(frozen=True, eq=False)
class Centers:
    """K detected object centres, best score first.

    Attributes:
        xyz_m: (K, 3) float32, metres, base frame.
        score: (K,) float32 in (0, 1).
        detection: (K,) int64 heat-map channel, see ``ClassTable.detections``.
    """

    xyz_m: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    detection: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.score)


@nb.njit(nogil=True, cache=True)
def _argmax(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]) -> bool:
    classes = logits.shape[1]
    finite = True
    for voxel in range(logits.shape[0]):
        best, label = logits[voxel, 0], 0
        for c in range(1, classes):
            if logits[voxel, c] > best:
                best, label = logits[voxel, c], c
        labels[voxel] = label
        for c in range(classes):
            finite &= np.isfinite(logits[voxel, c])
    return finite


def argmax_labels(logits: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], bool]:
    """Class of the largest logit, the first one on ties: (..., classes) float32 -> (...) uint8; whether all are finite.

    NaN loses every comparison: without the second answer it would be class 0.
    """
    labels = np.empty(logits.shape[:-1], np.uint8)
    finite = _argmax(np.ascontiguousarray(logits, np.float32).reshape(-1, logits.shape[-1]), labels.reshape(-1))
    return labels, bool(finite)


@nb.njit(nogil=True, cache=True)
def _sigmoid(x: float) -> np.float32:
    return np.float32(1.0) / (np.float32(1.0) + np.exp(np.float32(-x)))


@nb.njit(nogil=True, cache=True)
def _peaks(
    heatmap: npt.NDArray[np.float32], cutoff: float, found: npt.NDArray[np.int64], scores: npt.NDArray[np.float32]
) -> int:
    """Flat indices of cells above ``cutoff`` (a logit) whose sigmoid equals the maximum of their 3x3 surroundings."""
    classes, rows, columns = heatmap.shape
    count = 0
    for c in range(classes):
        for row in range(rows):
            for column in range(columns):
                if not heatmap[c, row, column] > cutoff:
                    continue
                score = _sigmoid(heatmap[c, row, column])
                peak = True
                for r in range(max(row - 1, 0), min(row + 2, rows)):
                    for k in range(max(column - 1, 0), min(column + 2, columns)):
                        # compared after the sigmoid, as the reference does: saturated neighbours are all peaks
                        if heatmap[c, r, k] > heatmap[c, row, column] and _sigmoid(heatmap[c, r, k]) > score:
                            peak = False
                if peak:
                    found[count] = (c * rows + row) * columns + column
                    scores[count] = score
                    count += 1
    return count


def decode_centers(
    heatmap: npt.NDArray[np.float32],
    reg: npt.NDArray[np.float32],
    height: npt.NDArray[np.float32],
    score_threshold: float,
    grid: VoxelGrid = OCC3D_GRID,
) -> Centers:
    """Local maxima of the heat map, placed by the offset and height maps.

    Args:
        heatmap: (classes, rows, columns) float32 before the sigmoid; rows along y, columns along x.
        reg: (2, rows, columns) float32 offsets (x, y) in cells.
        height: (1, rows, columns) float32, z in metres.
        score_threshold: only scores above this are kept.
        grid: gives origin and cell size.
    """
    classes, rows, columns = heatmap.shape
    heatmap = np.ascontiguousarray(heatmap, np.float32)
    if score_threshold <= 0:
        cutoff = -math.inf
    elif score_threshold >= 1:
        cutoff = math.inf
    else:
        cutoff = math.log(score_threshold / (1 - score_threshold)) - 1e-4
    found, scores = np.empty(heatmap.size, np.int64), np.empty(heatmap.size, np.float32)
    count = _peaks(heatmap, cutoff, found, scores)
    found, scores = found[:count], scores[:count]
    keep = scores > score_threshold
    found, scores = found[keep], scores[keep]
    order = np.argsort(-scores, kind="stable")
    found, scores = found[order], scores[order]
    detection = found // (rows * columns)
    keep = np.zeros(len(found), bool)
    for c in range(classes):
        keep[np.flatnonzero(detection == c)[:MAX_CENTERS]] = True
    keep[np.flatnonzero(keep)[MAX_CENTERS:]] = False
    found, scores, detection = found[keep], scores[keep], detection[keep]
    cell = found % (rows * columns)
    row, column = cell // columns, cell % columns
    step = np.float32(grid.resolution_m)
    xyz = np.stack(
        [
            (column.astype(np.float32) + reg[0, row, column]) * step + np.float32(grid.origin_m[0]),
            (row.astype(np.float32) + reg[1, row, column]) * step + np.float32(grid.origin_m[1]),
            height[0, row, column],
        ],
        axis=1,
    ).astype(np.float32)
    range_m = np.array([RANGE_XY_M, RANGE_XY_M, RANGE_Z_M], np.float32)
    lower = np.minimum(-range_m, np.array(grid.origin_m, np.float32))
    upper = np.maximum(range_m, np.array(grid.upper_m, np.float32))
    inside = ((lower <= xyz) & (xyz <= upper)).all(axis=1)
    return Centers(xyz[inside], scores[inside], detection[inside])
