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

"""Where odometry jumps: a relocalisation, or a filter that starts again, moves the vehicle between two samples.

Key poses of a slow stream cannot tell: in the half second between two of them a vehicle may well move 20 m. The samples
of odometry are closer together.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Collection

SLACK_M = 1.0
"""A pose may always move this far; odometry corrects itself in small steps."""
KEPT = 16  # jumps of a frame; sets are looked at within a second


def farthest_m(step_s: float, max_speed_mps: float) -> float:
    """How far a pose can have moved in a time, metres; more is a jump."""
    return SLACK_M + max_speed_mps * step_s


class PoseJumps:
    """Jumps between neighbouring samples of each moving frame.

    Args:
        max_speed_mps: what moves faster, beyond ``SLACK_M``, jumped.
    """

    def __init__(self, max_speed_mps: float) -> None:
        self._max_speed_mps = max_speed_mps
        self._last: dict[str, tuple[str, int, tuple[float, float, float]]] = {}  # parent, stamp and position
        self._jumps: defaultdict[str, deque[tuple[int, int]]] = defaultdict(deque)  # stamps of the samples around each
        self._forgotten: Counter[str] = Counter()

    def take(self, parent: str, child: str, stamp_ns: int, position_m: tuple[float, float, float]) -> None:
        """The next sample of a frame; one that comes late is not looked at."""
        last = self._last.get(child)
        if last is not None and last[0] == parent:
            if stamp_ns <= last[1]:
                return
            if math.dist(position_m, last[2]) > farthest_m((stamp_ns - last[1]) / 1e9, self._max_speed_mps):
                self._jumps[child].append((last[1], stamp_ns))
                if len(self._jumps[child]) > KEPT:
                    self._jumps[child].popleft()
                    self._forgotten[child] += 1
        self._last[child] = (parent, stamp_ns, position_m)

    def clear(self) -> None:
        """The samples start over; the jumps before count as passed."""
        self._last.clear()
        for child, jumps in self._jumps.items():
            self._forgotten[child] += len(jumps)
            jumps.clear()

    def passed(self, frames: Collection[str], first_ns: int) -> int:
        """A number that is the same for two sets when no jump of these frames lies between them.

        Args:
            frames: those whose transforms the poses are made of.
            first_ns: the first stamp of the set.
        """
        return sum(
            self._forgotten[frame] + sum(first_ns >= after for _, after in self._jumps.get(frame, ()))
            for frame in frames
        )

    def inside(self, frames: Collection[str], first_ns: int, last_ns: int) -> str:
        """The frame that jumps where a set has images on both sides, or between the samples; empty for none.

        What is interpolated there is a pose that the vehicle never had.
        """
        for frame in frames:
            if any(first_ns < after and last_ns > before for before, after in self._jumps.get(frame, ())):
                return frame
        return ""
