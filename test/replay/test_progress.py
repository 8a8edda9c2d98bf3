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

"""How a replay tells how far it is."""

from __future__ import annotations

import io
import itertools

import pytest
from rich.console import Console

from flashocc_ros.replay import progress as module
from flashocc_ros.replay.progress import progress

S = 10**9


def said(monkeypatch: pytest.MonkeyPatch, seconds: list[float], *, terminal: bool = False) -> str:
    """What comes out when these seconds of a recording of 20 s are told, one every second."""
    clock = itertools.count()
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    out = io.StringIO()
    with progress(
        Console(file=out, force_terminal=terminal, width=40), "a_rather_long_name_of_a_drive", 100 * S, 120 * S
    ) as tell:
        for second in seconds:
            tell(round((100 + second) * S))
    return out.getvalue()


def test_without_a_terminal_it_is_a_line_every_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = said(monkeypatch, [0.5 * k for k in range(1, 13)]).splitlines()
    assert [line.split(": ")[1].split(",")[0] for line in lines] == ["2.5 of 20.0 s", "5.0 of 20.0 s"]
    assert lines[1].endswith("about 30 s left")  # half as fast as the recording, 15 s of which are left


def test_a_new_round_counts_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = said(monkeypatch, [*(2.0 * k for k in range(1, 10)), *(2.0 * k for k in range(7))]).splitlines()
    assert "left" in lines[-1]
    assert lines[-1].split("about ")[1] < "9"


def test_a_replay_of_messages_from_before_the_start_has_done_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = said(monkeypatch, [-3.0] * 6).splitlines()
    assert line.endswith("0.0 of 20.0 s")


def test_on_a_terminal_no_line_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "left" not in said(monkeypatch, [1.0 * k for k in range(12)], terminal=True)
