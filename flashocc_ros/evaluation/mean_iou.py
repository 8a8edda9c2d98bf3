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
from flashocc_ros.labels import FREE, GROUND_LAYERS, NUM_CLASSES

Mask = Literal["camera", "lidar"]


class MeanIoU:
    """Confusion matrix over masked voxels, accumulated over samples.

    Args:
        mask: which mask the caller passes to ``update``; None counts every voxel.
    """

    def __init__(self, mask: Mask | None = "camera") -> None:
        if mask not in ("camera", "lidar", None):
            raise InputError(f"mask is {mask!r}, must be 'camera', 'lidar' or None")
        self.mask = mask
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self.confusion = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)

    def update(self, pred: npt.ArrayLike, gt: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> None:
        """Add one frame.

        Args:
            pred, gt: (200, 200, 16) class ids; truth outside 0..17 is left out.
            mask: same shape, true where the voxel counts; required unless the metric was made with ``mask=None``.
        """
        pred, gt = np.asarray(pred), np.asarray(gt)
        if pred.shape != gt.shape:
            raise InputError(f"prediction has shape {pred.shape}, truth {gt.shape}; they must agree")
        keep = gt < NUM_CLASSES
        if self.mask is not None:
            if mask is None or np.shape(mask) != gt.shape:
                raise InputError(f"MeanIoU(mask={self.mask!r}) needs the {self.mask} mask of shape {gt.shape}")
            keep &= np.asarray(mask).astype(bool)
        pairs = gt[keep].astype(np.int64) * NUM_CLASSES + pred[keep]
        if pairs.size and (pred[keep].min() < 0 or pred[keep].max() >= NUM_CLASSES):
            raise InputError(f"prediction holds class {pred[keep].max()}, must be 0..{NUM_CLASSES - 1}")
        self.confusion += np.bincount(pairs, minlength=NUM_CLASSES**2).reshape(NUM_CLASSES, NUM_CLASSES)

    def merge(self, other: MeanIoU) -> None:
        """Add the samples of another metric of the same mask."""
        if other.mask != self.mask:
            raise InputError(f"cannot merge mask {other.mask!r} into mask {self.mask!r}")
        self.confusion += other.confusion

    def compute(self) -> dict[str, Any]:
        """``mIoU`` over classes 0..16 that occur in truth or prediction, ``per_class`` IoU (18,) with NaN elsewhere."""
        hit = np.diag(self.confusion).astype(np.float64)
        union = self.confusion.sum(0) + self.confusion.sum(1) - hit
        iou = np.divide(hit, union, out=np.full(NUM_CLASSES, np.nan), where=union > 0)
        return {"mIoU": nan_mean(iou[: NUM_CLASSES - 1]), "per_class": iou}


def above_ground(
    pred: npt.NDArray[np.uint8], gt: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.int64]:
    """(2,) voxels that are occupied in both and in either, above the layers of the ground and within ``mask``."""
    counted = slice(None) if mask is None else np.asarray(mask).astype(bool)[..., GROUND_LAYERS:]
    ours, theirs = ((labels != FREE)[..., GROUND_LAYERS:][counted] for labels in (pred, gt))
    return np.array([(ours & theirs).sum(), (ours | theirs).sum()], np.int64)


def nan_mean(values: npt.NDArray[np.float64]) -> float:
    """Mean of what is not NaN; NaN without a warning when nothing is left."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else float("nan")
