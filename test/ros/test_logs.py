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

"""Sentences that come in floods."""

from __future__ import annotations

import logging
from typing import Any

import pytest

pytest.importorskip("rclpy")
from flashocc_ros.errors import MAX_SENTENCE
from flashocc_ros.ros import logs
from flashocc_ros.ros.logs import RosLogHandler, SeldomLogger


class Console:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.info = self.warning = self.error = self.lines.append


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now_s = [100.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now_s[0])
    return now_s


def test_one_kind_is_said_once_in_ten_seconds_with_how_many_were_not(clock: list[float]):
    console: Any = Console()
    seldom = SeldomLogger(console)
    for tenth in range(250):
        clock[0] = 100.0 + tenth / 10
        seldom.finding(f"camera front: format '{tenth}' of {tenth} bytes is unknown")
    assert console.lines == [
        "camera front: format '0' of 0 bytes is unknown",
        "camera front: format '100' of 100 bytes is unknown (99 more since the last report)",
        "camera front: format '200' of 200 bytes is unknown (99 more since the last report)",
    ]


def test_records_of_the_package_do_not_flood_either(clock: list[float]):
    console: Any = Console()
    handler = RosLogHandler(SeldomLogger(console))
    for number in range(100):
        handler.emit(logging.LogRecord("flashocc_ros", logging.WARNING, "", 0, "gap of %d s", (number,), None))
    assert console.lines == ["gap of 0 s"]


def test_names_from_outside_neither_fill_the_log_nor_the_memory(clock: list[float]):
    console: Any = Console()
    seldom = SeldomLogger(console)
    for number in range(5_000):
        clock[0] += 0.1
        name = chr(0x4E00 + number)
        seldom.finding(f"tf: {name * 10_000} has no parent; mend its publisher")
    assert max(map(len, console.lines)) < MAX_SENTENCE + 100
    assert console.lines[-1].endswith("has no parent; mend its publisher")
    assert len(seldom._said_s) <= logs.MAX_KINDS + 1
    assert max(map(len, seldom._said_s)) < MAX_SENTENCE + 100
