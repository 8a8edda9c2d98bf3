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

"""The only entry to the networks."""

from __future__ import annotations

import torch
from torch import nn

from flashocc_ros.model.network import FlashOcc
from flashocc_ros.model.patch_matching import PatchMatching
from flashocc_ros.variants import Variant, get_variant

HEATMAP_PRIOR_BIAS, HEATMAP_SPREAD = -2.19, 0.01
"""Logit of 0.1, and weights too small to move it: an untrained centre head starts out claiming few centres. With
weights of full size the few cells that claim one outweigh every other loss a thousandfold."""


def build_model(name: str | Variant, seed: int = 0) -> FlashOcc:
    """The network called ``name`` in evaluation mode, with deterministic untrained weights.

    Args:
        name: a key of ``VARIANTS`` (or a row of it).
        seed: of the initial weights; the global random state is left alone.

    Raises:
        ConfigError: no such variant.
    """
    variant = get_variant(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = FlashOcc(variant)
        _initialise(model)
    return model.eval()


def _initialise(model: FlashOcc) -> None:
    """Variance-preserving start for convolutions, so that untrained depth and logits stay in a sane range."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, PatchMatching):
            module.initialise()
    head = model.aux_centerness_head
    if head is not None:
        heatmap = head.task_heads[0]["heatmap"][1]  # type: ignore[index]
        nn.init.normal_(heatmap.weight, std=HEATMAP_SPREAD)
        nn.init.constant_(heatmap.bias, HEATMAP_PRIOR_BIAS)
