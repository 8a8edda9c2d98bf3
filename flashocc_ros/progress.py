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

"""How far work is: bars with the time left on a terminal, a line every few seconds anywhere else."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

LINE_EVERY_S = 5.0


class Progress:
    """Tells of one piece of work after the other, on stderr. Use as a context manager.

    Args:
        quiet: tell nothing.
        console: where to tell it; None is stderr.
    """

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._console = console or Console(stderr=True)
        self._bars = None
        if self._console.is_terminal and not quiet:
            unit = TextColumn("{task.fields[unit]}")
            numbers = (MofNCompleteColumn(), unit, TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
            columns = (TextColumn("{task.description}"), BarColumn(), *numbers)
            self._bars = Bars(*columns, console=self._console, transient=True)
        self._lines = not quiet and self._bars is None
        self._name = ""
        self._unit = ""
        self._total: int | None = None
        self._first = 0
        self._task: TaskID | None = None
        self._begin_s = self._said_s = 0.0

    def begin(self, name: str, total: int | None = None, *, first: int = 0, unit: str = "") -> None:
        """The next piece of work; the bar of the one before goes.

        Args:
            first: of ``total``, so many were done before.
            unit: what is counted, where the name does not say it.
        """
        self._name, self._total, self._first, self._unit = name, total, first, unit
        self._begin_s = time.monotonic()
        if self._bars is not None:
            if self._task is not None:
                self._bars.remove_task(self._task)
            self._task = self._bars.add_task(name, total=total, completed=first, unit=unit)

    def describe(self, name: str) -> None:
        """Another name for the same piece of work, such as one with a number that changes."""
        self._name = name
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, description=name)

    def say(self, sentence: str) -> None:
        """A sentence that stays, said also where progress is not told."""
        self._console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    def __call__(self, done: int, total: int | None = None) -> None:
        """How much of it is done; call it as often as you like, also while nothing changes."""
        self._total = self._total if total is None else total
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done, total=self._total)
        now_s = time.monotonic()
        if not self._lines or now_s - max(self._said_s, self._begin_s) < LINE_EVERY_S:
            return
        self._said_s, since_s = now_s, now_s - self._begin_s
        text, unit, here = f"{self._name}: ", f" {self._unit}" if self._unit else "", done - self._first
        if not here:
            text += f"{since_s:.0f} s"
        elif not self._total:
            text += f"{done}{unit} after {since_s:.0f} s"
        else:
            text += f"{done} of {self._total}{unit}"
            if here > 1:  # the first often compiled or loaded something: nothing to reckon with
                text += f", about {since_s / here * (self._total - done):.0f} s left"
        self.say(text)

    def __enter__(self) -> Progress:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
