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

"""A Foxglove server that plays results over and over, without ROS."""

from __future__ import annotations

import threading
import time
from typing import Any

from flashocc_ros.errors import ConfigError, FlashOccError, InputError
from flashocc_ros.view.foxglove_log import FoxgloveLog
from flashocc_ros.view.server import LOCAL
from flashocc_ros.view.sources import Source

PORT = 8765
MAX_PAUSE_S = 2.0
"""Between two frames, whatever their stamps say."""


class FoxgloveServer:
    """Plays a source at its own pace from its first frame, and from there again, to whoever is connected.

    Attributes:
        url: what Foxglove and Lichtblick connect to.
        error: why it plays no more, empty while it does; ``failed`` is set then.

    Raises:
        ConfigError: the SDK is not installed, or the port is taken.
    """

    def __init__(self, source: Source, port: int = PORT, host: str = LOCAL) -> None:
        self._log = FoxgloveLog()
        import foxglove

        try:
            self._server: Any = foxglove.start_server(
                name=source.title, host=host, port=port, context=self._log.context, message_backlog_size=64
            )
        except (RuntimeError, OSError, ValueError) as error:
            raise ConfigError(f"no server on {host}:{port} ({error}); choose another --port") from error
        self.url = f"ws://{host}:{self._server.port}"
        self.error = ""
        self.failed = threading.Event()
        self._source = source
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._play, name="foxglove player", daemon=True)
        self._thread.start()

    def _play(self) -> None:
        try:
            while not self._closing.is_set():
                if not self._once():
                    raise InputError(f"{self._source.title} holds no frame to show; record the node's occupancy topic")
        except FlashOccError as error:
            self.error = str(error)
            self.failed.set()

    def _once(self) -> int:
        """Play it through; the number of frames."""
        count, before_ns = 0, None
        for frame in self._source.frames():
            pause_s = 0.0 if before_ns is None else (frame.stamp_ns - before_ns) / 1e9
            if self._closing.wait(min(max(pause_s, 0.0), MAX_PAUSE_S)):
                break
            before_ns = frame.stamp_ns
            # The wall clock, as times that go back with each round would hold viewers up.
            self._log.log(frame, time.time_ns())
            count += 1
        if count:
            self._closing.wait(MAX_PAUSE_S)
        return count

    def close(self) -> None:
        """Disconnect everybody."""
        self._closing.set()
        self._thread.join()
        self._server.stop()
