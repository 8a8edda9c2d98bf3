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

"""The report is on disk before the next thing begins, and says truly how it went."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flashocc_ros.checks.gpu.report import Report, Result, Status


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return Report(tmp_path, {"device": "cpu"})


def added(report: Report, *statuses: Status) -> Report:
    part = report.begin("pooling", "Does it?")
    for index, status in enumerate(statuses):
        report.add(part, Result(f"check {index}", status, "a|b", {"ms": 1.23456, "of": 7}))
    return report


def test_every_result_is_written_at_once(report: Report) -> None:
    added(report, "ok")
    written = json.loads(report.json_file.read_text())
    assert written["parts"][0]["results"][0]["numbers"] == {"ms": 1.23456, "of": 7}
    assert "| check 0 | ok | 1.235 | 7 | a/b |" in report.page.read_text()


@pytest.mark.parametrize(
    ("statuses", "passed"),
    [(("ok", "skipped", "info"), True), (("ok", "failed"), False), (("skipped", "cut"), False), ((), False)],
)
def test_it_is_passed_when_something_was_looked_at_and_nothing_failed(
    statuses: tuple[Status, ...], passed: bool, report: Report
) -> None:
    assert added(report, *statuses).passed is passed
    assert json.loads(report.json_file.read_text())["passed"] is passed or not statuses


def test_numbers_stand_in_columns_of_their_own(report: Report) -> None:
    part = report.begin("speed", "How fast?")
    report.add(part, Result("a", "info", "", {"ms": 2.0}))
    report.add(part, Result("b", "info", "", {"GB/s": 4000.5}))
    page = report.page.read_text()
    assert "|  | ms | GB/s |" in page
    assert "| b |  | 4000 |" in page
