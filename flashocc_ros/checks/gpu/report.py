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

"""What was found, written down as it is found: ``gpu_report.json`` for programs, ``gpu_report.md`` to paste."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import gmtime, strftime
from typing import Any, Literal

from flashocc_ros.version import __version__
from flashocc_ros.whole_file import write_whole

Status = Literal["ok", "failed", "info", "skipped", "cut"]
"""``info`` is a number nobody can be wrong about; ``cut`` had no time left."""


def outcome(passed: bool) -> Status:
    return "ok" if passed else "failed"


MARKS = {"ok": "ok", "failed": "FAILED", "info": "", "skipped": "skipped", "cut": "no time"}


@dataclass(frozen=True)
class Result:
    """One line of the report.

    Attributes:
        name: what was looked at.
        status: how it went.
        text: a remark, for everything but ``ok`` and ``info`` the reason.
        numbers: what was measured; a unit ends the name.
    """

    name: str
    status: Status
    text: str = ""
    numbers: dict[str, float | int | str] = field(default_factory=dict)

    def line(self) -> str:
        """For a terminal."""
        measured = ", ".join(f"{name} {shown(value)}" for name, value in self.numbers.items())
        return "  ".join(part for part in (f"{MARKS[self.status]:<7}", self.name, measured, self.text) if part)


@dataclass
class PartReport:
    """The results of one part, in the order they came."""

    name: str
    question: str
    results: list[Result] = field(default_factory=list)
    seconds: float = 0.0


class Report:
    """All parts; every change is on disk before the next begins."""

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        """``facts`` are about this run: device, minutes, arguments.

        Raises:
            OutputError: ``folder`` cannot be written.
        """
        self.json_file, self.page = folder / "gpu_report.json", folder / "gpu_report.md"
        self.facts = {"flashocc_ros": __version__, "started": strftime("%Y-%m-%d %H:%M:%S UTC", gmtime()), **facts}
        self.parts: list[PartReport] = []
        self._write()

    def begin(self, name: str, question: str) -> PartReport:
        self.parts.append(PartReport(name, question))
        return self.parts[-1]

    def add(self, part: PartReport, result: Result) -> None:
        part.results.append(result)
        self._write()

    def end(self, part: PartReport, seconds: float) -> None:
        part.seconds = round(seconds, 1)
        self._write()

    def count(self, status: Status) -> int:
        return sum(result.status == status for part in self.parts for result in part.results)

    @property
    def passed(self) -> bool:
        """Something was looked at, and nothing failed."""
        return self.count("ok") > 0 and self.count("failed") == 0

    def verdict(self) -> str:
        counted: tuple[Status, ...] = ("ok", "failed", "skipped", "cut")
        counts = {status: self.count(status) for status in counted}
        said = f"{counts['ok']} ok, {counts['failed']} failed, {counts['skipped']} skipped"
        return said + (f", {counts['cut']} without time" if counts["cut"] else "")

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.facts,
            "passed": self.passed,
            "verdict": self.verdict(),
            "parts": [asdict(part) for part in self.parts],
        }

    def markdown(self) -> str:
        lines = [
            "# flashocc_ros on this GPU",
            "",
            f"**{'PASSED' if self.passed else 'NOT PASSED'}**: {self.verdict()}.",
        ]
        lines += ["", *(f"- {name}: {value}" for name, value in self.facts.items())]
        for part in self.parts:
            lines += ["", f"## {part.name}", "", f"{part.question} ({part.seconds:.0f} s)", "", *_table(part.results)]
        return "\n".join(lines) + "\n"

    def _write(self) -> None:
        write_whole(self.json_file, json.dumps(self.as_dict(), indent=1) + "\n")
        write_whole(self.page, self.markdown())


def _table(results: list[Result]) -> list[str]:
    """One row per result, one column per number that any of them has."""
    if not results:
        return ["nothing yet"]
    columns = list(dict.fromkeys(name for result in results for name in result.numbers))
    head = ["", "", *columns, ""]
    rows = [
        [
            result.name,
            MARKS[result.status],
            *(shown(result.numbers[name]) if name in result.numbers else "" for name in columns),
            result.text,
        ]
        for result in results
    ]
    used = [index for index in range(len(head)) if head[index] or any(row[index] for row in rows)]
    lines = [[head[index] for index in used], ["---"] * len(used), *([row[index] for index in used] for row in rows)]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines]


def shown(value: float | int | str) -> str:
    """A number with as many digits as mean something."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
