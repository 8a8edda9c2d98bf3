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

"""Work that is quick: the result of a file is its digest. Tests make it wait, fail or die by what the file says."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashocc_ros.errors import BagError, EngineError, OutputError
from flashocc_ros.fleet.ledger import Ledger
from flashocc_ros.fleet.progress import FleetProgress
from flashocc_ros.fleet.recordings import Recording, find_recordings
from flashocc_ros.fleet.run import Summary, run
from flashocc_ros.fleet.seats import local_seats
from flashocc_ros.fleet.todo import choose
from flashocc_ros.fleet.work import Made, Tell
from flashocc_ros.fleet.worker import Task
from flashocc_ros.whole_file import write_whole

PATIENCE_S = 60.0


@dataclass
class CopyWork:
    """Digests files; a file's first word is an order.

    Attributes:
        gate: folder of files that work waits for; "wait" tells that it has begun and waits for "go".
    """

    gate: str = ""
    goes_on: bool = False
    shared: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        return {"work": "copy"}

    def open(self) -> str:
        return "copies"

    def make(self, name: str, location: str, folder: Path, tell: Tell) -> Made:
        content = Path(location).read_bytes()
        order = content.split()[0].decode() if content else ""
        tell(1, 2)
        if order == "wait":
            until_made(Path(self.gate) / f"{name}.begun", make=True)
            until(lambda: (Path(self.gate) / "go").exists())
        if order == "share":  # the rest is somebody else's
            until(lambda: (folder / "part").exists() or (self.gate and (Path(self.gate) / "died").exists()))
            (folder / name).mkdir()
            if not self.gate:
                (folder / "part").rename(folder / name / "part")
            return Made(1, 1.0, "rig")
        if order == "broken":
            raise BagError(f"{location} is broken; record it again")
        if order == "engine":
            raise EngineError("the engine failed")
        if order == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if order == "bug":
            raise ZeroDivisionError("a bug")
        if order == "full":
            raise OutputError("cannot write it (No space left on device); free some space")
        (folder / name).mkdir()
        (folder / name / "digest").write_text(hashlib.sha256(content).hexdigest())
        return Made(1, 1.0, "rig", {"bytes": float(len(content))})

    def help(self, location: str, folder: Path, tell: Tell) -> None:
        if self.gate:
            (Path(self.gate) / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        write_whole(folder / "part", "by a helper")


def until_made(path: Path, make: bool = False) -> None:
    """Make a file, or wait for somebody to."""
    if make:
        path.touch()
    until(path.exists)


def until(true: Callable[[], object]) -> None:
    """Wait for something another process does."""
    end_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.01)


def write_files(folder: Path, **contents: str) -> list[Recording]:
    """Files that pass for recordings, by name."""
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.mcap").write_text(content)
    return find_recordings([f"{folder}/*.mcap"])


def run_local(
    recordings: Sequence[Recording], out: Path, work: CopyWork, workers: int = 1, retries: int = 1, resume: bool = False
) -> Summary:
    """As the command does it."""
    ledger = Ledger(out)
    todo, settled = choose(recordings, ledger, out, resume)
    with FleetProgress({r.name: r.bytes for r in todo}, quiet=True) as progress:
        seats = local_seats(Task(work, out), workers, 1, 0.0)
        summary = run(todo, seats, ledger, out, work.settings, retries=retries, progress=progress, shared=work.shared)
    for state in settled:
        summary.count_before(state)
    return summary


def results(out: Path) -> dict[str, bytes]:
    """Everything that is placed, by path."""
    files = [path for path in out.rglob("*") if path.is_file() and ".fleet" not in path.parts]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files if path.suffix != ".parquet"}
