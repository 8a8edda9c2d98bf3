"""Cross entropy over camera-visible voxels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

IGNORE = 255


def masked_cross_entropy(logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean cross entropy over the voxels that a camera sees.

    Args:
        logits: (..., C) float.
        target: (...) integer class ids; 255 is ignored but still counts as a visible voxel.
        mask: (...) bool or 0/1, the voxels that count; None means all.

    Returns:
        Scalar; sum of the masked losses over ``sum(mask) + eps`` of float32.
    """
    loss = cross_entropy(
        logits.reshape(-1, logits.shape[-1]), target.reshape(-1).long(), ignore_index=IGNORE, reduction="none"
    )
    weight = torch.ones_like(loss) if mask is None else mask.reshape(-1).to(loss.dtype)
    return (loss * weight).sum() / (weight.sum() + torch.finfo(torch.float32).eps)
