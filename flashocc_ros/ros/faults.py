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

"""What makes the images of a camera useless, for as long as it holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One sentence, and how long it has been so in seconds."""

    sentence: str
    lasts_s: float


class CameraFaults:
    """Faults of each camera by what was looked at (its stamps, its pictures); safe to use from several threads."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._found: dict[tuple[str, str], tuple[str, float]] = {}

    def failed(self, camera: str, what: str, sentence: str) -> None:
        """The latest image was useless."""
        _, since_s = self._found.get((camera, what), ("", self._now_s()))
        self._found[camera, what] = sentence, since_s

    def fine(self, camera: str, what: str) -> None:
        """The latest image was not."""
        self._found.pop((camera, what), None)

    def clear(self) -> None:
        """A new beginning."""
        self._found.clear()

    def of(self, camera: str) -> Fault | None:
        """The oldest fault of a camera."""
        found = [(since_s, sentence) for (name, _), (sentence, since_s) in list(self._found.items()) if name == camera]
        if not found:
            return None
        since_s, sentence = min(found)
        return Fault(sentence, self._now_s() - since_s)
