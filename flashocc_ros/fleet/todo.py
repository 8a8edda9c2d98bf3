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

"""What of a fleet is to be done, beside results that are there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from flashocc_ros.errors import BagError, ConfigError
from flashocc_ros.fleet.attempt import is_settled
from flashocc_ros.fleet.fingerprint import fingerprint
from flashocc_ros.fleet.ledger import FINISHED, FOLDER, Ledger, State
from flashocc_ros.fleet.manifest import NAME
from flashocc_ros.fleet.place import is_placed
from flashocc_ros.fleet.recordings import Recording

_READERS = 8


def check_settings(ledger: Ledger, settings: dict[str, Any]) -> None:
    """Whether results made with ``settings`` may lie beside those that are there.

    Raises:
        ConfigError: others are there.
    """
    out = ledger.folder.parent
    there = ledger.settings()
    if there is None:
        if out.exists() and not out.is_dir():
            raise ConfigError(f"--out {out} is a file; give a folder")
        if out.is_dir() and any(name not in (NAME, FOLDER) for name in os.listdir(out)):
            raise ConfigError(f"--out {out} holds files that are not of a fleet; choose another --out")
        return
    for key in (*settings, *(key for key in there if key not in settings and key != "flashocc")):
        if there.get(key) != settings.get(key):
            raise ConfigError(
                f"--out {out} holds results of {key} {there.get(key)!s:.100}, this run has {settings.get(key)!s:.100}; "
                "choose another --out"
            )


def choose(
    recordings: Sequence[Recording], ledger: Ledger, out: Path, resume: bool
) -> tuple[list[Recording], list[State]]:
    """What is to be done: what is missing, changed or failed; and the states of the rest, which is settled.

    Raises:
        ConfigError: not ``resume``, and some of them were finished before.
    """
    finished: dict[str, State] = {}
    for recording in recordings:
        state = ledger.read(recording.name)
        if state is not None and state.status in FINISHED:
            finished[recording.name] = state
    if finished and not resume:
        raise ConfigError(
            f"{len(finished)} of {len(recordings)} recordings were worked on in {out} before; --resume does what is "
            "missing, changed or failed, or choose another --out"
        )

    def settled(recording: Recording) -> bool:
        state = finished.get(recording.name)
        if state is None or state.status == "failed":
            return False
        try:
            return is_settled(state, fingerprint(recording.location), is_placed(out, recording.name))
        except (BagError, OSError):
            return False

    with ThreadPoolExecutor(_READERS) as pool:
        rest = {r.name for r, done in zip(recordings, pool.map(settled, recordings), strict=True) if done}
    return [r for r in recordings if r.name not in rest], [finished[name] for name in sorted(rest)]
