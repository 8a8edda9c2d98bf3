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

"""How far a replay is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

LINE_EVERY_S = 5.0


@contextmanager
def progress(console: Console, name: str, begin_ns: int, end_ns: int) -> Iterator[Callable[[int], None]]:
    """Yields what to call with the time on the clock of the recording, in nanoseconds; a new round may go back."""
    length_s = max((end_ns - begin_ns) * 1e-9, 1e-3)

    def done_s(stamp_ns: int) -> float:
        return min(max((stamp_ns - begin_ns) * 1e-9, 0.0), length_s)

    if not console.is_terminal:
        yield _lines(console, name, length_s, done_s)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total:.1f} s"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=length_s)
        yield lambda stamp_ns: bar.update(task, completed=done_s(stamp_ns))


def _lines(console: Console, name: str, length_s: float, done_s: Callable[[int], float]) -> Callable[[int], None]:
    said_s = round_from_s = time.monotonic()
    before_s = 0.0

    def tell(stamp_ns: int) -> None:
        nonlocal said_s, round_from_s, before_s
        now_s, at_s = time.monotonic(), done_s(stamp_ns)
        if at_s < before_s - 1.0:
            round_from_s = now_s
        before_s = at_s
        if now_s - said_s < LINE_EVERY_S:
            return
        said_s = now_s
        left = f", about {(length_s - at_s) / at_s * (now_s - round_from_s):.0f} s left" if at_s > 0 else ""
        console.print(f"{name}: {at_s:.1f} of {length_s:.1f} s{left}", highlight=False, soft_wrap=True)

    return tell
