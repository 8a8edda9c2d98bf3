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
