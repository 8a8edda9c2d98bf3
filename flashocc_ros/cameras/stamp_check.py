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

"""What the stamps of each camera say about its driver, to explain why no set comes out: no stamp, another clock, a
slower rate. It decides nothing; images are placed by `sync.py` alone.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence

APART_NS = 3_000_000_000
"""No latency: stamps that differ by more at the same time of arrival are of different clocks."""
RECENT_NS = 2_000_000_000
"""Arrivals further apart say nothing about clocks: a recording need not be played at the speed it was taken."""
SLOWER = 1.2
INTERVALS = 15
LEAST_INTERVALS = 4


class StampCheck:
    """Keeps the latest arrival, the latest stamp and some intervals of each camera.

    Args:
        cameras: all names.
        anchor: the one that defines the trigger.
    """

    def __init__(self, cameras: Sequence[str], anchor: str) -> None:
        self._cameras, self._anchor = tuple(cameras), anchor
        self._zero = dict.fromkeys(self._cameras, 0)  # images without a stamp since the last one with
        self.clear()

    def clear(self) -> None:
        """The stamps start over."""
        self._latest: dict[str, tuple[int, int]] = {}  # arrival and stamp
        self._intervals: dict[str, deque[int]] = {name: deque(maxlen=INTERVALS) for name in self._cameras}

    def take(self, camera: str, stamp_ns: int, now_ns: int) -> None:
        """Takes note of an image."""
        if stamp_ns <= 0:
            self._zero[camera] += 1
            return
        self._zero[camera] = 0
        if camera in self._latest and stamp_ns > self._latest[camera][1]:
            self._intervals[camera].append(stamp_ns - self._latest[camera][1])
        self._latest[camera] = (now_ns, stamp_ns)

    @property
    def clock_problem(self) -> str:
        """Cameras without stamps or of another clock, by name; empty when there are none."""
        zero = [name for name in self._cameras if self._zero[name]]
        sentences = []
        if zero:
            count = sum(self._zero[name] for name in zero)
            images = "image of" if count == 1 else "images of"
            have = "has" if count == 1 else "have"
            sentences.append(f"{count} {images} {', '.join(zero)} {have} a stamp of zero or below; fix their driver")
        for name, ahead_ns in self._other_clocks().items():
            others = self._anchor if len(self._latest) == 2 and name != self._anchor else "the other cameras"
            sentences.append(
                f"the stamps of {name} are {ahead_ns / 1e9:+.1f} s from those of {others}: {cause(ahead_ns)}"
            )
        return "; ".join(sentences)

    @property
    def rate_problem(self) -> str:
        """Cameras slower than the anchor, by name; empty when there are none."""
        periods_ns = {
            name: statistics.median_low(intervals)
            for name, intervals in self._intervals.items()
            if len(intervals) >= LEAST_INTERVALS
        }
        own_ns = periods_ns.get(self._anchor)
        if own_ns is None:
            return ""
        slower = [name for name, period_ns in periods_ns.items() if period_ns > SLOWER * own_ns]
        if not slower:
            return ""
        slowest = max(slower, key=periods_ns.__getitem__)
        return (
            f"the anchor {self._anchor} sends every {own_ns / 1e6:.0f} ms, {', '.join(slower)} only every "
            f"{periods_ns[slowest] / 1e6:.0f} ms; make the slowest camera the anchor (sync.anchor: {slowest})"
        )

    def _other_clocks(self) -> dict[str, int]:
        """How far ahead the stamps of cameras are that arrive with the others."""
        now_ns = max((arrived_ns for arrived_ns, _ in self._latest.values()), default=0)
        lags_ns = {n: at_ns - ns for n, (at_ns, ns) in self._latest.items() if now_ns - at_ns <= RECENT_NS}
        if len(lags_ns) < 2:
            return {}
        usual_ns = statistics.median_low(lags_ns.values())
        if len(lags_ns) == 2 and self._anchor in lags_ns:
            usual_ns = lags_ns[self._anchor]
        return {name: usual_ns - lag_ns for name, lag_ns in lags_ns.items() if abs(usual_ns - lag_ns) > APART_NS}


def cause(ahead_ns: int) -> str:
    """The likely cause of stamps so far ahead (below zero: behind), and the remedy."""
    apart_s = abs(ahead_ns) / 1e9
    half_hours = round(apart_s / 1800)
    if abs(apart_s - 37) < 0.5:
        return "TAI, which is 37 s ahead of UTC; let its driver or PTP convert it"
    if abs(apart_s - 18) < 0.5:
        return "GPS time, which is 18 s ahead of UTC; let its driver convert it"
    if apart_s > 10 * 365 * 86400:
        return "counted from the start of a machine or device; let its driver stamp with the time of the system"
    if 1 <= half_hours <= 28 and abs(apart_s - 1800 * half_hours) < 5:
        return "a local time; let its driver stamp in UTC"
    return "another clock; synchronise it (PTP, NTP)"
