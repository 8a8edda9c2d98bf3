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

"""Removing what nothing has used for long from the engine cache."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from flashocc_ros.engine.store.cache import ENTRY, cache_root, left_overs, lock_of, remove
from flashocc_ros.errors import EngineError

logger = logging.getLogger(__name__)

KEEP_DAYS = 90.0
KEEP_GB = 20.0
IN_USE_S = 86_400.0
"""What was used within this time is kept whatever its size: a running process may be about to load it."""

_NAME = re.compile(r"[a-z0-9-]+-[0-9a-zA-Z._-]+-[0-9a-f]{16}")
_LEFT_OVER = re.compile(rf"\.({_NAME.pattern})\.[0-9a-z.]+\.tmp")


@dataclass(frozen=True)
class _Entry:
    path: Path
    used_s: float
    size_bytes: int


@dataclass(frozen=True)
class Pruned:
    """Entries that were removed, what they took, and what the others take, in bytes."""

    removed: tuple[Path, ...]
    freed_bytes: int
    kept_bytes: int


def prune(root: Path | None = None, keep_days: float = KEEP_DAYS, keep_gb: float = KEEP_GB) -> Pruned:
    """Remove entries last used more than ``keep_days`` ago, then the longest unused until ``keep_gb`` (1e9 bytes) hold
    the rest; also what killed processes left. Files that are no entries, and entries being built, stay.

    Raises:
        EngineError: something cannot be removed.
    """
    root = cache_root(root)
    entries = sorted(_entries(root), key=lambda entry: entry.used_s)
    total = sum(entry.size_bytes for entry in entries)
    now_s, freed, removed = time.time(), 0, []
    for entry in entries:
        age_s = now_s - entry.used_s
        too_much = total - freed > keep_gb * 1e9 and age_s > IN_USE_S
        if (age_s > keep_days * 86_400 or too_much) and _removed(entry.path):
            removed.append(entry.path)
            freed += entry.size_bytes
    for left_over in root.glob(".*.*.tmp"):
        if found := _LEFT_OVER.fullmatch(left_over.name):
            _removed(root / found[1], whole=False)
    return Pruned(tuple(removed), freed, total - freed)


def _entries(root: Path) -> list[_Entry]:
    found = []
    for path in root.iterdir() if root.is_dir() else ():
        marker = path / ENTRY
        if _NAME.fullmatch(path.name) and not path.is_symlink() and marker.is_file():
            size_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            found.append(_Entry(path, marker.stat().st_mtime, size_bytes))
    return found


def _removed(entry: Path, *, whole: bool = True) -> bool:
    """Remove what killed processes left of an entry and, if ``whole``, the entry; False where one is at work on it."""
    try:
        with lock_of(entry).acquire(timeout=0):
            for left_over in left_overs(entry):
                remove(left_over)
            if whole:
                # By one rename first, so that nobody finds half an entry.
                gone = entry.rename(entry.with_name(f".{entry.name}.pruned.tmp"))
                remove(gone)
                logger.info("engine cache: removed %s", entry)
    except Timeout:
        return False
    except OSError as error:
        raise EngineError(f"cannot remove {entry} ({error.strerror or error}); remove it as its owner") from error
    return True
