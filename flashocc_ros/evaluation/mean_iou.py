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

"""Voxel mIoU over the voxels that a sensor sees."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from flashocc_ros.errors import InputError
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.voxel_grid import OCC3D_GRID, VoxelGrid

Mask = Literal["camera", "lidar"]


class MeanIoU:
    """Confusion matrix over masked voxels, accumulated over samples.

    Args:
        mask: which mask the caller passes to ``update``; None counts every voxel.
        classes: what the ids mean; free is counted, but not part of the mean.
    """

    def __init__(self, mask: Mask | None = "camera", classes: ClassTable = OCC3D) -> None:
        if mask not in ("camera", "lidar", None):
            raise InputError(f"mask is {mask!r}, must be 'camera', 'lidar' or None")
        self.mask, self.classes = mask, classes
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self.confusion = np.zeros((len(self.classes), len(self.classes)), np.int64)

    def update(self, pred: npt.ArrayLike, gt: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> None:
        """Add one frame.

        Args:
            pred, gt: (X, Y, Z) class ids; truth past the classes is left out.
            mask: same shape, true where the voxel counts; required unless the metric was made with ``mask=None``.
        """
        pred, gt = np.asarray(pred), np.asarray(gt)
        if pred.shape != gt.shape:
            raise InputError(f"prediction has shape {pred.shape}, truth {gt.shape}; they must agree")
        count = len(self.classes)
        keep = gt < count
        if self.mask is not None:
            if mask is None or np.shape(mask) != gt.shape:
                raise InputError(f"MeanIoU(mask={self.mask!r}) needs the {self.mask} mask of shape {gt.shape}")
            keep &= np.asarray(mask).astype(bool)
        pairs = gt[keep].astype(np.int64) * count + pred[keep]
        if pairs.size and (pred[keep].min() < 0 or pred[keep].max() >= count):
            raise InputError(f"prediction holds class {pred[keep].max()}, must be 0..{count - 1}")
        self.confusion += np.bincount(pairs, minlength=count**2).reshape(count, count)

    def merge(self, other: MeanIoU) -> None:
        """Add the samples of another metric of the same mask."""
        if other.mask != self.mask:
            raise InputError(f"cannot merge mask {other.mask!r} into mask {self.mask!r}")
        self.confusion += other.confusion

    def compute(self) -> dict[str, Any]:
        """``mIoU`` over the classes that occur in truth or prediction, free aside; ``per_class`` IoU (C,), else NaN."""
        hit = np.diag(self.confusion).astype(np.float64)
        union = self.confusion.sum(0) + self.confusion.sum(1) - hit
        iou = np.divide(hit, union, out=np.full(len(self.classes), np.nan), where=union > 0)
        return {"mIoU": nan_mean(iou[list(self.classes.solid)]), "per_class": iou}


def above_ground(
    pred: npt.NDArray[np.uint8],
    gt: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_] | None = None,
    grid: VoxelGrid = OCC3D_GRID,
    classes: ClassTable = OCC3D,
) -> npt.NDArray[np.int64]:
    """(2,) voxels that are occupied in both and in either, above the layers of the ground and within ``mask``.

    Truth past the classes is left out.
    """
    counted = (gt < len(classes)) & (True if mask is None else np.asarray(mask).astype(bool))
    counted[..., : grid.ground_layers] = False
    ours, theirs = (classes.occupied(labels)[counted] for labels in (pred, gt))
    return np.array([(ours & theirs).sum(), (ours | theirs).sum()], np.int64)


def nan_mean(values: npt.NDArray[np.float64]) -> float:
    """Mean of what is not NaN; NaN without a warning when nothing is left."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else float("nan")
