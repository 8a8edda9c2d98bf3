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

"""The driver of a fleet: gives recordings to workers, tries again, and keeps the books true.

Workers that find no recording left help with those of others, where the work can be shared.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flashocc_ros.errors import EngineError
from flashocc_ros.fleet.attempt import Outcome
from flashocc_ros.fleet.ledger import Ledger, State
from flashocc_ros.fleet.manifest import ManifestClock, write_manifest
from flashocc_ros.fleet.progress import FleetProgress
from flashocc_ros.fleet.recordings import Recording
from flashocc_ros.fleet.seats import Seat
from flashocc_ros.fleet.todo import check_settings
from flashocc_ros.fleet.worker import Started

logger = logging.getLogger(__name__)

TICK_S = 0.5
LOOK_EVERY_S = 2.0
MOST_STARTS = 3
"""Workers of one seat in a row that die before they are ready."""


@dataclass
class Summary:
    """How a run ended.

    Attributes:
        done, failed, quarantined: recordings that ended so; quarantined ones also of earlier runs.
        before: done before it, or by another driver meanwhile.
        left: not begun, because results cannot be written any more.
        frames: results made; deaths: workers that died on the way.
        problem: why it stopped early, empty otherwise.
        reasons: of what failed or is quarantined, by name.
    """

    done: int = 0
    failed: int = 0
    quarantined: int = 0
    before: int = 0
    left: int = 0
    frames: int = 0
    deaths: int = 0
    problem: str = ""
    reasons: dict[str, str] = field(default_factory=dict)

    def count_before(self, state: State) -> None:
        """A recording that somebody else settled."""
        if state.status == "done":
            self.before += 1
        else:
            self.count(state)

    def count(self, state: State) -> None:
        """A recording that is finished."""
        setattr(self, state.status, getattr(self, state.status) + 1)
        self.frames += state.sets if state.status == "done" else 0
        if state.reason:
            self.reasons[state.recording] = state.reason


class Run:
    """One run over recordings.

    Args:
        todo: largest first is quickest.
        seats: for workers.
        retries: how often a recording is tried again that failed or whose worker died.
        memory_limit_bytes: a worker that holds more after a recording is replaced; 0 for never.
        shared: workers can help with what others have.
    """

    def __init__(
        self, todo: Sequence[Recording], seats: Sequence[Seat], ledger: Ledger, out: Path,
        retries: int, progress: FleetProgress, memory_limit_bytes: int = 0, shared: bool = False,
    ) -> None:  # fmt: skip
        self._queue = deque(todo)
        self._seats, self._ledger, self._out = seats, ledger, out
        self._retries, self._progress, self._limit_bytes = retries, progress, memory_limit_bytes
        self._shared = shared
        self._tries: Counter[str] = Counter()
        self._starts: Counter[str] = Counter()
        self._starting: dict[Future[Started], Seat] = {}
        self._working: dict[Future[Outcome], tuple[Seat, Recording]] = {}
        self._helping: dict[Future[Outcome], tuple[Seat, Recording]] = {}
        self._alone: set[str] = set()  # with which nobody can help, any more
        self._idle: list[Seat] = []
        self._elsewhere: list[Recording] = []
        self._looked_s = time.monotonic()
        self.summary = Summary()

    def __call__(self) -> Summary:
        """Work until nothing is left that can be done.

        Raises:
            EngineError: no worker can be started.
            KeyboardInterrupt: told to end; workers are ended, what they were at is queued again.
        """
        clock = ManifestClock(self._ledger, self._out)
        try:
            for seat in self._seats if self._shared else self._seats[: len(self._queue)]:
                self._start(seat)
            while self._goes_on():
                futures: list[Future[Any]] = [*self._starting, *self._working, *self._helping]
                if not futures:
                    time.sleep(TICK_S)  # for what others have in work
                for future in wait(futures, TICK_S, FIRST_COMPLETED).done:
                    if future in self._starting:
                        self._started(future)
                    elif future in self._helping:
                        self._helped(future)
                    else:
                        self._finished(future)
                self._take_back()
                if self._progress.due:
                    self._progress.show(self._ledger.working())
                clock.tick()
        finally:
            for seat in self._seats:
                seat.close()
        self.summary.left = len(self._queue) + len(self._elsewhere)
        return self.summary

    def _goes_on(self) -> bool:
        """Whether something is done or can be; a cluster may never have room for some of the workers."""
        if self.summary.problem:
            return bool(self._working)
        hands = bool(self._starting or self._idle)
        return bool(self._working) or (bool(self._queue or self._elsewhere) and hands)

    def _start(self, seat: Seat) -> None:
        self._starting[seat.start()] = seat

    def _take_back(self) -> None:
        """What others had in work and have no more: they are done with it, or died."""
        look = time.monotonic() - self._looked_s > LOOK_EVERY_S
        if look:
            self._looked_s = time.monotonic()
        if look and self._elsewhere:
            busy = self._ledger.working()
            self._queue.extend(r for r in self._elsewhere if r.name not in busy)
            self._elsewhere = [r for r in self._elsewhere if r.name in busy]
        while self._queue and self._idle and not self.summary.problem:
            self._give(self._idle.pop())
        while look and self._idle and (recording := self._open_to_help()):
            seat = self._idle.pop()
            self._helping[seat.help(recording)] = seat, recording

    def _open_to_help(self) -> Recording | None:
        """The largest recording, by the hands at it, with which a worker may help."""
        hands = Counter(recording.name for _, recording in self._helping.values())
        shared = [r for _, r in self._working.values() if self._shared and r.name not in self._alone]
        return max(shared, key=lambda r: (r.bytes / (1 + hands[r.name]), r.name), default=None)

    def _helped(self, future: Future[Any]) -> None:
        seat, recording = self._helping.pop(future)
        try:
            outcome: Outcome = future.result()
        except seat.died:
            self.summary.deaths += 1
            self._alone.add(recording.name)  # it may be to blame
            self._start(seat)
            return
        if outcome.kind == "helped":
            self._alone.add(recording.name)
        self._next(seat, outcome)

    def _started(self, future: Future[Any]) -> None:
        seat = self._starting.pop(future)
        try:
            started: Started = future.result()
        except seat.died as error:
            self._starts[seat.name] += 1
            if self._starts[seat.name] < MOST_STARTS:
                self._start(seat)
            elif not (self._starting or self._working or self._idle):
                raise EngineError(
                    f"{MOST_STARTS} workers died before they were ready ({_line(error)}); is there memory for them?"
                ) from error
            return
        if started.problem:
            raise EngineError(started.problem)
        if not self._starts[seat.name]:
            logger.info("%s (process %d): %s", seat.name, started.pid, started.description)
        self._starts[seat.name] = 0
        self._give(seat)

    def _give(self, seat: Seat) -> None:
        if self._queue and not self.summary.problem:
            recording = self._queue.popleft()
            self._alone.discard(recording.name)
            self._working[seat.do(recording)] = seat, recording
        else:
            self._idle.append(seat)

    def _finished(self, future: Future[Any]) -> None:
        seat, recording = self._working.pop(future)
        self._tries[recording.name] += 1
        again = self._tries[recording.name] <= self._retries and not self.summary.problem
        try:
            outcome: Outcome = future.result()
        except seat.died as error:
            self.summary.deaths += 1
            if again:
                self._queue.append(recording)
            else:
                self._bury(recording, _line(error))
            self._start(seat)
            return
        state = outcome.state
        if outcome.kind == "full":
            self._stop(state.reason if state is not None else "")
        if outcome.kind == "elsewhere":
            self._tries[recording.name] -= 1
            self._elsewhere.append(recording)
        elif outcome.kind == "before" and state is not None:
            self.summary.count_before(state)
            self._progress.finished(recording.name, 0)
        elif state is not None and state.status == "failed" and again and outcome.kind == "new":
            self._queue.append(recording)
        elif state is not None:
            self._settle(state)
        self._next(seat, outcome)

    def _next(self, seat: Seat, outcome: Outcome) -> None:
        if self._limit_bytes and outcome.memory_bytes > self._limit_bytes:
            self._start(seat)
        else:
            self._give(seat)

    def _settle(self, state: State) -> None:
        self.summary.count(state)
        self._progress.finished(state.recording, state.sets)

    def _bury(self, recording: Recording, why: str) -> None:
        """Note that a recording cost the lives of its workers."""
        state = self._ledger.read(recording.name) or State(recording=recording.name, location=recording.location)
        tries = self._tries[recording.name]
        reason = (
            f"its worker died {tries} times while it had this recording, killed or out of memory ({why}); look into it "
            "alone"
        )
        state = state.now(status="failed", reason=reason)
        with self._ledger.claim(recording.name, "driver") or nullcontext():
            self._ledger.write(state)
        self._settle(state)

    def _stop(self, problem: str) -> None:
        """Nothing can be written: what was not begun stays as it is."""
        self.summary.problem = self.summary.problem or problem


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def run(
    recordings: Sequence[Recording], seats: Sequence[Seat], ledger: Ledger, out: Path, settings: dict[str, Any], *,
    retries: int, progress: FleetProgress, memory_limit_bytes: int = 0, shared: bool = False,
) -> Summary:  # fmt: skip
    """Note what is to be done, do it, and write the manifest, also when told to end.

    Raises:
        OutputError: the books cannot be written.
        EngineError: no worker can be started.
    """
    with ledger.alone():
        check_settings(ledger, settings)
        ledger.begin(settings, recordings)
    ordered = sorted(recordings, key=lambda recording: (-recording.bytes, recording.name))
    running = Run(ordered, seats, ledger, out, retries, progress, memory_limit_bytes, shared)
    try:
        summary = running()
    except BaseException:
        with suppress(Exception):
            write_manifest(ledger, out)
        raise
    ledger.forget_lists()
    write_manifest(ledger, out)
    return summary
