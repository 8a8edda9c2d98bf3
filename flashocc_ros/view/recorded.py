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

"""Results on disk on their way to the page: read beside the server, or written into one file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from flashocc_ros.errors import FlashOccError
from flashocc_ros.view.page import standalone
from flashocc_ros.view.pictures import WIDTH
from flashocc_ros.view.scene import scene
from flashocc_ros.view.server import LOCAL, ViewServer
from flashocc_ros.view.sources import Source, written
from flashocc_ros.view.store import FrameStore
from flashocc_ros.whole_file import whole_file

FILE_PICTURE_WIDTH = 480
"""Pixels of pictures in a file that is sent to somebody."""


class RecordedView:
    """A server whose frames a thread reads, so that the first can be looked at while the last is still to come.

    Attributes:
        store: the frames so far.
        server: closed with this.
    """

    def __init__(
        self, source: Source, port: int = 0, host: str = LOCAL, *, limit: int = 0, picture_width: int = WIDTH
    ) -> None:
        self.store = FrameStore(keep_all=True, total=_total(source, limit), picture_width=picture_width)
        self.server = ViewServer(scene(source.title, source.note, classes=source.classes), self.store, port, host)
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._read, args=(source, limit), name="flashocc view reader", daemon=True
        )
        self._thread.start()

    def _read(self, source: Source, limit: int) -> None:
        try:
            for frame in islice(source.frames(), limit or None):
                if self._closing.is_set():
                    return
                self.store.add(frame)
        except FlashOccError as error:
            self.store.finish(str(error))
        except Exception as error:  # a thread that dies in silence would leave a page that waits for ever
            self.store.finish(
                f"{source.title} cannot be read on: {' '.join(str(error).split()) or type(error).__name__}"
            )
        else:
            self.store.finish()

    def close(self) -> None:
        """Stop reading and serving."""
        self._closing.set()
        self.server.close()
        self._thread.join()


def write_file(
    source: Source,
    path: Path,
    *,
    limit: int = 0,
    picture_width: int = FILE_PICTURE_WIDTH,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """One HTML file that shows a source anywhere, without a server or network; the number of frames.

    Raises:
        InputError: there is no frame.
        OutputError: it cannot be written; what was there stays.
        FlashOccError: the source cannot be read.
    """
    store = FrameStore(keep_all=True, picture_width=picture_width)
    count = 0
    for frame in written(source, limit, progress, "show"):
        store.add(frame)
        count += 1
    news = store.news()
    entries = news["entries"] if news else []
    frames = (store.frame(number) or b"" for number in range(count))
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(standalone(scene(source.title, source.note, classes=source.classes), entries, frames))
    return count


def _total(source: Source, limit: int) -> int:
    return min(source.total, limit) if limit else source.total
