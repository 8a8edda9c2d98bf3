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

"""RayIoU: do rays of a simulated lidar stop at the same class and distance (SparseOcc)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.evaluation.mean_iou import nan_mean
from flashocc_ros.evaluation.rays import cast, rendered
from flashocc_ros.labels import FREE

THRESHOLDS_M = (1.0, 2.0, 4.0)


class RayIoU:
    """True positives per class and distance threshold, accumulated over samples."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self.hits = np.zeros((len(THRESHOLDS_M), FREE), np.int64)
        self.truths = np.zeros(FREE, np.int64)
        self.predictions = np.zeros(FREE, np.int64)

    def update(self, pred: npt.NDArray[np.uint8], gt: npt.NDArray[np.uint8], origins: npt.ArrayLike) -> None:
        """Add one frame: class grids (200, 200, 16) and lidar origins (T, 3) in metres, base frame."""
        pred_voxel, pred_m = cast(pred, origins)
        gt_voxel, gt_m = cast(gt, origins)
        pred_class, gt_class = rendered(pred, pred_voxel), rendered(gt, gt_voxel)
        counted = gt_class != FREE
        pred_class, gt_class = pred_class[counted], gt_class[counted]
        error = np.abs(pred_m[counted] - gt_m[counted])
        self.truths += np.bincount(gt_class, minlength=FREE + 1)[:FREE]
        self.predictions += np.bincount(pred_class, minlength=FREE + 1)[:FREE]
        for row, threshold in enumerate(THRESHOLDS_M):
            hit = (pred_class == gt_class) & (error < threshold)
            self.hits[row] += np.bincount(gt_class[hit], minlength=FREE + 1)[:FREE]

    def merge(self, other: RayIoU) -> None:
        """Add the samples of another metric."""
        self.hits += other.hits
        self.truths += other.truths
        self.predictions += other.predictions

    def compute(self) -> dict[str, Any]:
        """``RayIoU``, ``RayIoU@1``, ``@2``, ``@4`` and ``per_class`` (3, 17), NaN where a class never occurs."""
        union = self.truths + self.predictions - self.hits
        table = np.divide(self.hits, union, out=np.full(union.shape, np.nan), where=union > 0)
        result: dict[str, Any] = {"RayIoU": nan_mean(table)}
        result.update({f"RayIoU@{t:g}": nan_mean(row) for t, row in zip(THRESHOLDS_M, table, strict=True)})
        return {**result, "per_class": table}
