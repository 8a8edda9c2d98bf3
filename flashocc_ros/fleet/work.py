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

"""What a fleet does with a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Tell = Callable[[int, int | None], None]
"""Called after every camera set with the number done, and of how many where that is known."""


@dataclass(frozen=True)
class Made:
    """What came out of a recording.

    Attributes:
        sets: results; duration_s: from its first to its last message.
        rig: digest of its cameras.
        metrics: numbers about the result that do not depend on who made it.
        runs_on: one line on the engine, empty for none.
    """

    sets: int
    duration_s: float
    rig: str
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    runs_on: str = ""


class Work(Protocol):
    """What is done with each recording. Goes to other processes and machines, so it must survive pickling."""

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides the results, for the folder they lie in; flat, of text and numbers."""

    @property
    def goes_on(self) -> bool:
        """Whether ``make`` goes on with what a killed attempt left in its folder."""

    @property
    def shared(self) -> bool:
        """Whether other workers can ``help`` with a recording that one makes."""

    def open(self) -> str:
        """Once in each worker, before its first recording: load what all of them need. Returns one line on it."""

    def make(self, name: str, location: str, folder: Path, tell: Tell) -> Made:
        """Make the result of a recording in ``folder``/``name``, which is not there yet unless ``goes_on``.

        Raises:
            FlashOccError: it cannot be done; a `BagError` or `InputError` where the recording is to blame.
        """

    def help(self, location: str, folder: Path, tell: Tell) -> None:
        """Do parts of a recording that another worker makes in ``folder``, until none is left; only where ``shared``.

        Raises:
            FlashOccError: it cannot be done, or the folder is not there any more.
        """
