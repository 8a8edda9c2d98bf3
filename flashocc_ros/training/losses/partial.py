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

"""Cross entropy where only a group of classes is known, see `data.partial_labels`.

The loss of such a voxel is that of the group's whole probability, so a network keeps what it knew before to tell them
apart.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from flashocc_ros.training.losses.cross_entropy import IGNORE


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
