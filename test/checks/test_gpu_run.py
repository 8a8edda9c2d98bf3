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

"""Parts that fail, hang or take their process with them: the others run, and the report says what happened."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashocc_ros.checks.gpu.report import Report, Result
from flashocc_ros.checks.gpu.run import Part, run
from flashocc_ros.checks.gpu.setting import Setting
from flashocc_ros.checks.gpu.worker import Run


def passes(setting: Setting) -> Iterator[Result]:
    yield Result("passes", "ok", setting.device, {"process": os.getpid()})


def raises(_: Setting) -> Iterator[Result]:
    yield Result("before", "ok")
    raise ValueError("a kernel\n  failed")


def dies(_: Setting) -> Iterator[Result]:
    yield Result("before", "ok")
    os.abort()


def hangs(_: Setting) -> Iterator[Result]:
    yield Result("before", "ok")
    threading.Event().wait()


def results(tmp_path: Path, *parts: Part, minutes: float = 1.0, device: str = "cpu") -> list[Result]:
    report = Report(tmp_path, {})
    run(Setting(device, tmp_path), parts, minutes, report, lambda line: None)
    return [result for part in report.parts for result in part.results]


def test_parts_share_a_process_as_long_as_they_go_well(tmp_path: Path) -> None:
    first, second = results(tmp_path, Part("a", "?", passes, 60), Part("b", "?", passes, 60))
    assert first.text == "cpu"
    assert first.numbers["process"] == second.numbers["process"] != os.getpid()


@pytest.mark.parametrize(
    ("work", "reason"),
    [(raises, "ValueError: a kernel failed"), (dies, "exit code -6"), (hangs, "not done after 5 s")],
)
def test_what_goes_wrong_ends_its_part_alone(work: Run, reason: str, tmp_path: Path) -> None:
    limit_s = 5.0 if work is hangs else 60.0
    found = results(tmp_path, Part("wrong", "?", work, limit_s), Part("next", "?", passes, 60), device="cuda")
    assert [result.status for result in found if result.name != "before"] == ["failed", "ok"]
    assert reason in found[-2].text


def test_a_slow_cpu_is_no_failure(tmp_path: Path) -> None:
    found = results(tmp_path, Part("a", "?", hangs, 1.0))
    assert (found[-1].status, "not done after 4 s" in found[-1].text) == ("cut", True)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    (found,) = results(tmp_path, Part("a", "?", passes, 60, ("json", "nothing_of|the_kind")))
    assert (found.status, "nothing_of or the_kind" in found.text) == ("skipped", True)


def test_what_needs_a_gpu_is_skipped_without_one(tmp_path: Path) -> None:
    (found,) = results(tmp_path, Part("a", "?", passes, 60, gpu=True))
    assert (found.status, found.text) == ("skipped", "no GPU: skipped")


def test_what_has_no_time_left_is_not_begun(tmp_path: Path) -> None:
    (found,) = results(tmp_path, Part("a", "?", passes, 60, least_s=120.0))
    assert found.status == "cut"
    assert "takes at least 120 s" in found.text


def test_the_end_of_all_time_is_no_failure(tmp_path: Path) -> None:
    found = results(tmp_path, Part("a", "?", hangs, 600, least_s=0.0), minutes=0.1)
    assert [result.status for result in found if result.name != "before"] == ["cut"]
