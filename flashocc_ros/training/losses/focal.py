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

from flashocc_ros.labels import CLASS_NAMES, OCC3D, ClassTable
from flashocc_ros.training.losses.cross_entropy import IGNORE

# Voxels per class in the Occ3D-nuScenes training set.
CLASS_FREQUENCY = (
    944004, 1897170, 152386, 2391677, 16957802, 724139, 189027, 2074468, 413451, 2384460, 5916653, 175883646,
    4275424, 51393615, 61411620, 105975596, 116424404, 1892500630,
)  # fmt: skip


_LEAST_FREQUENCY = 1e4
"""A class of a few voxels would weigh more than anything published."""


def class_frequency_weights(counts: Tensor | None = None, classes: ClassTable = OCC3D) -> Tensor:
    """(C,) float32: 1 / ln(frequency + 0.001), rarer classes weigh more.

    Args:
        counts: (C,) voxels per class of a data set, brought to as many free ones as nuScenes has; None takes nuScenes,
            where classes of one's own are as frequent as those of Occ3D that they are made from; those made from none
            weigh as much as the mean of the others.
        classes: what the ids mean.
    """
    of_source = dict(zip(CLASS_NAMES, CLASS_FREQUENCY, strict=True))
    if counts is not None:
        free = of_source["free"] / counts[classes.free]
        return (1.0 / torch.log((counts.double() * free).clamp(min=_LEAST_FREQUENCY) + 0.001)).float()
    frequency = torch.tensor([sum(of_source[s] for s in c.sources) for c in classes.classes], dtype=torch.float64)
    weights = 1.0 / torch.log(frequency + 0.001)
    known = frequency > 0
    return torch.where(known, weights, weights[known].mean() if bool(known.any()) else 1.0).float()


def radius_weights(size_x: int = 200, size_y: int = 200, vehicle: tuple[float, float] | None = None) -> Tensor:
    """(size_x, size_y) float32: 1 at the vehicle rising to 2 at the farthest corner.

    Args:
        vehicle: its place in voxels from the lower corner; None is the middle.
    """
    middle_x, middle_y = (size_x // 2, size_y // 2) if vehicle is None else vehicle
    x = torch.arange(size_x, dtype=torch.float32) - middle_x
    y = torch.arange(size_y, dtype=torch.float32) - middle_y
    distance = torch.sqrt(x[:, None] ** 2 + y[None] ** 2)
    return 1.0 + distance / distance.max()


def focal_occupancy(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor,
    gamma: float = 2.0,
    alpha: float = 0.25,
    weight: float = 100.0,
    vehicle: tuple[float, float] | None = None,
) -> Tensor:
    """Focal loss summed over classes, averaged over voxels.

    Args:
        logits: (B, X, Y, Z, C) float.
        target: (B, X, Y, Z) integer ids; 255 is left out.
        class_weights: (C,) float.
        weight: factor of the whole term; 100 in the published configs.
        vehicle: see ``radius_weights``.
    """
    keep = (target != IGNORE).reshape(-1)
    radius = radius_weights(logits.shape[1], logits.shape[2], vehicle).to(logits)
    radius = radius[None, :, :, None].expand(target.shape).reshape(-1)[keep]
    chosen = logits.reshape(-1, logits.shape[-1])[keep]
    truth = one_hot(target.reshape(-1)[keep].long(), logits.shape[-1]).to(logits.dtype)
    probability = chosen.sigmoid()
    miss = (1.0 - probability) * truth + probability * (1.0 - truth)
    balance = (alpha * truth + (1.0 - alpha) * (1.0 - truth)) * miss.pow(gamma)
    loss = binary_cross_entropy_with_logits(chosen, truth, reduction="none") * balance
    return weight * ((loss * class_weights.to(logits)).sum(-1) * radius).mean()
