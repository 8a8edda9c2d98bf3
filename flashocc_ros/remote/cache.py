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

"""Copies of what cannot be read in place on its server, in a folder of limited size on this machine.

A copy belongs to a URL and a version of what is there, so a file that was replaced is fetched anew. It becomes visible
whole; two processes that want one fetch it once. The copies used longest ago make room; one that is in use is locked
(`flock`, shared) and stays.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from flashocc_ros.errors import ConfigError, OutputError
from flashocc_ros.paths import cache_directory
from flashocc_ros.remote.access import attempt, filesystem
from flashocc_ros.remote.urls import shown
from flashocc_ros.whole_file import unwritable

LIMIT_VARIABLE = "FLASHOCC_RECORDINGS_GB"
LIMIT_GB = 20.0
BLOCK_BYTES = 4 << 20
LOCKS = 256
"""Two recordings that happen to share one of these locks wait for each other's fetching."""
MAX_NAME = 150
_PART = ".part"


class LocalCopy:
    """A copy that stays as long as this object is there.

    Attributes:
        path: of the copy.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb")
        fcntl.flock(self._file, fcntl.LOCK_SH)
        if not os.fstat(self._file.fileno()).st_nlink:
            self._file.close()
            raise FileNotFoundError(errno.ENOENT, "it was removed to make room", str(path))
        os.utime(path)  # the last use

    def close(self) -> None:
        """Let it make room for others."""
        self._file.close()


def folder() -> Path:
    """Where the copies are."""
    return cache_directory() / "recordings"


def limit_bytes() -> int:
    """What all copies together may take.

    Raises:
        ConfigError: the variable holds no number above 0.
    """
    text = os.environ.get(LIMIT_VARIABLE, "")
    try:
        limit_gb = float(text) if text else LIMIT_GB
    except ValueError:
        limit_gb = 0.0
    if not 0 < limit_gb < 1e6:
        raise ConfigError(f"{LIMIT_VARIABLE} is {text!r:.40}, needs a number of gigabytes above 0")
    return round(limit_gb * 1e9)


def local_copy(url: str, name: str, size: int | None, version: str) -> LocalCopy:
    """A copy of the file at ``url``, fetched where there is none of this version.

    Args:
        url: of the file.
        name: the end of the copy's name.
        size: of the file in bytes; None where the server does not tell.
        version: changes when the file does.

    Raises:
        FileNotFoundError, RemoteError: it cannot be read.
        OutputError: there is no room for it.
    """
    root, target = folder(), _target(url, name, version)
    key = target.name.partition(".")[0]
    try:
        (root / "locks").mkdir(parents=True, exist_ok=True)
        with FileLock(root / "locks" / f"{int(key[:8], 16) % LOCKS}"):
            while True:
                if not target.exists():
                    _fetch(url, size, target)
                try:
                    return LocalCopy(target)
                except FileNotFoundError:  # another process has just made room
                    continue
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unwritable(target, error) from error


def present_copy(url: str, name: str, version: str) -> LocalCopy | None:
    """A copy that is there already."""
    try:
        return LocalCopy(_target(url, name, version))
    except OSError:
        return None


def _target(url: str, name: str, version: str) -> Path:
    key = hashlib.sha256(f"{url}\n{version}".encode()).hexdigest()[:24]
    return folder() / f"{key}.{name[-MAX_NAME:]}"


def _fetch(url: str, size: int | None, target: Path) -> None:
    part = target.with_name(target.name + _PART)
    try:
        with part.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _make_room(url, size or 0, file)
            attempt(url, lambda: _download(url, size, file))
            part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _download(url: str, size: int | None, file: BinaryIO) -> None:
    """All of it, as a stream.

    Raises:
        OSError: fewer or more bytes came than were announced.
        OutputError: the disk is full, or it is longer than the limit.
    """
    files, place = filesystem(url)
    limit = limit_bytes() if size is None else size
    file.seek(0)
    written = 0
    with files.open(place, "rb", block_size=BLOCK_BYTES, cache_type="readahead") as source:
        while block := source.read(BLOCK_BYTES):
            written += len(block)
            if written > limit:
                if size is None:
                    raise _too_large(url, written, limit)
                raise OSError(f"more than the announced {size} bytes came")
            try:
                file.write(block)
            except OSError as error:
                raise unwritable(Path(str(file.name)), error) from error
    if size is not None and written != size:
        raise OSError(f"{written} of {size} bytes came")
    file.truncate(written)
    file.flush()


def _make_room(url: str, size: int, file: BinaryIO) -> None:
    """Remove copies until ``size`` more bytes fit, those used longest ago first, and let ``file`` count for as many.

    Raises:
        OutputError: they do not.
    """
    root, limit = folder(), limit_bytes()
    with FileLock(root / "locks" / "room"):
        copies = []
        for path in root.glob("*.*"):
            with suppress(OSError):  # another process removed it
                status = path.stat()
                copies.append((status.st_mtime_ns, status.st_size, path))
        taken = sum(copy[1] for copy in copies)
        for _, nbytes, path in sorted(copies):
            if taken + size <= limit:
                break
            if _removed(path):
                taken -= nbytes
        if taken + size > limit:
            if size > limit:
                raise _too_large(url, size, limit)
            raise OutputError(
                f"{shown(url)} takes {size / 1e9:.1f} GB, and {taken / 1e9:.1f} of {limit / 1e9:g} GB for copies in "
                f"{root} are in use; raise {LIMIT_VARIABLE} or work on fewer recordings at once"
            )
        file.truncate(size)


def _removed(path: Path) -> bool:
    """Remove a copy nobody uses; False when somebody does."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        return True
    except OSError:
        return not path.exists()


def _too_large(url: str, size: int, limit: int) -> OutputError:
    return OutputError(
        f"{shown(url)} cannot be read in place and takes {size / 1e9:.1f} GB or more, the limit for copies is "
        f"{limit / 1e9:g} GB; raise {LIMIT_VARIABLE}, or store it as a finished, indexed MCAP on a server with ranges"
    )
