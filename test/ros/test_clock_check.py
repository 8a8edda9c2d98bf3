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

"""Which latencies cannot be one, and what is said of them."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")
from flashocc_ros.ros.clock_check import clock_fault

NOW_NS = 1_800_000_000_000_000_000


@pytest.mark.parametrize("latency_s", [-0.05, 0.0, 0.3, 9.0])
def test_a_latency_that_can_be_one_is_no_fault(latency_s: float):
    assert clock_fault(latency_s, NOW_NS, False) == ""


@pytest.mark.parametrize(
    ("latency_s", "sim", "words"),
    [
        (-36.8, False, ["36.8 s ahead of the clock", "TAI is 37 s ahead"]),
        (-35.0, False, ["35.0 s ahead", "TAI"]),
        (-0.5, False, ["0.5 s ahead", "the same time (PTP or chrony)"]),
        (60.0, False, ["60.0 s behind", "use_sim_time", "PTP or chrony"]),
        (3600.0, False, ["3600.0 s behind", "set use_sim_time and publish /clock", "no latency is reported"]),
        (20.0, True, ["20.0 s behind", "whoever publishes /clock"]),
        (1e8, True, ["/clock is of another recording"]),
    ],
)
def test_another_one_is_said_with_its_value_and_likely_cause(latency_s: float, sim: bool, words: list[str]):
    sentence = clock_fault(latency_s, NOW_NS, sim)
    assert [word for word in words if word not in sentence] == []


def test_a_clock_that_nobody_publishes_is_named():
    assert "nobody has published /clock" in clock_fault(-1.7e9, 0, True)
