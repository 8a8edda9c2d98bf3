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

"""How far a fleet is: recordings and camera sets done, and the time left by the bytes that are."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from flashocc_ros.progress import LINE_EVERY_S

BAR_EVERY_S = 0.5


class FleetProgress:
    """A bar on a terminal, elsewhere a line every few seconds; nothing with ``quiet``. Use as a context manager.

    Args:
        sizes: bytes of each recording to work on, by name.
    """

    def __init__(self, sizes: Mapping[str, int], quiet: bool) -> None:
        console = Console(stderr=True)
        self._quiet, self._terminal = quiet, console.is_terminal
        self._sizes, self._total = sizes, max(1, sum(sizes.values()))
        self._begin_s = self._shown_s = time.monotonic()
        self._recordings, self._frames, self._bytes = 0, 0, 0
        self._bar = Progress(
            BarColumn(), TextColumn("{task.description}"), console=console, transient=True,
            disable=quiet or not self._terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=float(self._total))

    def __enter__(self) -> FleetProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @property
    def due(self) -> bool:
        """Whether it is time to show something again."""
        every_s = BAR_EVERY_S if self._terminal else LINE_EVERY_S
        return not self._quiet and time.monotonic() - self._shown_s >= every_s

    def finished(self, name: str, frames: int) -> None:
        """A recording is done with, however."""
        self._recordings += 1
        self._frames += frames
        self._bytes += self._sizes[name]

    def show(self, working: Mapping[str, Mapping[str, Any]]) -> None:
        """Say where things are; ``working`` is what workers tell of their recordings, see `Ledger.working`."""
        self._shown_s = time.monotonic()
        frames, size, memory_bytes = float(self._frames), float(self._bytes), 0
        for name, facts in working.items():
            done, expected, held = (facts.get(key, 0) for key in ("frames", "expected", "memory_bytes"))
            if name in self._sizes and isinstance(done, int) and isinstance(held, int):
                frames += done
                memory_bytes = max(memory_bytes, held)
                size += self._sizes[name] * min(1.0, done / expected) if isinstance(expected, int) and expected else 0.0
        text = described(
            self._recordings, len(self._sizes), frames, size / self._total, self._shown_s - self._begin_s, memory_bytes
        )
        if self._terminal:
            self._bar.update(self._task, completed=size, description=text)
        else:
            print(f"fleet: {text}", file=sys.stderr, flush=True)


def described(recordings: int, total: int, frames: float, share: float, spent_s: float, memory_bytes: int) -> str:
    """One line: what is done of what, how fast, what is left."""
    parts = [f"{recordings} of {total} recordings", f"{frames:.0f} frames"]
    if frames and spent_s > 0:
        parts.append(f"{frames / spent_s:.1f} frames/s")
    if memory_bytes:
        parts.append(f"{memory_bytes / 1e9:.1f} GB in the largest worker")
    if 0 < share < 1:
        parts.append(f"about {clock(spent_s * (1 - share) / share)} left")
    return ", ".join(parts)


def clock(seconds: float) -> str:
    """``7 s``, ``3 min``, ``5 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
