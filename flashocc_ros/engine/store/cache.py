"""Built engines and exports on disk: complete or absent, never half written, never used for something else.

An entry is a folder named after a digest of its key; ``entry.json`` inside repeats the key and the SHA-256 of every
file. It is filled under a lock in a temporary folder beside it and appears by one rename, so a reader needs no lock and
a killed writer leaves only a temporary folder that the next writer removes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from flashocc_ros.errors import EngineError

logger = logging.getLogger(__name__)

_ENTRY = "entry.json"


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


def default_root() -> Path:
    """``$FLASHOCC_CACHE``, else ``flashocc_ros`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    if override := os.environ.get("FLASHOCC_CACHE"):
        return Path(override)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flashocc_ros"


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def cached(root: Path | None, key: CacheKey, build: Callable[[Path], None], *, replace: bool = False) -> Path:
    """Folder of the entry for ``key``; ``build(folder)`` fills it when it is absent, damaged or foreign.

    With ``replace`` a sound entry is built again too. Only one process builds an entry at a time, others wait for it.
    What is built and why is logged.

    Raises:
        EngineError: the cache folder cannot be written, the disk is full, or ``build`` says so.
    """
    root = default_root() if root is None else Path(root)
    entry = root / key.folder_name
    if not replace and _problem(entry, key) is None:
        return entry
    lock = _lock(root, entry)
    try:
        # The other process may have finished while this one waited.
        problem = _problem(entry, key)
        if problem is None and not replace:
            return entry
        if problem is None:
            logger.info("engine cache: replacing %s", entry)
            shutil.rmtree(entry)
        elif entry.exists():
            logger.warning("engine cache: %s %s; building it again", entry, problem)
            shutil.rmtree(entry)
        else:
            logger.info("engine cache: building %s", entry)
        _build(entry, key, build)
    finally:
        lock.release()
    return entry


def found(root: Path | None, key: CacheKey) -> Path | None:
    """Folder of the entry for ``key`` when it is there and sound; a damaged or foreign one is said."""
    entry = (default_root() if root is None else Path(root)) / key.folder_name
    problem = _problem(entry, key)
    if problem is not None and entry.exists():
        logger.warning("engine cache: %s %s; it is not used", entry, problem)
    return entry if problem is None else None


def _lock(root: Path, entry: Path) -> FileLock:
    lock = FileLock(root / f".{entry.name}.lock")
    try:
        root.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.info("engine cache: waiting for another process that builds %s", entry)
            lock.acquire()
    except OSError as error:
        raise EngineError(
            f"cannot write to the engine cache {root} ({error.strerror or error}); make it writable or set cache_dir "
            "or FLASHOCC_CACHE to a folder that is"
        ) from error
    return lock


def _build(entry: Path, key: CacheKey, build: Callable[[Path], None]) -> None:
    for left_over in entry.parent.glob(f".{entry.name}.*.tmp"):
        logger.warning("engine cache: removing %s, left by a process that was killed", left_over)
        shutil.rmtree(left_over, ignore_errors=True)
    folder = entry.parent / f".{entry.name}.{os.getpid()}.tmp"
    started = time.monotonic()
    try:
        folder.mkdir()
        build(folder)
        files = {
            path.relative_to(folder).as_posix(): {"sha256": file_sha256(path), "bytes": path.stat().st_size}
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        _write_durably(folder / _ENTRY, json.dumps({"key": key.as_dict(), "files": files}, indent=1))
        folder.rename(entry)
    except OSError as error:
        free_mb = shutil.disk_usage(entry.parent).free / 1e6
        raise EngineError(
            f"cannot write the engine cache entry {entry} ({error.strerror or error}; {free_mb:.0f} MB free); "
            "free some space or set cache_dir or FLASHOCC_CACHE to another disk"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    logger.info("engine cache: built %s in %.1f s", entry, time.monotonic() - started)


def _write_durably(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _problem(entry: Path, key: CacheKey) -> str | None:
    """Why the entry cannot be used, None when it can."""
    if not entry.is_dir():
        return "does not exist"
    try:
        content = json.loads((entry / _ENTRY).read_text())
        recorded, files = content["key"], content["files"]
        if recorded != key.as_dict():
            return "was built for something else"
        for name, facts in files.items():
            path = entry / name
            if not path.is_file() or path.stat().st_size != facts["bytes"] or file_sha256(path) != facts["sha256"]:
                return f"is damaged: {name} is not the file that was written"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"is damaged: {_ENTRY} cannot be read ({error})"
    return None
