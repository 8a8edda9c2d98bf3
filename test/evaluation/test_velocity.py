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

"""Errors of velocities: objects computed by hand."""

from __future__ import annotations

import math

import pytest

from flashocc_ros.evaluation.velocity import VelocityError
from flashocc_ros.structures import Instance


def car(identity: int, velocity_mps: tuple[float, float, float] | None) -> Instance:
    deviation_mps = None if velocity_mps is None else 0.3
    return Instance(identity, 4, 0.5, (0.0, 0.0, 0.0), (4.0, 2.0, 1.6), 9, velocity_mps, deviation_mps)


TRUTH = {1: (5.0, 0.0), 2: (0.0, 0.0), 3: (0.0, -8.0)}


def test_the_error_is_apart_for_what_moves_and_what_stands() -> None:
    metric = VelocityError()
    found = [car(20, (2.0, 4.0, 0.0)), car(21, (0.3, 0.4, 0.0)), car(22, None)]
    metric.update({1: 20, 2: 21, 3: 22}, found, TRUTH)
    result = metric.compute()
    assert (result["moving"]["count"], result["standing"]["count"], result["first_seen"]) == (1, 1, 1)
    assert result["moving"]["median_error_mps"] == pytest.approx(5.0)
    assert result["moving"]["median_speed_mps"] == 5.0
    assert result["standing"]["median_error_mps"] == pytest.approx(0.5)
    assert (result["moving"]["said_to_move"], result["standing"]["said_to_move"]) == (1.0, 0.0)


def test_sequences_add_up() -> None:
    both, other = VelocityError(), VelocityError()
    both.update({1: 20}, [car(20, (5.0, 1.0, 0.0))], TRUTH)
    other.update({1: 30, 9: 31}, [car(30, (5.0, 3.0, 0.0)), car(31, (1.0, 0.0, 0.0))], TRUTH)
    both.merge(other)
    assert both.compute()["moving"]["count"] == 2
    assert both.compute()["median_error_mps"] == pytest.approx(2.0)


def test_nothing_is_not_a_number() -> None:
    assert math.isnan(VelocityError().compute()["median_error_mps"])
