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

"""What is known of every recording: one small JSON file each, replaced whole, the truth while a fleet runs."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, ValidationError

from flashocc_ros import plain_json
from flashocc_ros.errors import ConfigError
from flashocc_ros.fleet import claims
from flashocc_ros.fleet.recordings import Recording
from flashocc_ros.version import __version__
from flashocc_ros.whole_file import write_whole

FOLDER = ".fleet"
"""Of the ledger in the folder of the results."""
Status = Literal["queued", "running", "done", "failed", "quarantined"]
LOOK_EVERY_S = 0.1
FINISHED = ("done", "failed", "quarantined")


class State(BaseModel):
    """What is known of a recording; a row of the manifest.

    Attributes:
        recording: its name; location: where it lay.
        bytes, sha256: see `fingerprint.Fingerprint`.
        rig: digest of names, intrinsics and mounting of its cameras.
        duration_s: from its first to its last message; sets: results made of it.
        status: of a run that was killed, "running" without anybody who holds its claim.
        attempts: how often it was begun since it last changed.
        worker: who did so last; seconds: how long it took.
        metrics: numbers about the result.
        reason: why it failed or is quarantined; remarks: what was said while it was read.
        runs_on: one line on the engine.
        result_bytes, result_sha256: size and digest of the files of the result.
        peak_memory_mb: most that the worker had held until then.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    recording: str
    location: str
    status: Status = "queued"
    bytes: int = 0
    sha256: str = ""
    rig: str = ""
    duration_s: float = 0.0
    sets: int = 0
    attempts: int = 0
    worker: str = ""
    seconds: float = 0.0
    metrics: dict[str, float | None] = {}
    reason: str = ""
    remarks: list[str] = []
    runs_on: str = ""
    result_bytes: int = 0
    result_sha256: str = ""
    peak_memory_mb: float = 0.0

    def now(self, **changes: Any) -> State:
        """The same with some values changed."""
        return self.model_copy(update=changes)


class Ledger:
    """The states, claims and lists of a folder of results; nothing is written before the first ``write`` or ``begin``.

    Args:
        out: folder of the results, on this machine or shared by all that work.
    """

    def __init__(self, out: Path) -> None:
        self.folder = out / FOLDER
        self._settings = self.folder / "fleet.json"
        self._states, self._claims = self.folder / "recordings", self.folder / "claims"
        self._lists, self._work = self.folder / "lists", self.folder / "work"

    def settings(self) -> dict[str, Any] | None:
        """What the folder's results are made with, None where there are none.

        Raises:
            ConfigError: the file that says so is damaged.
        """
        try:
            facts = plain_json.parse(self._settings.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self._settings} cannot be read ({error}); choose another --out") from error
        return facts if isinstance(facts, dict) else {}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While no other driver begins."""
        while (claim := claims.take(self._claims / ".begin", "driver")) is None:
            time.sleep(LOOK_EVERY_S)
        with claim:
            yield

    def begin(self, settings: dict[str, Any], recordings: Iterable[Recording]) -> None:
        """Note what is to be done before it is.

        Raises:
            OutputError: it cannot be written.
        """
        if self.settings() is None:
            write_whole(self._settings, json.dumps({"flashocc": __version__, **settings}, indent=1) + "\n")
        path = self._lists / f"{uuid4().hex[:12]}.json"
        write_whole(path, json.dumps([[r.name, r.location, r.bytes] for r in recordings]))

    def forget_lists(self) -> None:
        """Remove the lists all of whose recordings have a state by now."""
        known = self._known()
        for file in _names(self._lists):
            if all(name in known for name, _, _ in self._listed(file)):
                with suppress(OSError):
                    (self._lists / file).unlink()

    def _known(self) -> set[str]:
        return {path[: -len(".json")] for path in _names(self._states) if path.endswith(".json")}

    def read(self, name: str) -> State | None:
        """The state of a recording, None where there is none or what is there cannot be read."""
        return _parsed(self._states / f"{name}.json")

    def write(self, state: State) -> None:
        """Replace a state.

        Raises:
            OutputError: it cannot be written; the old one stays.
        """
        write_whole(self._states / f"{state.recording}.json", state.model_dump_json(indent=1) + "\n")

    def states(self) -> Iterator[State]:
        """Of all recordings, by name; those that nobody has begun are queued, and so is what nobody works on any more.

        A recording that is being worked on is ``running``, however often it was begun before.
        """
        known = self._known()
        lists = [entry for file in _names(self._lists) for entry in self._listed(file)]
        waiting = {name: (place, size) for name, place, size in lists if name not in known}
        busy = self.working()
        for name in sorted(known | waiting.keys()):
            state = self.read(name) if name in known else None
            if state is None:
                location, size = waiting.get(name, ("", 0))
                state = State(recording=name, location=location, bytes=size)
            if state.status in ("queued", "running"):
                state = state.now(status="running" if name in busy else "queued")
            yield state

    def working(self) -> dict[str, dict[str, Any]]:
        """Who works on what now, by name of the recording; see `claims.holder`."""
        found = {name: claims.holder(self._claims / name) for name in _names(self._claims) if name[0] != "."}
        return {name: facts for name, facts in found.items() if facts is not None}

    def _listed(self, file: str) -> list[tuple[str, str, int]]:
        try:
            entries = plain_json.parse((self._lists / file).read_bytes())
            return [(str(name), str(location), int(size)) for name, location, size in entries]
        except (OSError, ValueError, TypeError):
            return []  # of a driver that ended meanwhile

    def claim(self, name: str, worker: str) -> claims.Claim | None:
        """The right to work on a recording; None while somebody alive has it."""
        return claims.take(self._claims / name, worker)

    def scratch(self, name: str, token: str, keep: bool) -> Path:
        """A folder to make a result in, for the holder of the claim ``token``.

        Args:
            keep: begin with what an attempt before left, instead of without anything.
        """
        target = self._work / f"{name}@{token}"
        for left in [p for p in _names(self._work) if p.rpartition("@")[0] == name]:
            if keep and not target.exists():
                (self._work / left).rename(target)
            else:
                shutil.rmtree(self._work / left, ignore_errors=True)
        target.mkdir(parents=True, exist_ok=True)
        return target

    def working_in(self, name: str) -> Path | None:
        """The folder in which a recording's result is being made now; None where nobody does, or has begun."""
        facts = claims.holder(self._claims / name) or {}
        folder = self._work / f"{name}@{facts.get('token')}"
        return folder if folder.is_dir() else None

    def sweep(self, name: str, folder: Path) -> None:
        """Remove ``folder``, once given by ``working_in``, where another holder moved away what was in it."""
        token = (claims.holder(self._claims / name) or {}).get("token")
        if token and folder.name != f"{name}@{token}":
            shutil.rmtree(folder, ignore_errors=True)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _parsed(path: Path) -> State | None:
    try:
        return State.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
