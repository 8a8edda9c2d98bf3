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

"""A file on a server, read where it is needed: one request for each place, or for neighbours together."""

from __future__ import annotations

import io
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from flashocc_ros.remote.access import attempt, filesystem
from flashocc_ros.remote.urls import WEB, scheme_of

RUN_BYTES = 8 << 20
"""Places that follow each other are fetched together up to this size."""
MAX_GAP_BYTES = 256 << 10
"""So are places with less than this between them: a further request takes longer than these bytes."""
RUNS_KEPT = 3


class RangeReader:
    """Reads a file at places. Safe to use from several threads.

    Args:
        url: of the file.
        size: of the file in bytes.
        local: gives a copy on disk, for a server that turns out to give whole files only.

    Attributes:
        fetched: bytes asked for so far; requests: how often.
    """

    def __init__(self, url: str, size: int, local: Callable[[], Path]) -> None:
        self.url, self.size, self._local = url, size, local
        self.fetched = self.requests = 0
        self._file: Any = None
        self._is_copied = False
        self._runs: list[tuple[int, int]] = []
        self._starts: list[int] = []
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def expect(self, places: Iterable[tuple[int, int]]) -> None:
        """Begin and size of what will be read, so that neighbours are fetched together."""
        runs: list[tuple[int, int]] = []
        for start, size in sorted(places):
            stop = min(start + size, self.size)
            if runs and start - runs[-1][1] <= MAX_GAP_BYTES and stop - runs[-1][0] <= RUN_BYTES:
                runs[-1] = (runs[-1][0], max(stop, runs[-1][1]))
            else:
                runs.append((start, stop))
        with self._lock:
            self._runs, self._starts = runs, [start for start, _ in runs]

    def read(self, start: int, size: int) -> bytes:
        """At most ``size`` bytes from ``start``, fewer at the end of the file.

        Raises:
            RemoteError: the server fails.
        """
        stop = min(start + size, self.size)
        if stop <= start:
            return b""
        with self._lock:
            index = bisect_right(self._starts, start) - 1
            if index < 0 or stop > self._runs[index][1]:
                return self._fetch(start, stop)
            first, last = self._runs[index]
            if first not in self._kept:
                self._kept[first] = self._fetch(first, last)
                while len(self._kept) > RUNS_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(first)
            kept = self._kept[first]
            if len(kept) < stop - first:  # of an earlier expectation
                kept = self._kept[first] = self._fetch(first, last)
            return kept[start - first : stop - first]

    def _fetch(self, start: int, stop: int) -> bytes:
        def ask() -> bytes:
            if self._file is None:
                self._file = self._opened()
            try:
                self._file.seek(start)
                data = bytes(self._file.read(stop - start))
            except BaseException:
                self._file = None  # a broken connection does not mend
                raise
            if len(data) != stop - start:
                self._file = None
                raise OSError(f"{len(data)} of {stop - start} bytes came")
            return data

        self.requests += 1
        self.fetched += stop - start
        try:
            return attempt(self.url, ask)
        except ValueError:  # of fsspec's web: the server has answered with the whole file
            self._is_copied = True
            return ask()

    def _opened(self) -> Any:
        if self._is_copied:
            return self._local().open("rb")
        files, place = filesystem(self.url)
        web = {"size": self.size} if scheme_of(self.url) in WEB else {}  # else it asks for it again
        return files.open(place, "rb", cache_type="none", **web)


class RangeFile(io.RawIOBase):
    """A `RangeReader` as a file that one seeks and reads in."""

    def __init__(self, reader: RangeReader) -> None:
        super().__init__()
        self._reader, self._at = reader, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._reader.size}[whence]
        if origin + offset < 0:
            raise OSError("a place before the begin of the file")
        self._at = origin + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = max(self._reader.size - self._at, 0)
        data = self._reader.read(self._at, size)
        self._at += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
