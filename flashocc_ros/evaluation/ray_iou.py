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
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid

THRESHOLDS_M = (1.0, 2.0, 4.0)


class RayIoU:
    """True positives per class and distance threshold, accumulated over samples.

    Args:
        grid, classes: where the voxels lie and what their ids mean.
    """

    def __init__(self, grid: VoxelGrid = OCC3D_GRID, classes: ClassTable = OCC3D) -> None:
        self.grid, self.classes = grid, classes
        self._solid = np.array(classes.solid)
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self.hits = np.zeros((len(THRESHOLDS_M), len(self._solid)), np.int64)
        self.truths = np.zeros(len(self._solid), np.int64)
        self.predictions = np.zeros(len(self._solid), np.int64)

    def update(self, pred: npt.NDArray[np.uint8], gt: npt.NDArray[np.uint8], origins: npt.ArrayLike) -> None:
        """Add one frame: class grids (X, Y, Z) and lidar origins (T, 3) in metres, base frame."""
        pred_voxel, pred_m = cast(pred, origins, self.grid, self.classes)
        gt_voxel, gt_m = cast(gt, origins, self.grid, self.classes)
        pred_class, gt_class = rendered(pred, pred_voxel), rendered(gt, gt_voxel)
        counted = (gt_class != self.classes.free) & (gt_class < len(self.classes))
        pred_class, gt_class = pred_class[counted], gt_class[counted]
        error = np.abs(pred_m[counted] - gt_m[counted])
        self.truths += self._per_class(gt_class)
        self.predictions += self._per_class(pred_class)
        for row, threshold in enumerate(THRESHOLDS_M):
            hit = (pred_class == gt_class) & (error < threshold)
            self.hits[row] += self._per_class(gt_class[hit])

    def _per_class(self, found: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Rays of every class but free."""
        return np.bincount(found, minlength=len(self.classes))[self._solid]

    def merge(self, other: RayIoU) -> None:
        """Add the samples of another metric."""
        self.hits += other.hits
        self.truths += other.truths
        self.predictions += other.predictions

    def compute(self) -> dict[str, Any]:
        """``RayIoU``, ``RayIoU@1``, ``@2``, ``@4`` and ``per_class`` (3, C - 1), free left out, NaN for none."""
        union = self.truths + self.predictions - self.hits
        table = np.divide(self.hits, union, out=np.full(union.shape, np.nan), where=union > 0)
        result: dict[str, Any] = {"RayIoU": nan_mean(table)}
        result.update({f"RayIoU@{t:g}": nan_mean(row) for t, row in zip(THRESHOLDS_M, table, strict=True)})
        return {**result, "per_class": table}
