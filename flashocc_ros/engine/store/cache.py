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

"""Built engines and exports on disk: complete or absent, never half written, never used for something else.

An entry is a folder named after a digest of its key; ``entry.json`` inside repeats the key and the SHA-256 of every
file. It is filled under a lock in a temporary folder beside it and appears by one rename, so a reader needs no lock and
a killed writer leaves only a temporary folder that the next writer removes. The time of ``entry.json`` is that of the
last use, for ``prune``.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from flashocc_ros import plain_json
from flashocc_ros.errors import EngineError
from flashocc_ros.paths import cache_directory

logger = logging.getLogger(__name__)

ENTRY = "entry.json"

LOCK_WAIT_S = 1800.0
"""How long the building process is waited for: the largest engines take minutes, so one that takes longer is stuck."""

_SHORT_OF = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors of a process that cannot read now, which tell nothing about the entry."""


@dataclass(frozen=True)
class CacheKey:
    """What an entry depends on; a change in any part is another entry.

    Attributes:
        kind: first part of the folder name, such as ``openvino``.
        variant: second part, for people who look into the folder.
        parts: everything else as text: source hashes, engine version, device, precision, shapes.
    """

    kind: str
    variant: str
    parts: Mapping[str, str]

    def as_dict(self) -> dict[str, str]:
        return {"kind": self.kind, "variant": self.variant, **dict(sorted(self.parts.items()))}

    @property
    def folder_name(self) -> str:
        text = json.dumps(self.as_dict(), sort_keys=True)
        return f"{self.kind}-{self.variant}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def cache_root(root: Path | str | None) -> Path:
    """The folder of the cache, which need not be there; None is the user's.

    Raises:
        EngineError: no folder can have this name.
    """
    root = cache_directory() if root is None else root
    try:
        folder = Path(root).expanduser()
        folder.stat()
    except FileNotFoundError:
        return folder
    except (OSError, ValueError, RuntimeError) as error:  # no such user, a null byte, a name too long
        reason = getattr(error, "strerror", None) or error
        raise EngineError(
            f"cannot use the engine cache {str(root)!r:.80} ({reason}); set cache_dir or FLASHOCC_CACHE to another "
            "folder"
        ) from error
    return folder


def cached(root: Path | None, key: CacheKey, build: Callable[[Path], None], *, replace: bool = False) -> Path:
    """Folder of the entry for ``key``; ``build(folder)`` fills it when it is absent, damaged or foreign.

    With ``replace`` a sound entry is built again too, and stays until the new one is complete. Only one process builds
    an entry at a time, others wait for it. What is built and why is logged.

    Raises:
        EngineError: the cache folder cannot be written, the disk is full, this process is short of memory, another one
            holds the lock for longer than ``LOCK_WAIT_S``, or ``build`` says so.
    """
    root = cache_root(root)
    entry = root / key.folder_name
    _warn_of_others(root)
    if not replace and _problem(entry, key) is None:
        _mark_used(entry)
        return entry
    lock = _lock(root, entry)
    try:
        # The other process may have finished while this one waited.
        problem = _problem(entry, key)
        if problem is None and not replace:
            return entry
        if problem is None:
            logger.info("engine cache: replacing %s", entry)
        elif os.path.lexists(entry):
            logger.warning("engine cache: %s %s; building it again", entry, problem)
        else:
            logger.info("engine cache: building %s", entry)
        _build(entry, key, build, keep=problem is None)
    finally:
        lock.release()
    return entry


def found(root: Path | None, key: CacheKey) -> Path | None:
    """Folder of the entry for ``key`` when it is there and sound; a damaged or foreign one is said."""
    root = cache_root(root)
    entry = root / key.folder_name
    _warn_of_others(root)
    problem = _problem(entry, key)
    if problem is None:
        _mark_used(entry)
        return entry
    if os.path.lexists(entry):
        logger.warning("engine cache: %s %s; it is not used", entry, problem)
    return None


def lock_of(entry: Path) -> FileLock:
    """Held by the process that builds or removes ``entry``."""
    return FileLock(entry.parent / f".{entry.name}.lock")


def left_overs(entry: Path) -> list[Path]:
    """What processes that were killed, or the one that holds the lock, left of ``entry`` beside it."""
    return sorted(entry.parent.glob(f".{entry.name}.*.tmp"))


