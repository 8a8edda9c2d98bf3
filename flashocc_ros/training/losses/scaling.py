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

"""Scene-class affinity: precision, recall and specificity of the volume as losses (MonoScene)."""

from __future__ import annotations

import torch
from torch import Tensor

from flashocc_ros.labels import FREE
from flashocc_ros.training.losses.cross_entropy import IGNORE

_EPS = 1e-5


def _negative_log(value: Tensor) -> Tensor:
    """-ln(value), the value moved into [1e-5, 1 - 1e-5] by steps of 1e-5 with its gradient kept, as published."""
    with torch.no_grad():
        shift = torch.zeros_like(value)
        if value >= 1.0 - _EPS:
            shift = shift - _EPS * (torch.floor((value - (1.0 - _EPS)) / _EPS) + 1.0)
        elif value < _EPS:
            shift = shift + _EPS
    return -torch.log(value + shift)


def _affinity(probability: Tensor, truth: Tensor) -> Tensor:
    """Sum of -ln of precision, recall and specificity of one soft class; both (M,) float."""
    hit = (probability * truth).sum()
    precision = hit / (probability.sum() + _EPS)
    recall = hit / (truth.sum() + _EPS)
    loss = _negative_log(precision) + _negative_log(recall)
    absent = 1.0 - truth
    if bool(absent.any()):
        loss = loss + _negative_log(((1.0 - probability) * absent).sum() / (absent.sum() + _EPS))
    return loss


def semantic_scaling(logits: Tensor, target: Tensor, free: int = FREE) -> Tensor:
    """Affinity loss averaged over the occupied classes present; logits (..., C), target (...) ids, 255 left out."""
    keep = target.reshape(-1) != IGNORE
    probability = logits.reshape(-1, logits.shape[-1])[keep].softmax(-1)
    target = target.reshape(-1)[keep]
    losses = []
    for class_id in range(logits.shape[-1]):
        if class_id == free:
            continue
        truth = (target == class_id).to(probability.dtype)
        if bool(truth.any()):
            losses.append(_affinity(probability[:, class_id], truth))
    return torch.stack(losses).mean() if losses else logits.sum() * 0.0


def geometric_scaling(logits: Tensor, target: Tensor, free: int = FREE) -> Tensor:
    """Affinity loss of occupied against free; logits (..., C), target (...) ids, 255 left out."""
    keep = target.reshape(-1) != IGNORE
    probability = logits.reshape(-1, logits.shape[-1])[keep].softmax(-1)
    return _affinity(1.0 - probability[:, free], (target.reshape(-1)[keep] != free).to(probability.dtype))
