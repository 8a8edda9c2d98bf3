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

"""The files of a recording as one: all connections, all messages in time order."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from flashocc_ros.bags.files import RecordingFiles, content_kind
from flashocc_ros.bags.mcap_file import McapFile
from flashocc_ros.bags.sqlite_file import SqliteFile
from flashocc_ros.bags.storage import (
    Connection,
    DamagedError,
    Part,
    Storage,
    Warn,
    decompress_file,
    decompress_message,
    in_time_order,
)
from flashocc_ros.remote import Location, RemotePath

MOST_COMPRESSED = 1000
"""No camera recording gets smaller by more than this; what does is made to fill the disk."""
_LEAST_LIMIT_BYTES = 1 << 30


class JoinedFiles:
    """Opens the files of a recording; ``close`` it.

    A file that cannot be read at all is left out with a warning as long as another one can.

    Attributes:
        connections: of all files, in their order.
        start_ns, end_ns: time of the first and of the last message; both 0 without messages.

    Raises:
        DamagedError: no file can be read.
    """

    def __init__(self, files: RecordingFiles, warn: Warn) -> None:
        self._warn = warn
        self._folder: Path | None = None
        self._remote = [path for path in files.paths if isinstance(path, RemotePath)]
        self._storages: list[Storage] = []
        problems: list[DamagedError] = []
        try:
            for path in files.paths:
                try:
                    self._storages.append(self._open(path, content_kind(path)))
                except (DamagedError, OSError) as error:
                    problems.append(DamagedError(f"{path.name}: {error}"))
            if not self._storages:
                raise problems[0]
        except BaseException:
            self.close()
            raise
        for problem in problems:
            warn(f"{problem}; this file is left out")
        self.connections: list[Connection] = [c for storage in self._storages for c in storage.connections]
        filled = [s for s in self._storages if any(c.msgcount for c in s.connections)]
        self.start_ns = min((s.start_ns for s in filled), default=0)
        self.end_ns = max((s.end_ns for s in filled), default=0)

    def _open(self, path: Location, kind: str | None) -> Storage:
        if kind == "mcap":
            return McapFile(path, self._warn)
        if kind == "sqlite3":
            return SqliteFile(self._on_disk(path, "-wal"))
        if kind == "zstd":
            return self._open(*self._decompressed(path))
        raise DamagedError("it is empty" if path.stat().st_size == 0 else "it is neither MCAP nor SQLite")

    def _on_disk(self, path: Location, log: str = "") -> Path:
        """The file itself, or a copy of a remote one, which stays until ``close``.

        Raises:
            DamagedError: its last messages are in a file beside it, whose name ends in ``log``.
        """
        if isinstance(path, Path):
            return path
        beside = path.with_name(path.name + log)
        if log and beside.exists() and beside.size != 0:
            raise DamagedError(
                f"its last messages are in {beside.name}, which works on local disks only; copy both here"
            )
        return path.local()

    def _decompressed(self, path: Location) -> tuple[Path, str | None]:
        source = self._on_disk(path)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="flashocc_"))
        target = self._folder / path.stem
        if not decompress_file(source, target, max(source.stat().st_size * MOST_COMPRESSED, _LEAST_LIMIT_BYTES)):
            self._warn(f"{path} is damaged or cut off; it is read as far as it can be decompressed")
        kind = content_kind(target)
        if kind == "zstd":
            raise DamagedError("it is compressed twice; decompress it once")
        return target, kind

    def messages(self, wanted: Callable[[Connection], bool], start_ns: int | None) -> Iterator[tuple[int, str, bytes]]:
        """Time in nanoseconds, topic and content of the messages of ``wanted`` connections, in time order.

        Raises:
            DamagedError: a file is damaged in a way that costs all that follows.
        """

        def read(storage: Storage, topics: dict[int, str]) -> Iterator[tuple[int, str, bytes]]:
            for stamp_ns, connection, data in storage.messages(topics, start_ns):
                yield stamp_ns, topics[connection], decompress_message(data)

        def part(storage: Storage, topics: dict[int, str]) -> Part:
            return Part(storage.start_ns, lambda: read(storage, topics))

        parts = []
        for storage in self._storages:
            topics = {c.id: c.topic for c in storage.connections if wanted(c)}
            if topics and (start_ns is None or storage.end_ns >= start_ns):
                parts.append(part(storage, topics))
        return in_time_order(parts)

    def close(self) -> None:
        """Remove what was decompressed and give copies of remote files free."""
        for path in self._remote:
            path.release()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