def remove(path: Path) -> None:
    """Whatever is there; of a link only the link.

    Raises:
        OSError: it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _lock(root: Path, entry: Path) -> FileLock:
    lock = lock_of(entry)
    try:
        root.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.info("engine cache: waiting for another process that builds %s", entry)
            _wait(lock, entry)
    except OSError as error:
        raise EngineError(
            f"cannot write to the engine cache {root} ({error.strerror or error}); make it writable or set cache_dir "
            "or FLASHOCC_CACHE to a folder that is"
        ) from error
    return lock


def _wait(lock: FileLock, entry: Path) -> None:
    try:
        lock.acquire(timeout=LOCK_WAIT_S)
    except Timeout as error:
        builders = ", ".join(path.name.split(".")[-2] for path in left_overs(entry))
        who = f"process {builders}" if builders else "another process"
        raise EngineError(
            f"{who} has held {lock.lock_file} for {LOCK_WAIT_S / 60:.0f} min, longer than any build takes; end it, or "
            "set cache_dir or FLASHOCC_CACHE to another folder"
        ) from error


def _build(entry: Path, key: CacheKey, build: Callable[[Path], None], *, keep: bool) -> None:
    """``keep`` what stands there until the new entry is complete."""
    folder = entry.parent / f".{entry.name}.{os.getpid()}.tmp"
    started = time.monotonic()
    try:
        for left_over in left_overs(entry):
            logger.warning("engine cache: removing %s, left by a process that was killed", left_over)
            remove(left_over)
        if not keep:
            remove(entry)
        folder.mkdir()
        build(folder)
        files = {
            name: {"sha256": file_sha256(folder / name), "bytes": (folder / name).stat().st_size}
            for name in _contents(folder)
        }
        _write_durably(folder / ENTRY, json.dumps({"key": key.as_dict(), "files": files}, indent=1))
        if keep:
            entry.rename(folder.with_suffix(".old.tmp"))
        folder.rename(entry)
    except OSError as error:
        free_mb = shutil.disk_usage(entry.parent).free / 1e6
        raise EngineError(
            f"cannot write the engine cache entry {entry} ({error.strerror or error}; {free_mb:.0f} MB free); "
            "free some space or set cache_dir or FLASHOCC_CACHE to another disk"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(folder.with_suffix(".old.tmp"), ignore_errors=True)
    logger.info("engine cache: built %s in %.1f s", entry, time.monotonic() - started)


def _contents(folder: Path) -> list[str]:
    """The files below a folder, relative to it."""
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]


def _write_durably(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _mark_used(entry: Path) -> None:
    with suppress(OSError):  # somebody else's cache, which they prune
        os.utime(entry / ENTRY)


@functools.cache
def _warn_of_others(root: Path) -> None:
    """Once: what lies there is executed."""
    try:
        status = root.stat()
    except OSError:
        return  # made on the first build, then ours alone
    others = status.st_mode & 0o002 or (status.st_mode & 0o020 and status.st_gid != os.getgid())
    if others or status.st_uid not in (0, os.getuid()):
        logger.warning(
            "engine cache: others can write to %s, and what they put there is run; `chmod go-w` it, or set cache_dir "
            "or FLASHOCC_CACHE to a folder of your own",
            root,
        )


def _problem(entry: Path, key: CacheKey) -> str | None:
    """Why the entry cannot be used, None when it can.

    Raises:
        EngineError: that cannot be found out now.
    """
    if not entry.is_dir():
        return "is no folder" if os.path.lexists(entry) else "does not exist"
    try:
        content = plain_json.parse((entry / ENTRY).read_text())
        recorded, files = content["key"], content["files"]
        if recorded != key.as_dict():
            return "was built for something else"
        if not files:  # no build makes none
            return f"is damaged: its {ENTRY} lists no files"
        for name, facts in files.items():
            path = entry / name
            if not path.is_file() or path.stat().st_size != facts["bytes"] or file_sha256(path) != facts["sha256"]:
                return f"is damaged: {name} is not the file that was written"
        if {name for name in _contents(entry) if name != ENTRY} != set(files):
            return f"is damaged: it does not hold the files that its {ENTRY} lists"
    except (OSError, MemoryError) as error:
        if isinstance(error, MemoryError) or error.errno in _SHORT_OF:
            what = "out of memory" if isinstance(error, MemoryError) else error.strerror
            raise EngineError(f"cannot read {entry} now ({what}); close other programs and try again") from error
        return f"is damaged: {ENTRY} cannot be read ({error})"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"is damaged: {ENTRY} cannot be read ({error})"
    return None
