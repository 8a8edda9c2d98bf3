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

"""A jump between two samples of odometry is seen whatever the rate of the cameras; what a vehicle can drive is none."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from flashocc_ros.cameras.relocalisation import KEPT, PoseJumps

MS = 1_000_000
S = 1_000_000_000
Samples = Iterable[tuple[int, float]]
"""Stamp and x in metres."""


def jumps_of(samples: Samples, parent: str = "odom") -> PoseJumps:
    jumps = PoseJumps(70.0)
    for stamp_ns, x_m in samples:
        jumps.take(parent, "base_link", stamp_ns, (x_m, 0.0, 0.0))
    return jumps


def drive(speed_mps: float, period_ns: int, jump_m: float = 0.0) -> list[tuple[int, float]]:
    """From 100 s to 110 s; the jump lies before the sample of 105 s."""
    return [
        (stamp_ns, speed_mps * (stamp_ns - 100 * S) / S + (jump_m if stamp_ns >= 105 * S else 0.0))
        for stamp_ns in range(100 * S, 110 * S + 1, period_ns)
    ]


@pytest.mark.parametrize("period_ns", [10 * MS, 50 * MS, 100 * MS])
def test_sets_before_and_after_a_jump_do_not_belong_together_and_one_within_is_told(period_ns: int) -> None:
    jumps = jumps_of(drive(10.0, period_ns, jump_m=20.0))
    before_ns, frames = 105 * S - period_ns, ["base_link"]
    for first_ns, last_ns, inside, passed in (
        (before_ns - 45 * MS, before_ns, "", 0),
        (before_ns - 40 * MS, before_ns + 5 * MS, "base_link", 0),
        (before_ns + 1, before_ns + 2, "base_link", 0),
        (105 * S - 1, 105 * S + 45 * MS, "base_link", 0),
        (105 * S, 105 * S + 45 * MS, "", 1),
        (109 * S, 109 * S + 45 * MS, "", 1),
    ):
        assert jumps.inside(frames, first_ns, last_ns) == inside
        assert jumps.passed(frames, first_ns) == passed


@pytest.mark.parametrize(
    ("speed_mps", "period_ns", "jump_m"), [(60.0, 10 * MS, 0.0), (60.0, S, 0.0), (5.0, 10 * MS, 0.9)]
)
def test_what_a_vehicle_drives_and_small_corrections_are_no_jumps(
    speed_mps: float, period_ns: int, jump_m: float
) -> None:
    assert jumps_of(drive(speed_mps, period_ns, jump_m)).passed(["base_link"], 109 * S) == 0


def test_frames_that_no_pose_is_made_of_may_jump() -> None:
    assert jumps_of(drive(0.0, 10 * MS, 500.0)).passed(["camera", "arm"], 109 * S) == 0


def test_a_sample_that_comes_late_is_no_jump() -> None:
    late = [(101 * S, 100.0), (101 * S + 10 * MS, 100.1), (100 * S, 0.0), (101 * S + 20 * MS, 100.2)]
    assert jumps_of(late).passed(["base_link"], 109 * S) == 0


def test_the_number_only_grows_however_many_jumps_there_were() -> None:
    jumps = PoseJumps(70.0)
    numbers = []
    for index in range(3 * KEPT):
        jumps.take("odom", "base_link", index * 10 * MS, (index % 2 * 20.0, 0.0, 0.0))
        numbers.append(jumps.passed(["base_link"], index * 10 * MS))
    assert numbers == list(range(3 * KEPT))
    jumps.clear()
    assert jumps.passed(["base_link"], 0) == numbers[-1]
