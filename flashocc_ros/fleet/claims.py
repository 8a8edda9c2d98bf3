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

"""Who works on a recording: a file that is there, and locked, while somebody does.

The process that works holds the claim, not the one that hands out work: whoever dies, is killed or loses his driver
gives it back at once, because the kernel releases his lock. Other machines, whose file system may know no locks, see
the claim's file change every few seconds; their clocks are never compared, only times that the file system gave.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

from flashocc_ros import plain_json
from flashocc_ros.whole_file import make_folder, unwritable

BEAT_S = 5.0
SILENT_S = 90.0
"""A claim of another machine that did not change for so long is of a dead one."""
UNWRITTEN_S = 5.0
"""One in which nothing stands is of somebody who died while he made it."""
SETTLE_S = 2.0
"""Two machines that take over at once see after this time who was last."""

SIZE_BYTES = 1024
"""Of a claim's file, always: it is written at once and read whole."""
LOOKS, LOOK_EVERY_S = 3, 0.02
"""Who asks whether a claim is alive holds its lock for a moment."""


class Claim:
    """Held by this process until it is released or lost; its file tells how far the work is.

    Attributes:
        token: of this claim alone.
    """

    def __init__(self, path: Path, descriptor: int, worker: str) -> None:
        self.path, self.token = path, uuid4().hex[:12]
        self._descriptor = descriptor
        self._facts: dict[str, Any] = {"worker": worker, "machine": machine(), "pid": os.getpid(), "token": self.token}
        self._released, self._writing = threading.Event(), threading.RLock()
        self._write()
        threading.Thread(target=self._beat, daemon=True).start()

    @property
    def held(self) -> bool:
        """Whether nobody took it over, thinking that this machine is dead."""
        with self._writing:
            return _read(self._descriptor).get("token") == self.token and _is_at(self.path, self._descriptor)

    def tell(self, frames: int, expected: int | None, memory_bytes: int) -> None:
        """How many camera sets are done, of how many, and what the worker holds; others see it at the next beat."""
        self._facts = self._facts | {"frames": frames, "expected": expected, "memory_bytes": memory_bytes}

    def release(self) -> None:
        """Give it back; its file goes."""
        with self._writing:
            if self._released.is_set():
                return
            self._released.set()
            with suppress(OSError):
                if self.held:
                    self.path.unlink()
            os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._released.wait(BEAT_S):
            with self._writing, suppress(OSError):
                if not self._released.is_set() and self.held:
                    self._write()

    def _write(self) -> None:
        if os.pwrite(self._descriptor, json.dumps(self._facts).encode().ljust(SIZE_BYTES), 0) < SIZE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def take(path: Path, worker: str) -> Claim | None:
    """The claim whose file is ``path``, None while somebody alive holds it. Missing folders are made.

    Raises:
        OutputError: the file cannot be written.
    """
    make_folder(path.parent)
    looks = LOOKS
    while looks:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            claim, again = _taken_over(path, worker)
            if claim is not None:
                return claim
            if not again:
                looks -= 1
                time.sleep(LOOK_EVERY_S)
            continue
        _lock(descriptor, wait=True)
        try:
            return Claim(path, descriptor, worker)
        except OSError as error:  # a full disk
            path.unlink(missing_ok=True)
            os.close(descriptor)
            raise unwritable(path, error) from error
    return None


def holder(path: Path) -> dict[str, Any] | None:
    """What the living holder of a claim tells: ``worker``, ``frames``, ``expected``, ``memory_bytes``; or None."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        return _read(descriptor) if _alive(path, descriptor) else None
    finally:
        os.close(descriptor)


def _taken_over(path: Path, worker: str) -> tuple[Claim | None, bool]:
    """The claim of a dead holder or None, and whether to look again because it went in the meantime."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None, True
    claim: Claim | None = None
    try:
        if _alive(path, descriptor):
            return None, False
        if not _is_at(path, descriptor):
            return None, True
        elsewhere = _read(descriptor).get("machine") != machine()
        claim = Claim(path, descriptor, worker)
        if elsewhere:
            time.sleep(SETTLE_S)
            if not claim.held:
                claim.release()
                return None, False
        return claim, False
    finally:
        if claim is None:
            os.close(descriptor)


def _alive(path: Path, descriptor: int) -> bool:
    """Whether the holder lives; locks the file where he does not."""
    locked = _lock(descriptor, wait=False)
    if locked is False:
        return True
    if locked and _read(descriptor).get("machine") == machine():
        return False
    return _age_s(path, descriptor) < (SILENT_S if _read(descriptor) else UNWRITTEN_S)


def _age_s(path: Path, descriptor: int) -> float:
    """Time since the last change of the file, by the clock of the file system."""
    probe = path.with_name(f".{path.name}.{uuid4().hex[:12]}")
    try:
        probe.write_bytes(b"?")
        return probe.stat().st_mtime - os.fstat(descriptor).st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _lock(descriptor: int, wait: bool) -> bool | None:
    """Whether this process holds the file's lock now, None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _read(descriptor: int) -> dict[str, Any]:
    """What the file holds; empty while it is being written."""
    try:
        facts = plain_json.parse(os.pread(descriptor, SIZE_BYTES, 0))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def machine() -> str:
    """This machine as it is running now; another start of it is another machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()
