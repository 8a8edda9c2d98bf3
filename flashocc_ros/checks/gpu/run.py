"""The parts one after the other, the most important first, until there is no time left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from flashocc_ros.checks.gpu.report import PartReport, Report, Result
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
        limit_s: on a GPU it is ended after so long, and that is a failure; a CPU gets ``CPU_PATIENCE`` times as much.
        needs: Python modules; "a|b" is either.
        gpu: cannot be run at all without one; others run on the CPU where there is none.
        least_s: not begun with less time left.
        interpreted: without a GPU its Triton kernels run in the interpreter.
        after: name of a part of the other lane whose files it takes; waited for.
    """

    name: str
    question: str
    work: Run
    limit_s: float
    needs: tuple[str, ...] = ("torch",)
    gpu: bool = False
    least_s: float = 5.0
    interpreted: bool = False
    after: str | None = None


def run(setting: Setting, lanes: Sequence[Sequence[Part]], minutes: float, report: Report, say: Say) -> None:
    """Run all lanes side by side, each in its own process, and write the report as they go.

    Whatever happens in a part, the others run.
    """
    ends = monotonic() + 60 * minutes
    done = {part.name: threading.Event() for lane in lanes for part in lane}
    threads = [
        threading.Thread(target=_Lane(setting, lane, ends, report, say, done).run, daemon=True) for lane in lanes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class _Lane:
    """Parts that run one after the other, and the process they run in."""

    def __init__(
        self,
        setting: Setting,
        parts: Sequence[Part],
        ends: float,
        report: Report,
        say: Say,
        done: dict[str, threading.Event],
    ) -> None:
        self._setting, self._parts, self._ends = setting, parts, ends
        self._report, self._say, self._done = report, say, done
        self._worker: Worker | None = None

    def run(self) -> None:
        for part in self._parts:
            entry = self._report.begin(part.name, part.question)
            begun = monotonic()
            try:
                self._one(part, entry)
            finally:
                self._report.end(entry, monotonic() - begun)
                self._done[part.name].set()
        if self._worker is not None:
            self._worker.close()

    def _one(self, part: Part, entry: PartReport) -> None:
        def add(result: Result) -> None:
            self._report.add(entry, result)
            self._say(f"{part.name}: {result.line()}")

        absent = missing(part.needs)
        if part.gpu and not self._setting.gpu:
            add(Result(part.name, "skipped", "no GPU: skipped"))
            return
        if absent:
            add(Result(part.name, "skipped", f"needs the Python module {', '.join(absent)}, not installed here"))
            return
        if part.after is not None:
            self._done[part.after].wait(max(0.0, self._ends - monotonic()))
        left_s = self._ends - monotonic()
        if left_s < part.least_s:
            add(Result(part.name, "cut", f"{max(0.0, left_s):.0f} s left, takes at least {part.least_s:.0f} s"))
            return
        limit_s = part.limit_s if self._setting.gpu else CPU_PATIENCE * part.limit_s
        until = min(monotonic() + limit_s, self._ends)
        problem = self._process(part).run(part.work, until, add)
        if problem is None:
            return
        self._worker = None
        if problem != "time":
            add(Result(part.name, "failed", problem))
        elif until < self._ends:
            add(Result(part.name, "failed", f"not done after {limit_s:.0f} s; what it had found stands"))
        else:
            add(Result(part.name, "cut", "the time was up; what it had found stands"))

    def _process(self, part: Part) -> Worker:
        interpreted = part.interpreted and not self._setting.gpu
        if self._worker is not None and self._worker.interpreted != interpreted:
            self._worker.close()
            self._worker = None
        if self._worker is None:
            self._worker = Worker(self._setting, interpreted)
        return self._worker
