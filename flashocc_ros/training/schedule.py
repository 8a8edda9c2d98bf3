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

"""Learning-rate factor per iteration and the averaged weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from flashocc_ros.training.config import Ema, Schedule


def lr_factor(iteration: int, schedule: Schedule) -> float:
    """Factor of the learning rate at ``iteration`` (0-based)."""
    if iteration < schedule.warmup_iterations:
        progress = iteration / schedule.warmup_iterations
        return schedule.warmup_ratio + (1.0 - schedule.warmup_ratio) * progress
    if schedule.decay_start is None or iteration < schedule.decay_start:
        return 1.0
    progress = (iteration - schedule.decay_start) / max(1, schedule.iterations - schedule.decay_start)
    return schedule.final_ratio + (1.0 - schedule.final_ratio) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


class WeightAverage:
    """Exponential moving average of all floating-point parameters and buffers; others are copied.

    The decay follows the reference: ``decay * (1 - exp(-t / tau))`` with t counted from ``start``.
    """

    def __init__(self, model: nn.Module, config: Ema) -> None:
        self.config = config
        self.updates = config.start
        self.values: dict[str, Tensor] = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @property
    def decay(self) -> float:
        """Decay at the current count."""
        return self.config.decay * (1.0 - math.exp(-self.updates / self.config.tau))

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model's present values."""
        self.updates += 1
        decay = self.decay
        for key, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                self.values[key].lerp_(value.detach(), 1.0 - decay)
            else:
                self.values[key].copy_(value)

    def network_values(self) -> dict[str, Tensor]:
        """Averaged values of the network alone, without the layers that only training needs."""
        prefix = "model."
        return {k.removeprefix(prefix): v for k, v in self.values.items() if k.startswith(prefix)}

    def state_dict(self) -> dict[str, object]:
        return {"updates": self.updates, "values": self.values}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        updates, values = state["updates"], state["values"]
        assert isinstance(updates, int)
        assert isinstance(values, dict)
        self.updates = updates
        for key, value in values.items():
            self.values[key].copy_(value)
