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

"""Long work speaks: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from flashocc_ros import progress as module
from flashocc_ros.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its only value is the time in seconds."""
    now_s = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now_s[0])
    return now_s


def told(clock: list[float], steps: list[tuple[float, int, int | None]], quiet: bool = False) -> list[str]:
    """Lines of a work in a log; steps are seconds since its begin, pieces done and in all."""
    log = io.StringIO()
    with Progress(quiet, Console(file=log)) as progress:
        progress.begin("drawing")
        for at_s, done, total in steps:
            clock[0] = 100.0 + at_s
            progress(done, total)
    return log.getvalue().splitlines()


def test_a_log_gets_a_line_every_five_seconds_with_the_time_left(clock: list[float]) -> None:
    lines = told(clock, [(0.5 * k, k // 4, 10) for k in range(40)])
    assert lines == [
        "drawing: 2 of 10, about 20 s left",
        "drawing: 5 of 10, about 10 s left",
        "drawing: 7 of 10, about 6 s left",
    ]


def test_the_first_piece_foretells_nothing(clock: list[float]) -> None:
    assert told(clock, [(60.0, 1, 24)]) == ["drawing: 1 of 24"]


def test_what_has_not_begun_says_for_how_long(clock: list[float]) -> None:
    assert told(clock, [(6.0, 0, 24), (12.0, 3, None)]) == ["drawing: 6 s", "drawing: 3 of 24, about 84 s left"]


def test_short_and_quiet_work_says_nothing(clock: list[float]) -> None:
    assert told(clock, [(4.9, 9, 10)]) == []
    assert told(clock, [(60.0, 9, 10)], quiet=True) == []


def test_a_terminal_gets_bars() -> None:
    log = io.StringIO()
    with Progress(console=Console(file=log, force_terminal=True)) as progress:
        progress.begin("drawing", 10)
        progress(3)
        progress.begin("measuring", 4)
        progress(2)
    assert "drawing" in log.getvalue()
    assert "2/4" in log.getvalue()


def test_what_was_done_before_does_not_count_for_the_time_left(clock: list[float]) -> None:
    log = io.StringIO()
    with Progress(console=Console(file=log)) as progress:
        progress.begin("training", 100, first=80)
        progress.describe("training, loss 0.5")
        clock[0] += 10.0
        progress(90)
    assert log.getvalue() == "training, loss 0.5: 90 of 100, about 10 s left\n"


def test_a_unit_follows_the_numbers(clock: list[float]) -> None:
    log = io.StringIO()
    with Progress(console=Console(file=log)) as progress:
        progress.begin("labelling", 100, unit="%")
        clock[0] += 10.0
        progress(50)
    assert log.getvalue() == "labelling: 50 of 100 %, about 10 s left\n"


def test_a_sentence_is_said_also_in_silence() -> None:
    log = io.StringIO()
    Progress(quiet=True, console=Console(file=log)).say("best so far")
    assert log.getvalue() == "best so far\n"
