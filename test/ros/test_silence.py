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

"""What the console says of results, told by a clock that the test sets."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rclpy")
from flashocc_ros.ros.silence import Silence


class Console:
    """A logger that keeps what it is told, and the time."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.info = self.warning = self.lines.append
        self.now_s = 100.0


@pytest.fixture
def console() -> Console:
    return Console()


@pytest.fixture
def silence(console: Console) -> Silence:
    logger: Any = console
    return Silence(logger, lambda: console.now_s)


def test_the_first_result_of_each_activation_is_said_with_its_time(console: Console, silence: Silence):
    console.now_s += 2.5
    silence.result()
    silence.result()
    assert console.lines == ["first result 2.5 s after activation"]
    silence.begin()
    console.now_s += 1.0
    silence.result()
    assert console.lines[1:] == ["first result 1.0 s after activation"]


def test_a_silence_is_explained_at_growing_intervals(console: Console, silence: Silence):
    said_at: list[float] = []
    for second in range(1, 1000):
        console.now_s = 100.0 + second
        before = len(console.lines)
        silence.explain("why")
        said_at += [second] * (len(console.lines) - before)
    assert said_at == [5, 30, 120, 240, 480, 960]


def test_a_silence_after_results_is_explained_and_its_end_said(console: Console, silence: Silence):
    silence.result()
    console.now_s += 7.0
    silence.explain("no result for 7.0 s: no images from back")
    silence.result()
    silence.explain("not silent")
    assert console.lines[1:] == ["no result for 7.0 s: no images from back", "results again, after 7 s without"]
