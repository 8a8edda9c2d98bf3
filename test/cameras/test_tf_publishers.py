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

"""Two publishers of one transform are told, once; one publisher never is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tf_messages import S, message, transform

from flashocc_ros.cameras.transforms import TransformIntake, TransformTree

MS = S // 1000


class Heard:
    """An intake and what it said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.intake = TransformIntake(TransformTree(), self.said.append)

    def odometry(self, stamp_ns: int, x_m: float, yaw_rad: float = 0.0) -> None:
        yaw = Rotation.from_euler("z", yaw_rad)
        self.intake.take(message(transform("odom", "base_link", stamp_ns, (x_m, 0.0, 0.0), yaw)), static=False)

    def mount(self, x_m: float, *, static: bool) -> None:
        self.intake.take(message(transform("base_link", "camera", 5 * S, (x_m, 0.0, 1.5))), static=static)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.mark.parametrize(
    ("every", "shift_ms", "off_m", "off_rad"),
    [(1, 10, 0.4, 0.0), (1, 0, 0.4, 0.0), (2, 7, 0.3, 0.0), (5, 3, 2.0, 0.0), (1, 10, 0.0, 0.2)],
    ids=["between", "same-stamps", "half-rate", "fifth-rate", "yaw-only"],
)
def test_two_odometries_that_differ_are_told_once(
    heard: Heard, every: int, shift_ms: int, off_m: float, off_rad: float
) -> None:
    for index in range(200):
        stamp_ns = 10 * S + index * 20 * MS
        heard.odometry(stamp_ns, 5.0 * stamp_ns / S)
        if index % every == 0:
            heard.odometry(stamp_ns + shift_ms * MS, 5.0 * stamp_ns / S + off_m, off_rad)
    assert len(heard.said) == 1
    assert "odom -> base_link goes back and forth by" in heard.said[0]
    assert "stop one of them" in heard.said[0]


@pytest.mark.parametrize("repeats", [1, 2], ids=["once", "each-twice"])
def test_one_odometry_may_shake_brake_turn_and_be_sent_twice(heard: Heard, repeats: int) -> None:
    rng = np.random.default_rng(0)
    for index in range(3000):
        t = index * 0.02
        x_m = 10 * math.sin(t) + 0.005 * rng.normal()
        for _ in range(repeats):
            heard.odometry(10 * S + index * 20 * MS, x_m, 0.8 * math.sin(3 * t) + 0.005 * rng.normal())
    assert heard.said == []


def test_a_transform_on_both_topics_is_told_once(heard: Heard) -> None:
    for _ in range(3):
        heard.mount(1.0, static=True)
        heard.mount(1.0, static=False)
    assert len(heard.said) == 1
    assert "base_link -> camera comes on tf and on tf_static" in heard.said[0]
