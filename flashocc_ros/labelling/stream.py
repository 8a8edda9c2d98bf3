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

"""Sweeps, boxes and key frames in the order of time in, labels out; holds a window of the drive, never all of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from flashocc_ros.labelling.boxes import SMOOTH_S, BoxFrame, BoxHistory, Placed, assign
from flashocc_ros.labelling.frame import Labels, label_frame
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.sweeps import Sweep

Float64 = npt.NDArray[np.float64]
NEAREST = 3


@dataclass(frozen=True, eq=False)
class Key:
    """A moment to label.

    Attributes:
        stamp_ns: key stamp.
        fixed_from_base: (4, 4) the vehicle then.
        content: whatever belongs to it, such as its pictures; handed through.
    """

    stamp_ns: int
    fixed_from_base: Float64
    content: Any = None


@dataclass(frozen=True, eq=False)
class LabelledKey:
    """A key frame, its labels, the sweeps nearest in time (at most `NEAREST`), the boxes then and 0.1 s later."""

    key: Key
    labels: Labels
    nearest: list[Sweep]
    boxes: Placed | None
    later: Placed | None


@dataclass(frozen=True)
class Break:
    """What comes is not laid together with what came: the pose of the vehicle jumped."""


Event: TypeAlias = Sweep | BoxFrame | Key | Break


class Labeller:
    """The state of one drive.

    It holds the sweeps and boxes from ``window_s`` before the oldest key frame that is not labelled yet.

    Args:
        settings: how.
        by_class: hits have classes; has_boxes: the drive has boxes.
    """

    def __init__(self, settings: Settings, by_class: bool, has_boxes: bool) -> None:
        self.settings, self.by_class, self.has_boxes = settings, by_class, has_boxes
        self._boxes = BoxHistory()
        self._unassigned: deque[Sweep] = deque()
        self._sweeps: deque[Sweep] = deque()
        self._keys: deque[Key] = deque()
        self._newest_ns = -(1 << 62)
        self._every = 1
        self._number = 0

    def run(self, events: Iterable[Event]) -> Iterator[LabelledKey]:
        """All labels of a stream of events."""
        for event in events:
            if isinstance(event, BoxFrame):
                self._boxes.add(event)
            elif isinstance(event, Key):
                self._keys.append(event)
            elif isinstance(event, Break):
                later = [key for key in self._keys if key.stamp_ns > self._newest_ns]
                self._keys = deque(key for key in self._keys if key.stamp_ns <= self._newest_ns)
                yield from self._ready(True)
                self._sweeps.clear()
                self._boxes = BoxHistory()
                self._keys.extend(later)
            else:
                self._number += 1
                if self._number % self._every == 0:
                    self._unassigned.append(event)
                self._newest_ns = max(self._newest_ns, event.end_ns)
            yield from self._ready(False)
        yield from self._ready(True)

    def _ready(self, at_end: bool) -> Iterator[LabelledKey]:
        window_ns = round(self.settings.window_s * 1e9)
        lag_ns = round(SMOOTH_S * 1e9)
        complete_ns = 1 << 62 if at_end else min(self._newest_ns, self._boxes.newest_ns if self.has_boxes else 1 << 62)
        # Boxes may fall silent where there is nothing to see.
        complete_ns = max(complete_ns, self._newest_ns - window_ns // 2) - (0 if at_end else lag_ns)
        while self._unassigned and self._unassigned[0].end_ns <= complete_ns:
            sweep = self._unassigned.popleft()
            if self.has_boxes:
                assign(sweep, self._boxes.at(sweep.start_ns), self._boxes.at(sweep.end_ns))
            self._sweeps.append(sweep)
        self._thin()
        while self._keys and (at_end or self._keys[0].stamp_ns + window_ns <= complete_ns):
            yield self._label(self._keys.popleft())
        oldest_ns = (self._keys[0].stamp_ns if self._keys else self._newest_ns - lag_ns) - window_ns
        while self._sweeps and self._sweeps[0].end_ns < oldest_ns:
            self._sweeps.popleft()
        self._boxes.forget_before(oldest_ns - lag_ns)

    def _thin(self) -> None:
        """Leave out every other sweep when the window holds too many rays."""
        while self._rays() > self.settings.max_rays and len(self._sweeps) + len(self._unassigned) > 2:
            self._every *= 2
            self._sweeps = deque(list(self._sweeps)[::2])
            self._unassigned = deque(list(self._unassigned)[::2])

    def _rays(self) -> int:
        return sum(sweep.rays for part in (self._sweeps, self._unassigned) for sweep in part)

    def _label(self, key: Key) -> LabelledKey:
        window_ns = round(self.settings.window_s * 1e9)
        sweeps = [
            s for s in self._sweeps if key.stamp_ns - window_ns <= s.end_ns and s.start_ns <= key.stamp_ns + window_ns
        ]
        base_from_fixed = np.asarray(np.linalg.inv(key.fixed_from_base))
        boxes = self._boxes.at(key.stamp_ns) if self.has_boxes else None
        labels = label_frame(
            sweeps, key.stamp_ns, base_from_fixed, boxes, self._boxes.moving(), self.by_class, self.settings
        )
        nearest = sorted(sweeps, key=lambda s: max(s.start_ns - key.stamp_ns, key.stamp_ns - s.end_ns, 0))[:NEAREST]
        later = self._boxes.at(key.stamp_ns + 100_000_000) if self.has_boxes else None
        return LabelledKey(key, labels, nearest, boxes, later)
