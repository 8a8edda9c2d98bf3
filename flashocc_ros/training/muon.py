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

"""Muon for the hidden convolutions, AdamW for everything else.

Muon replaces the averaged gradient of a weight matrix by the nearest matrix with orthonormal rows or columns, so that
every direction of the matrix moves alike (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon). It suits
weights whose scale is undone by the normalisation behind them; biases, norms, first and last layers stay with AdamW.
``torch.optim.Muon`` takes matrices only, a convolution's weight has four axes or five.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from flashocc_ros.training.config import Optimizer

MIN_INPUTS = 16
"""A convolution of fewer input channels is a first layer."""
MOMENTUM = 0.95
_STEPS = 5
# A quintic that brings singular values from (0, 1] near 1 in five steps; they need not become exactly 1.
_QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrix: Tensor) -> Tensor:
    """(R, C) with its singular values brought to about 1 by Newton-Schulz iteration, in float32."""
    a, b, c = _QUINTIC
    x = matrix.float()
    x = x / (x.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    for _ in range(_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class MuonAdamW(torch.optim.AdamW):
    """One optimiser with two kinds of parameter groups; groups with ``muon`` True are stepped by Muon.

    Args:
        groups: ``params``, ``lr`` and ``muon`` each; a rate of Muon is for matrices that are not taller than wide,
            taller ones move by sqrt(out / in) more.
        weight_decay: of all, relative to the rate.
    """

    def __init__(self, groups: list[dict[str, Any]], weight_decay: float) -> None:
        super().__init__(groups, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["muon"]:
                self._muon(group)
        # AdamW passes over parameters without a gradient, hence over those just moved.
        super().step()
        return loss

    def _muon(self, group: dict[str, Any]) -> None:
        for weight in group["params"]:
            if weight.grad is None:
                continue
            gradient = weight.grad.flatten(1)
            state = self.state[weight]
            if not state:
                # AdamW looks for the count when a state is restored.
                state["step"], state["momentum"] = torch.zeros(()), torch.zeros_like(gradient)
            state["step"] += 1
            mean = state["momentum"].lerp_(gradient, 1.0 - MOMENTUM)
            update = orthogonalised(gradient.lerp(mean, MOMENTUM))
            rate = group["lr"] * max(1.0, update.shape[0] / update.shape[1]) ** 0.5
            weight.mul_(1.0 - group["lr"] * group["weight_decay"])
            weight.sub_(update.to(weight).reshape(weight.shape), alpha=rate)
            weight.grad = None


def build_optimizer(
    model: nn.Module, config: Optimizer, factors: Mapping[int, float] | None = None
) -> torch.optim.Optimizer:
    """AdamW, or with ``config.muon_lr`` Muon for the convolutions that a normalisation follows: those without bias.

    Args:
        factors: of the rate by the id of a parameter, 1 for those that are missing; what needs no gradient is left out.
    """
    hidden: set[int] = set()
    if config.muon_lr:
        hidden = {
            id(module.weight)
            for module in model.modules()
            if isinstance(module, (nn.Conv2d, nn.Conv3d)) and module.bias is None and module.in_channels >= MIN_INPUTS
        }
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            key = id(parameter) in hidden, (factors or {}).get(id(parameter), 1.0)
            groups.setdefault(key, []).append(parameter)
    # What moves at the full rate comes first, and AdamW before Muon.
    ordered = [
        {"params": groups[key], "lr": (config.muon_lr if key[0] else config.lr) * key[1], "muon": key[0]}
        for key in sorted(groups, key=lambda key: (key[1] != 1.0, key[1], key[0]))
    ]
    if config.muon_lr:
        return MuonAdamW(ordered, config.weight_decay)
    plain = [{"params": group["params"], "lr": group["lr"]} for group in ordered]
    return torch.optim.AdamW(plain, weight_decay=config.weight_decay)
