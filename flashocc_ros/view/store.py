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

"""Encoded frames between the one who makes them and the browsers that look at them."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import deque
from itertools import islice
from typing import Any

import numpy as np

from flashocc_ros.view.encode import encode
from flashocc_ros.view.frame import ViewFrame
from flashocc_ros.view.pictures import WIDTH

MAX_ENTRIES = 2000
"""Live frames whose place on the path is remembered."""


class FrameStore:
    """Frames by number, from 0 on. Safe to use from several threads.

    Those of a recording lie in a file without name, which the system removes with the process, so that memory stays
    small however long it is; of live ones the newest alone is held.

    Args:
        keep_all: hold every frame, not the newest alone.
        total: how many are to come, if that is known.
        picture_width: in pixels, wider pictures are made smaller.
    """

    def __init__(self, keep_all: bool, total: int | None = None, picture_width: int = WIDTH) -> None:
        self.total = total
        self._width = picture_width
        self._file = tempfile.TemporaryFile(prefix="flashocc_view_") if keep_all else None  # noqa: SIM115
        self._places: list[tuple[int, int]] = []
        self._newest = b""
        self._first = 0
        self._entries: deque[dict[str, Any]] = deque(maxlen=None if keep_all else MAX_ENTRIES)
        self._count = 0
        self._done, self._error, self._said = False, "", ""
        self._version = 0
        self._changed = threading.Condition()

    def add(self, frame: ViewFrame) -> None:
        """Encode a frame and tell those who wait."""
        data = encode(frame, self._width)
        entry = {
            "stamp_ns": str(frame.stamp_ns),
            "odom_from_base": None
            if frame.odom_from_base is None
            else [round(v, 5) for v in np.asarray(frame.odom_from_base)[:3].ravel().tolist()],
        }
        with self._changed:
            if self._file is None:
                self._newest = data
            else:
                begin = sum(self._places[-1]) if self._places else 0
                os.pwrite(self._file.fileno(), data, begin)
                self._places.append((begin, len(data)))
            self._entries.append(entry)
            self._count += 1
            self._tell()

    def finish(self, error: str = "") -> None:
        """No frame will follow; ``error`` says why when there should have been more."""
        with self._changed:
            self._done, self._error = True, error
            self._tell()

    def say(self, sentence: str) -> None:
        """Something for the reader of the page until it is taken back with an empty one."""
        with self._changed:
            if sentence != self._said:
                self._said = sentence
                self._tell()

    def _tell(self) -> None:
        self._version += 1
        self._changed.notify_all()

    def frame(self, number: int) -> bytes | None:
        """A frame's bytes; None when it is not there (yet), or of live ones no longer."""
        with self._changed:
            if self._file is None:
                return self._newest if number == self._count - 1 else None
            if not 0 <= number < len(self._places):
                return None
            begin, size = self._places[number]
        return os.pread(self._file.fileno(), size, begin)

    def newest(self) -> tuple[int, bytes] | None:
        """Number and bytes of the latest frame."""
        with self._changed:
            number = self._count - 1
            live = self._newest
        if number < 0:
            return None
        data = live if self._file is None else self.frame(number)
        return None if data is None else (number, data)

    def news(self, seen: int = 0, version: int = 0, timeout_s: float = 0.0) -> dict[str, Any] | None:
        """What is new, as JSON; None when that is nothing within the time.

        Args:
            seen: number of frames that are known already.
            version: that of the last news.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._version > version, timeout_s):
                return None
            first = max(seen, self._count - len(self._entries))
            return {
                "version": self._version,
                "first": first,
                "entries": list(islice(self._entries, len(self._entries) - (self._count - first), None)),
                "total": self._count if self._done else self.total,
                "done": self._done,
                "error": self._error,
                "said": self._said,
            }
