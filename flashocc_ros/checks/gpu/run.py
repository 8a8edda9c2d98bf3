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

"""The parts one after the other, the most important first, until there is no time left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from flashocc_ros.checks.gpu.report import Report, Result
from flashocc_ros.checks.gpu.setting import Setting, missing
from flashocc_ros.checks.gpu.worker import Run, Worker

CPU_PATIENCE = 4.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Part:
    """Something to find out.

    Attributes:
        name: a word or two.
        question: what it answers, for people.
        work: yields results; a function of a module.
        limit_s: on a GPU it is ended after so long, and that is a failure. A CPU gets ``CPU_PATIENCE`` times as much
            and may be too slow without being wrong.
        needs: Python modules; "a|b" is either.
        gpu: cannot be run at all without one; others run on the CPU where there is none.
        least_s: not begun with less time left.
        interpreted: without a GPU its Triton kernels run in the interpreter.
    """

    name: str
    question: str
    work: Run
    limit_s: float
    needs: tuple[str, ...] = ("torch",)
    gpu: bool = False
    least_s: float = 5.0
    interpreted: bool = False


def run(setting: Setting, parts: Sequence[Part], minutes: float, report: Report, say: Say) -> None:
    """Run the parts and write the report as they go. Whatever happens in one, the others run."""
    plan = _Run(setting, monotonic() + 60 * minutes, report, say)
    try:
        for part in parts:
            plan.one(part)
    finally:
        plan.close()


class _Run:
    """What is left of the time, and the process that parts run in."""

    def __init__(self, setting: Setting, ends: float, report: Report, say: Say) -> None:
        self._setting, self._ends, self._report, self._say = setting, ends, report, say
        self._worker: Worker | None = None

    def one(self, part: Part) -> None:
        entry, begun = self._report.begin(part.name, part.question), monotonic()

        def add(result: Result) -> None:
            self._report.add(entry, result)
            self._say(f"{part.name}: {result.line()}")

        refused = self._refused(part)
        if refused is not None:
            add(refused)
            return
        limit_s = part.limit_s if self._setting.gpu else CPU_PATIENCE * part.limit_s
        until = min(monotonic() + limit_s, self._ends)
        problem = self._process(part).run(part.work, until, add)
        if problem is not None:
            self._worker = None
            if problem != "time":
                add(Result(part.name, "failed", problem))
            elif until >= self._ends:
                add(Result(part.name, "cut", "the time was up; what it had found stands"))
            else:
                # A CPU may just be slow.
                late = f"not done after {limit_s:.0f} s; what it had found stands"
                add(Result(part.name, "failed" if self._setting.gpu else "cut", late))
        self._report.end(entry, monotonic() - begun)

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _refused(self, part: Part) -> Result | None:
        """Why it is not begun, None when it is."""
        if part.gpu and not self._setting.gpu:
            return Result(part.name, "skipped", "no GPU: skipped")
        absent = missing(part.needs)
        if absent:
            return Result(part.name, "skipped", f"needs the Python module {', '.join(absent)}, not installed here")
        left_s = max(0.0, self._ends - monotonic())
        if left_s < part.least_s:
            return Result(part.name, "cut", f"{left_s:.0f} s left, takes at least {part.least_s:.0f} s")
        return None

    def _process(self, part: Part) -> Worker:
        interpreted = part.interpreted and not self._setting.gpu
        if self._worker is not None and self._worker.interpreted != interpreted:
            self.close()
        if self._worker is None:
            self._worker = Worker(self._setting, interpreted)
        return self._worker
