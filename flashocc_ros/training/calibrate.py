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

"""Class offsets that turn probabilities into the labels of best mean IoU, found on training frames.

A surface one voxel thin whose depth is uncertain by a voxel never reaches a probability of one half, so plain argmax
calls it free. Intersection over union is maximal at lower thresholds; the offsets shift them and are folded into the
last bias.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from flashocc_ros.labels import FREE

Float32 = npt.NDArray[np.float32]

_STEPS = (-0.8, -0.4, -0.2, 0.2, 0.4, 0.8)
_LIMIT = 3.0


def class_offsets(
    logits: Float32, truth: npt.NDArray[np.uint8], weight: Float32, sweeps: int = 4, free: int = FREE
) -> npt.NDArray[np.float64]:
    """Offsets (C,) to add to logits; that of free is zero. Coordinate ascent on the mean IoU of classes present.

    Args:
        logits: (M, C) of visible voxels.
        truth: (M,) class ids.
        weight: (M,) how many voxels each row stands for.
        free: id of free space.
    """
    offsets = np.zeros(logits.shape[1])
    present = np.bincount(truth, minlength=logits.shape[1]) > 0
    present[free] = False
    best = _mean_iou(logits, truth, weight, offsets, present)
    for _ in range(sweeps):
        improved = False
        for class_id in np.flatnonzero(present):
            start = offsets[class_id]
            for step in _STEPS:
                trial = offsets.copy()
                trial[class_id] = np.clip(start + step, -_LIMIT, _LIMIT)
                score = _mean_iou(logits, truth, weight, trial, present)
                if score > best + 1e-5:
                    best, offsets, improved = score, trial, True
        if not improved:
            break
    return offsets


def _mean_iou(
    logits: Float32,
    truth: npt.NDArray[np.uint8],
    weight: Float32,
    offsets: npt.NDArray[np.float64],
    present: npt.NDArray[np.bool_],
) -> float:
    hits, truths, predictions = _count(logits, truth, weight, offsets.astype(np.float32))
    iou = hits / np.maximum(truths + predictions - hits, 1e-9)
    return float(iou[present].mean())


@numba.njit(cache=True, nogil=True)
def _count(logits, truth, weight, offsets):  # type: ignore[no-untyped-def]
    classes = logits.shape[1]
    hits, truths, predictions = np.zeros(classes), np.zeros(classes), np.zeros(classes)
    for row in range(logits.shape[0]):
        best, value = 0, -np.inf
        for c in range(classes):
            v = logits[row, c] + offsets[c]
            if v > value:
                best, value = c, v
        truths[truth[row]] += weight[row]
        predictions[best] += weight[row]
        if best == truth[row]:
            hits[best] += weight[row]
    return hits, truths, predictions
