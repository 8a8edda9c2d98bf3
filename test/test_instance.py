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

"""What is known of an object."""

from __future__ import annotations

import math

import pytest

from flashocc_ros.instance import Instance, known_velocity


def car(velocity_mps: tuple[float, float, float] | None, deviation_mps: float | None) -> Instance:
    return Instance(20, 4, 0.5, (0.0, 0.0, 0.0), (4.0, 2.0, 1.6), 9, velocity_mps, deviation_mps)


@pytest.mark.parametrize(
    ("velocity_mps", "deviation_mps", "moves"),
    [
        ((0.0, -3.0, 0.0), 0.4, True),
        ((0.0, -3.0, 0.0), 2.0, False),  # it may as well stand
        ((0.6, 0.6, 0.0), 0.1, False),
        (None, None, False),
    ],
)
def test_an_object_moves_where_that_is_sure(
    velocity_mps: tuple[float, float, float] | None, deviation_mps: float | None, moves: bool
) -> None:
    assert car(velocity_mps, deviation_mps).moves is moves


def test_an_unknown_velocity_is_not_a_number_where_every_object_has_one() -> None:
    assert all(map(math.isnan, car(None, None).velocity_numbers))
    assert known_velocity(*car(None, None).velocity_numbers) == (None, None)
    assert known_velocity(*car((1.0, 2.0, 0.0), 0.5).velocity_numbers) == ((1.0, 2.0, 0.0), 0.5)


def test_a_velocity_that_nobody_filled_in_is_unknown() -> None:
    assert known_velocity(0.0, 0.0, 0.0, 0.0) == (None, None)
