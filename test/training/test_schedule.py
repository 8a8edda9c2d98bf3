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

"""Learning rate and averaged weights follow the published schedule."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from flashocc_ros.training.config import Ema, Schedule
from flashocc_ros.training.schedule import WeightAverage, lr_factor


def test_published_schedule_warms_up_linearly_then_stays() -> None:
    schedule = Schedule(iterations=1000)
    assert lr_factor(0, schedule) == pytest.approx(0.001)
    assert lr_factor(100, schedule) == pytest.approx(0.001 + 0.999 * 0.5)
    assert lr_factor(200, schedule) == lr_factor(999, schedule) == 1.0


def test_decay_is_a_half_cosine_to_the_final_ratio() -> None:
    schedule = Schedule(iterations=100, warmup_iterations=0, decay_start=50, final_ratio=0.2)
    assert lr_factor(49, schedule) == 1.0
    assert lr_factor(75, schedule) == pytest.approx(0.6)
    assert lr_factor(99, schedule) == pytest.approx(0.2, abs=0.01)


def test_average_uses_the_published_decay_on_parameters_and_buffers() -> None:
    layer = nn.BatchNorm1d(2)
    average = WeightAverage(layer, Ema(decay=0.999, tau=2000, start=10560))
    with torch.no_grad():
        layer.weight += 1.0
        layer.running_mean += 2.0
        layer.num_batches_tracked += 3
    average.update(layer)
    decay = 0.999 * (1 - math.exp(-10561 / 2000))
    torch.testing.assert_close(average.values["weight"], torch.full((2,), 1.0 + (1 - decay)))
    torch.testing.assert_close(average.values["running_mean"], torch.full((2,), 2.0 * (1 - decay)))
    assert int(average.values["num_batches_tracked"]) == 3
