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

"""What holds for several cameras is said once, naming them all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

Say = Callable[[str], object]
"""Takes a sentence."""


def named(cameras: Sequence[str]) -> str:
    """``camera a`` or ``cameras a, b``."""
    return f"camera {cameras[0]}" if len(cameras) == 1 else f"cameras {', '.join(cameras)}"


def say_of(camera: str, say: Say | None = None) -> Say:
    """Says sentences about one camera at once."""
    tell = say or logging.getLogger(__name__).warning
    return lambda sentence: tell(f"{named([camera])}: {sentence}")


class CameraFindings:
    """Collects sentences about single cameras.

    Args:
        say: called once for each sentence, whatever the number of cameras it holds for; default: a warning.
    """

    def __init__(self, say: Say | None = None) -> None:
        self._say = say or logging.getLogger(__name__).warning
        self._cameras: dict[str, list[str]] = {}

    def of(self, camera: str) -> Say:
        """Takes sentences about one camera, to be told later."""
        return partial(self._add, camera)

    def _add(self, camera: str, sentence: str) -> None:
        self._cameras.setdefault(sentence, []).append(camera)

    def tell(self) -> None:
        """Say what was found since the last time."""
        found, self._cameras = self._cameras, {}
        for sentence, cameras in found.items():
            self._say(f"{named(cameras)}: {sentence}")
