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

"""One attempt at one recording: what every executor, a loop and another machine call."""

from __future__ import annotations

import logging
import resource
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flashocc_ros.bags.reader import forget_warnings
from flashocc_ros.errors import BagError, FlashOccError, InputError, OutputError, shortened
from flashocc_ros.fleet.claims import Claim
from flashocc_ros.fleet.fingerprint import Fingerprint, fingerprint
from flashocc_ros.fleet.ledger import Ledger, State
from flashocc_ros.fleet.place import digest, is_placed, place, remove
from flashocc_ros.fleet.recordings import Recording
from flashocc_ros.fleet.remarks import collected_remarks
from flashocc_ros.fleet.work import Made, Work
from flashocc_ros.whole_file import DISK_ERRORS

logger = logging.getLogger(__name__)

MAX_REMARKS = 20


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        kind: "new" for an attempt that was made, "before" where there was nothing left to do, "elsewhere" where
            another worker has the recording, "full" where nothing can be written; "helped" where nothing is left to
            help with, "early" where the recording is not begun yet.
        state: of the recording now; None for one that another worker has.
        memory_bytes: that the worker holds.
    """

    kind: Literal["new", "before", "elsewhere", "full", "helped", "early"]
    state: State | None
    memory_bytes: int = 0


class _Changed(FlashOccError):
    """The recording, or who has it, is not what it was when it was begun."""


def is_settled(state: State | None, now: Fingerprint, placed: bool) -> bool:
    """Whether nothing is left to do: done and there, or quarantined, and the recording still the same."""
    if state is None or state.sha256 != now.sha256:
        return False
    return state.status == "quarantined" or (state.status == "done" and placed)


def attempt(
    recording: Recording, work: Work, ledger: Ledger, out: Path, worker: str, memory_limit_bytes: int = 0
) -> Outcome:
    """Claim a recording, work on it unless that is settled, put its result in place and note how it went.

    Never raises what is the recording's fault or the disk's.

    Args:
        work: opened in this process.
        worker: who does it, for people.
        memory_limit_bytes: a worker that holds more gives up; 0 for no limit.
    """
    try:
        claim = ledger.claim(recording.name, worker)
        if claim is None:
            return Outcome("elsewhere", None)
        with claim:
            return _claimed(recording, work, ledger, out, worker, claim, memory_limit_bytes)
    except (OutputError, OSError) as error:
        state = State(recording=recording.name, location=recording.location, status="failed", reason=_sentence(error))
        return Outcome("full", state)


def assist(recording: Recording, work: Work, ledger: Ledger, memory_limit_bytes: int = 0) -> Outcome:
    """Help with a recording that another worker has; what goes wrong meets that one too, who says so."""
    folder = ledger.working_in(recording.name)
    if folder is None:
        return Outcome("early", None)
    forget_warnings()
    try:
        work.help(recording.location, folder, _Limit(memory_limit_bytes))
    except (FlashOccError, OSError) as error:
        logger.debug("%s", error)
    except Exception:
        logger.debug("%s", recording.location, exc_info=True)
    ledger.sweep(recording.name, folder)
    return Outcome("helped", None, held_bytes())


def _claimed(
    recording: Recording, work: Work, ledger: Ledger, out: Path, worker: str, claim: Claim, memory_limit_bytes: int
) -> Outcome:
    before = ledger.read(recording.name)
    state = State(recording=recording.name, location=recording.location, worker=worker)
    begin_s, full = time.monotonic(), False
    scratch: Path | None = None
    forget_warnings()
    with collected_remarks() as remarks:
        try:
            now = fingerprint(recording.location)
            if is_settled(before, now, is_placed(out, recording.name)):
                return Outcome("before", before)
            same = before is not None and before.sha256 == now.sha256
            attempts = 1 + (before.attempts if before is not None and same else 0)
            state = state.now(bytes=now.bytes, sha256=now.sha256, attempts=attempts)
            ledger.write(state.now(status="running"))
            if before is not None and not same:
                remove(out, recording.name)
            scratch = ledger.scratch(recording.name, claim.token, work.goes_on and same)
            made = work.make(recording.name, recording.location, scratch, _Watch(claim, memory_limit_bytes))
            if fingerprint(recording.location) != now:
                raise _Changed(
                    f"{recording.location} changed while it was read; is it still being recorded or copied? "
                    "Try again when it rests"
                )
            state = _placed(state, made, scratch / recording.name, out, claim)
        except FlashOccError as error:
            # A recording that cannot be read because its disk or network failed may be sound.
            guilty = isinstance(error, BagError | InputError) and not isinstance(error.__cause__, OSError)
            full = isinstance(error, OutputError)
            state = state.now(status="quarantined" if guilty else "failed", reason=_sentence(error))
        except OSError as error:
            full = error.errno in DISK_ERRORS
            state = state.now(status="failed", reason=_sentence(error))
        except Exception as error:  # whatever it is, the rest of the fleet goes on
            logger.exception("%s", recording.location)
            state = state.now(status="failed", reason=shortened(f"{type(error).__name__}: {error}"))
    if not claim.held:  # another machine thought that this one was dead: what that one makes of it counts
        return Outcome("elsewhere", None, held_bytes())
    if scratch is not None and not (work.goes_on and state.status == "failed"):
        shutil.rmtree(scratch, ignore_errors=True)
    if state.reason and remarks:
        state = state.now(reason=shortened(f"{state.reason}; before that: {'; '.join(remarks[:3])}"))
    state = state.now(
        seconds=round(time.monotonic() - begin_s, 3),
        remarks=remarks[:MAX_REMARKS],
        peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )
    if full:
        with suppress(OutputError):
            ledger.write(state)
        return Outcome("full", state, held_bytes())
    ledger.write(state)
    return Outcome("new", state, held_bytes())


def _placed(state: State, made: Made, folder: Path, out: Path, claim: Claim) -> State:
    size, sha256 = digest(folder)
    if not claim.held:
        raise _Changed("the claim is lost")
    place(folder, out, state.recording)
    return state.now(
        status="done",
        sets=made.sets,
        duration_s=round(made.duration_s, 6),
        rig=made.rig,
        metrics=dict(made.metrics),
        runs_on=made.runs_on,
        result_bytes=size,
        result_sha256=sha256,
    )


class _Limit:
    """Called after every camera set: stops a worker that grows."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes

    def __call__(self, done: int, expected: int | None) -> None:
        held = held_bytes()
        if self._limit_bytes and held > self._limit_bytes:
            raise FlashOccError(
                f"the worker holds {held / 1e9:.1f} GB, limit {self._limit_bytes / 1e9:.1f} GB; raise --memory-gb"
            )


class _Watch(_Limit):
    """Passes on how far the work is, too."""

    def __init__(self, claim: Claim, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self._claim = claim

    def __call__(self, done: int, expected: int | None) -> None:
        self._claim.tell(done, expected, held_bytes())
        super().__call__(done, expected)


def held_bytes() -> int:
    """Memory that this process holds now (resident)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _sentence(error: Exception) -> str:
    return shortened(str(error) or type(error).__name__)
