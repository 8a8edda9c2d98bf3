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

"""Says on the console when the first result is out, and why there is none."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.impl.rcutils_logger import RcutilsLogger

SAID_AFTER_S = (5.0, 30.0, 120.0)
"""A silence is explained when it has lasted so long; later ones each time it has lasted twice as long."""


class Silence:
    """Time since the latest result, or since activation before the first; results may come from another thread."""

    def __init__(self, logger: RcutilsLogger, now_s: Callable[[], float] = time.monotonic) -> None:
        self._logger, self._now_s = logger, now_s
        self.begin()

    def begin(self) -> None:
        """The node has become active."""
        self._activated_s = self._latest_s = self._now_s()
        self._waiting, self._said = True, 0

    @property
    def idle_s(self) -> float:
        """How long it has been silent."""
        return self._now_s() - self._latest_s

    def result(self) -> None:
        """One is out."""
        idle_s, said = self.idle_s, self._said
        self._latest_s, self._said = self._now_s(), 0
        if self._waiting:
            self._waiting = False
            self._logger.info(f"first result {self._latest_s - self._activated_s:.1f} s after activation")
        elif said:
            self._logger.info(f"results again, after {idle_s:.0f} s without")

    def explain(self, why: str) -> None:
        """Say why there is none, if it is time to."""
        later = max(self._said - len(SAID_AFTER_S) + 1, 0)
        if self.idle_s >= SAID_AFTER_S[min(self._said, len(SAID_AFTER_S) - 1)] * 2**later:
            self._said += 1
            self._logger.warning(why)
