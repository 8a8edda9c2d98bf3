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

"""Voxels and pixels of which only a group of classes is known: a lidar tells that something stands there, not what.

Targets are class ids, or one of two ids above them: ground of unknown class, something else of unknown class. Whatever
class of its group a network says there is right: its loss is that of the group's whole probability, so it keeps what it
knew before to tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from flashocc_ros.labels import FLAT_CLASSES, FREE, NUM_CLASSES
from flashocc_ros.training.losses.cross_entropy import IGNORE

UNKNOWN_GROUND, UNKNOWN_THING = NUM_CLASSES, NUM_CLASSES + 1
NUM_TARGETS = NUM_CLASSES + 2
Bool = npt.NDArray[np.bool_]


def possible_classes(boxed: Iterable[int]) -> Bool:
    """(20, 18): which classes a voxel of each target may have.

    Args:
        boxed: classes of boxes: what has none is none of them.
    """
    possible = np.zeros((NUM_TARGETS, NUM_CLASSES), bool)
    possible[:NUM_CLASSES] = np.eye(NUM_CLASSES, dtype=bool)
    possible[UNKNOWN_GROUND, list(FLAT_CLASSES)] = True
    possible[UNKNOWN_THING] = True
    possible[UNKNOWN_THING, [*FLAT_CLASSES, FREE, *boxed]] = False
    return possible


def targets_of(semantics: npt.NDArray[np.uint8], guessed: Bool, observed: Bool) -> npt.NDArray[np.uint8]:
    """Targets from labels: guessed classes become their group, what nobody observed 255."""
    group = np.where(np.isin(semantics, FLAT_CLASSES), UNKNOWN_GROUND, UNKNOWN_THING)
    return np.where(observed, np.where(guessed, group, semantics), IGNORE).astype(np.uint8)


def shown_classes(targets: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Classes to draw: some road, some thing, nothing where nothing is known."""
    table = np.full(256, FREE, np.uint8)
    table[:NUM_CLASSES] = np.arange(NUM_CLASSES)
    table[[UNKNOWN_GROUND, UNKNOWN_THING]] = FLAT_CLASSES[0], max(set(range(FREE)) - set(FLAT_CLASSES) - {FREE - 1})
    return table[targets]


def partial_cross_entropy(logits: Tensor, targets: Tensor, possible: Tensor) -> Tensor:
    """(M,) -ln of the probability of all classes that are possible; logits (M, C), targets (M,), possible (T, C) bool.

    Where the class is known this is the cross entropy; 0 where a target is 255.
    """
    loss = F.cross_entropy(
        logits, torch.where(targets < logits.shape[1], targets, IGNORE), reduction="none", ignore_index=IGNORE
    )
    unsure = torch.nonzero((targets >= logits.shape[1]) & (targets != IGNORE))[:, 0]
    if not len(unsure):
        return loss
    chosen = logits[unsure]
    right = chosen.masked_fill(~possible[targets[unsure]], -torch.inf).logsumexp(-1)
    return loss.index_copy(0, unsure, (chosen.logsumexp(-1) - right).to(loss.dtype))


def completed(
    scores: npt.NDArray[np.floating], targets: npt.NDArray[np.uint8], possible: Bool
) -> npt.NDArray[np.uint8]:
    """(M,) classes: each group's member with the highest of ``scores`` (M, C)."""
    unsure = (targets >= NUM_CLASSES) & (targets != IGNORE)
    if not unsure.any():
        return targets
    result = targets.copy()
    result[unsure] = np.where(possible[targets[unsure]], scores[unsure], -np.inf).argmax(1)
    return result
