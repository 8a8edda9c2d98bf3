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

"""Stages of a network that learn at a rate of their own, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from flashocc_ros.model.network import FlashOcc
from flashocc_ros.training.config import STAGES

_MODULES = {
    "backbone": ("img_backbone",),
    "neck": ("img_neck",),
    "depth": ("img_view_transformer",),
    "bev_encoder": ("pre_process_net", "img_bev_encoder_backbone", "img_bev_encoder_neck"),
    "head": ("occ_head", "aux_centerness_head"),
}
assert tuple(_MODULES) == STAGES


def stage_modules(model: FlashOcc, stage: str) -> list[nn.Module]:
    """The modules of a stage that the network has."""
    there = dict(model.named_children())
    return [there[name] for name in _MODULES[stage] if name in there]


def freeze(model: FlashOcc, stages: Sequence[str]) -> None:
    """Weights of these stages keep their values, their normalisations the statistics they have; call after train()."""
    for stage in stages:
        for module in stage_modules(model, stage):
            module.requires_grad_(False).eval()


def rate_factors(model: FlashOcc, rates: Mapping[Any, float]) -> dict[int, float]:
    """Factor of the learning rate by the id of each parameter that has one."""
    return {
        id(parameter): rate
        for stage, rate in rates.items()
        for module in stage_modules(model, stage)
        for parameter in module.parameters()
    }
