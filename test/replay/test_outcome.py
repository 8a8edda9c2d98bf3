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

"""Which replays are failures."""

from __future__ import annotations

import pytest

from flashocc_ros.errors import EngineError
from flashocc_ros.replay.outcome import Report, check, summary


@pytest.mark.parametrize(
    ("report", "answer_topic", "reason"),
    [
        (Report(), "", "no message was replayed"),
        (Report(left_out=["/a"]), "", r"/a are of types that are not installed"),
        (Report(messages=9, sets=3, dropped=3), "occupancy", "none of 3 camera sets was answered on occupancy, 3 were"),
        (Report(messages=9, sets=3, answered=2, lost=1), "occupancy", "1 of 3 camera sets were lost"),
        (Report(messages=9, sets=3, answered=1, lost=1, unanswered=1), "occupancy", "2 of 3 camera sets were lost"),
    ],
)
def test_work_without_a_result_is_a_failure(report: Report, answer_topic: str, reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        check(report, answer_topic)


@pytest.mark.parametrize(
    ("report", "answer_topic"),
    [
        (Report(messages=9, late=9), ""),
        (Report(messages=9, sets=3, answered=3), "occupancy"),
        (Report(messages=9, sets=3, answered=2, dropped=1), "occupancy"),  # the node said why
    ],
)
def test_what_was_answered_or_dropped_with_a_reason_is_none(report: Report, answer_topic: str) -> None:
    check(report, answer_topic)


def test_the_summary_counts_what_became_of_the_sets() -> None:
    report = Report(messages=9, sets=4, answered=2, lost=1, dropped=1, answer_s=[0.1, 0.3])
    assert summary(report, "occupancy", interrupted=False) == (
        "9 messages replayed; 4 camera sets: 2 answered, 1 dropped, 1 answers lost, 0 without answer; "
        "median answer after 200 ms"
    )
