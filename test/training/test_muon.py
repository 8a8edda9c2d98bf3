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

"""The optimiser that moves hidden convolutions by orthogonal steps."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from flashocc_ros.training.config import Optimizer
from flashocc_ros.training.muon import MuonAdamW, build_optimizer, orthogonalised


@pytest.mark.parametrize("shape", [(24, 90), (90, 24), (16, 16)])
def test_singular_values_of_an_update_are_near_one(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.linalg.svdvals(orthogonalised(torch.randn(shape, generator=generator)))
    assert float(values.min()) > 0.3
    assert float(values.max()) < 1.3


def test_an_update_does_not_depend_on_the_scale_of_the_gradient() -> None:
    gradient = torch.randn(20, 30, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(orthogonalised(gradient), orthogonalised(1e-3 * gradient), atol=1e-4, rtol=1e-3)


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 2, 1),
    )


def test_only_convolutions_before_a_norm_and_after_the_first_are_muon_s() -> None:
    network = _network()
    optimizer = build_optimizer(network, Optimizer(muon_lr=0.02))
    others, hidden = (group["params"] for group in optimizer.param_groups)
    assert [id(weight) for weight in hidden] == [id(network[3].weight)]
    assert len(others) == len(list(network.parameters())) - 1


def test_without_a_rate_everything_is_adamw_s() -> None:
    assert type(build_optimizer(_network(), Optimizer())) is torch.optim.AdamW


def _fit(network: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(4, 3, 8, 8, generator=generator)
    truth = torch.stack([images[:, 0] * images[:, 1], images[:, 2].roll(1, -1)], 1)
    losses = []
    for _ in range(steps):
        loss = (network(images) - truth).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def test_a_restored_optimizer_takes_the_same_steps() -> None:
    network = _network()
    optimizer = build_optimizer(network, Optimizer(lr=1e-2, muon_lr=0.02))
    _fit(network, optimizer, 3)
    twin = _network()
    twin.load_state_dict(network.state_dict())
    restored = build_optimizer(twin, Optimizer(lr=1e-2, muon_lr=0.02))
    restored.load_state_dict(deepcopy(optimizer.state_dict()))
    assert _fit(network, optimizer, 4) == _fit(twin, restored, 4)


def test_it_learns_what_it_is_shown() -> None:
    network = _network()
    losses = _fit(network, build_optimizer(network, Optimizer(lr=1e-2, muon_lr=0.02)), 60)
    assert losses[-1] < 0.5 * losses[0]


def test_a_closure_is_called_once() -> None:
    network = _network()
    optimizer = build_optimizer(network, Optimizer(muon_lr=0.02))
    assert isinstance(optimizer, MuonAdamW)
    calls = []

    def closure() -> float:
        calls.append(1)
        loss = network(torch.ones(1, 3, 4, 4)).square().sum()
        loss.backward()
        return float(loss.detach())

    assert optimizer.step(closure) > 0
    assert len(calls) == 1
