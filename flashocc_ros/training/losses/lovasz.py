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

"""Lovasz-softmax: the convex extension of the Jaccard loss (Berman et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from flashocc_ros.training.losses.cross_entropy import IGNORE


def _lovasz_gradient(truth_sorted: Tensor) -> Tensor:
    """Gradient of the Jaccard loss with respect to sorted errors; (M,) 0/1 sorted by decreasing error."""
    total = truth_sorted.sum()
    intersection = total - truth_sorted.cumsum(0)
    union = total + (1.0 - truth_sorted).cumsum(0)
    jaccard = 1.0 - intersection / union
    return torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])


def lovasz_softmax(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over present classes (free included), all voxels of the batch together.

    Args:
        logits: (..., C) float.
        target: (...) integer ids; 255 is left out.
    """
    keep = target.reshape(-1) != IGNORE
    probability = logits.reshape(-1, logits.shape[-1])[keep].softmax(-1)
    target = target.reshape(-1)[keep]
    losses = []
    for class_id in range(logits.shape[-1]):
        truth = (target == class_id).to(probability.dtype)
        if not bool(truth.any()):
            continue
        error, order = (truth - probability[:, class_id]).abs().sort(descending=True)
        losses.append(torch.dot(error, _lovasz_gradient(truth[order])))
    return torch.stack(losses).mean() if losses else logits.sum() * 0.0
