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

"""RayPQ: panoptic quality of the segments that rays of a simulated lidar hit (Panoptic-FlashOcc)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.evaluation.mean_iou import nan_mean
from flashocc_ros.evaluation.ray_iou import THRESHOLDS_M
from flashocc_ros.evaluation.rays import cast, rendered
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid

Int64 = npt.NDArray[np.int64]
MIN_RAYS = 10
"""An unmatched segment with fewer rays is no error."""


class RayPQ:
    """Matched and unmatched segments per class and distance threshold, accumulated over samples.

    Args:
        grid, classes: where the voxels lie and what their ids mean.
    """

    def __init__(self, grid: VoxelGrid = OCC3D_GRID, classes: ClassTable = OCC3D) -> None:
        self.grid, self.classes = grid, classes
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        shape = (len(THRESHOLDS_M), len(self.classes))
        self.tp, self.fp, self.fn = (np.zeros(shape, np.int64) for _ in range(3))
        self.iou_sum = np.zeros(shape)

    def update(
        self,
        pred_sem: npt.NDArray[np.uint8],
        pred_inst: npt.NDArray[np.int32],
        gt_sem: npt.NDArray[np.uint8],
        gt_inst: npt.NDArray[np.int32],
        origins: npt.ArrayLike,
    ) -> None:
        """Add one frame.

        Args:
            pred_sem, gt_sem: (X, Y, Z) class ids.
            pred_inst: same shape, ids as predicted; stuff voxels may carry their class id.
            gt_inst: same shape, 0 = none, instances of things from 1 on.
            origins: (T, 3) lidar origins in metres, base frame.
        """
        pred_voxel, pred_m = cast(pred_sem, origins, self.grid, self.classes)
        gt_voxel, gt_m = cast(gt_sem, origins, self.grid, self.classes)
        gt_class = rendered(gt_sem, gt_voxel)
        counted = (gt_class != self.classes.free) & (gt_class < len(self.classes))
        gt_class, gt_voxel, pred_voxel = gt_class[counted], gt_voxel[counted], pred_voxel[counted]
        error = np.abs(pred_m[counted] - gt_m[counted])
        pred_class = rendered(pred_sem, pred_voxel)
        pred_segment = rendered(pred_inst, pred_voxel) + 1
        gt_segment = _truth_segments(gt_class, rendered(gt_inst, gt_voxel), self.classes) + 1
        for class_id in self.classes.solid:
            in_pred, in_gt = pred_class == class_id, gt_class == class_id
            both = in_pred & in_gt
            pred_ids, pred_area = np.unique(pred_segment[in_pred], return_counts=True)
            gt_ids, gt_area = np.unique(gt_segment[in_gt], return_counts=True)
            if not pred_ids.size and not gt_ids.size:
                continue
            pred_row = np.searchsorted(pred_ids, pred_segment[both])
            gt_row = np.searchsorted(gt_ids, gt_segment[both])
            for row, threshold in enumerate(THRESHOLDS_M):
                near = error[both] < threshold
                common = np.zeros((gt_ids.size, pred_ids.size), np.int64)
                np.add.at(common, (gt_row[near], pred_row[near]), 1)
                iou = common / (gt_area[:, None] + pred_area[None] - common)
                matched = iou > 0.5
                self.tp[row, class_id] += matched.sum()
                self.iou_sum[row, class_id] += iou[matched].sum()
                self.fn[row, class_id] += ((gt_area >= MIN_RAYS) & ~matched.any(1)).sum()
                self.fp[row, class_id] += ((pred_area >= MIN_RAYS) & ~matched.any(0)).sum()

    def merge(self, other: RayPQ) -> None:
        """Add the samples of another metric."""
        self.tp += other.tp
        self.fp += other.fp
        self.fn += other.fn
        self.iou_sum += other.iou_sum

    def compute(self) -> dict[str, Any]:
        """``RayPQ``, ``RayPQ@1``, ``@2``, ``@4``, ``per_class`` (3, C), NaN where nothing counted, and sums."""
        quality = self.iou_sum / np.maximum(self.tp, 1e-5)
        recognition = self.tp / np.maximum(self.tp + self.fp / 2 + self.fn / 2, 1e-5)
        table = np.where(self.tp + self.fp + self.fn > 0, quality * recognition, np.nan)
        result: dict[str, Any] = {"RayPQ": nan_mean(table)}
        result.update({f"RayPQ@{t:g}": nan_mean(row) for t, row in zip(THRESHOLDS_M, table, strict=True)})
        sums = {"tp": self.tp.copy(), "fp": self.fp.copy(), "fn": self.fn.copy(), "iou_sum": self.iou_sum.copy()}
        return {**result, "per_class": table, **sums}


def _truth_segments(semantics: Int64, instances: Int64, classes: ClassTable) -> Int64:
    """Segment number per ray: things per instance, every other class one segment, 0 = thing without usable instance.

    An instance whose rays do not all show one class is not usable.
    """
    segments = np.zeros_like(instances)
    ids, inverse = np.unique(instances, return_inverse=True)
    lowest, highest = np.full(ids.size, len(classes)), np.full(ids.size, -1)
    np.minimum.at(lowest, inverse, semantics)
    np.maximum.at(highest, inverse, semantics)
    class_of_id = np.where((lowest == highest) & (ids >= 1), lowest, classes.free)
    number = 1
    for class_id in classes.solid:
        here = semantics == class_id
        if not here.any():
            continue
        if class_id in classes.things:
            for position in np.flatnonzero(class_of_id == class_id):
                segments[inverse == position] = number
                number += 1
        else:
            segments[here] = number
            number += 1
    return segments
