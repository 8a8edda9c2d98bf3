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

"""Sigmoid focal loss over the whole volume with weights per class and per distance (Panoptic-FlashOcc head)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from flashocc_ros.training.losses.cross_entropy import IGNORE

# Voxels per class in the Occ3D-nuScenes training set.
CLASS_FREQUENCY = (
    944004, 1897170, 152386, 2391677, 16957802, 724139, 189027, 2074468, 413451, 2384460, 5916653, 175883646,
    4275424, 51393615, 61411620, 105975596, 116424404, 1892500630,
)  # fmt: skip


_LEAST_FREQUENCY = 1e4
"""A class of a few voxels would weigh more than anything published."""


def class_frequency_weights(counts: Tensor | None = None) -> Tensor:
    """(18,) float32: 1 / ln(frequency + 0.001), rarer classes weigh more.

    Args:
        counts: (18,) voxels per class of a data set, brought to as many free ones as nuScenes has; None takes nuScenes.
    """
    frequency = torch.tensor(CLASS_FREQUENCY, dtype=torch.float64)
    if counts is not None:
        frequency = (counts.double() * (frequency[-1] / counts[-1])).clamp(min=_LEAST_FREQUENCY)
    return (1.0 / torch.log(frequency + 0.001)).float()


def radius_weights(size_x: int = 200, size_y: int = 200) -> Tensor:
    """(size_x, size_y) float32: 1 at the vehicle rising to 2 at the farthest corner."""
    x = torch.arange(size_x, dtype=torch.float32) - size_x // 2
    y = torch.arange(size_y, dtype=torch.float32) - size_y // 2
    distance = torch.sqrt(x[:, None] ** 2 + y[None] ** 2)
    return 1.0 + distance / distance.max()


def focal_occupancy(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor,
    gamma: float = 2.0,
    alpha: float = 0.25,
    weight: float = 100.0,
) -> Tensor:
    """Focal loss summed over classes, averaged over voxels.

    Args:
        logits: (B, X, Y, Z, C) float.
        target: (B, X, Y, Z) integer ids; 255 is left out.
        class_weights: (C,) float.
        weight: factor of the whole term; 100 in the published configs.
    """
    keep = (target != IGNORE).reshape(-1)
    radius = radius_weights(*logits.shape[1:3]).to(logits)[None, :, :, None].expand(target.shape).reshape(-1)[keep]
    chosen = logits.reshape(-1, logits.shape[-1])[keep]
    truth = one_hot(target.reshape(-1)[keep].long(), logits.shape[-1]).to(logits.dtype)
    probability = chosen.sigmoid()
    miss = (1.0 - probability) * truth + probability * (1.0 - truth)
    balance = (alpha * truth + (1.0 - alpha) * (1.0 - truth)) * miss.pow(gamma)
    loss = binary_cross_entropy_with_logits(chosen, truth, reduction="none") * balance
    return weight * ((loss * class_weights.to(logits)).sum(-1) * radius).mean()
