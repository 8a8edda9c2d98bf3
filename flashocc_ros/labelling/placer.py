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

"""Clouds and boxes of a recording, placed in the fixed frame once the transforms of their time are there."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from flashocc_ros.cameras.transforms import (
    OutsideTime,
    TransformError,
    TransformIntake,
    TransformTree,
    frame_name,
)
from flashocc_ros.labelling.clouds import Cloud
from flashocc_ros.labelling.detections import BoxReader, Moment
from flashocc_ros.labelling.key_frames import COMPARED
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.sources import Sources
from flashocc_ros.labelling.stream import Break, Event
from flashocc_ros.labelling.sweeps import make_sweep

WAITING = 200
"""Messages that wait for their transforms; who waits longer than so many others has another clock."""
_WAITING_POINTS = 16_000_000
"""The same for the points of clouds, that large ones do not fill the memory."""
_SWEEP_NS = 200_000_000


@dataclass(frozen=True, eq=False)
class Scan:
    """A cloud that waits, read already: the points that count take less memory than the message."""

    frame: str
    cloud: Cloud


class Drive(Protocol):
    """What is needed of a recording, and told to it."""

    sources: Sources
    settings: Settings
    fixed: str
    start_ns: int
    box_reader: BoxReader
    sweeps: int
    left_out: Counter[str]

    def say(self, sentence: str) -> None: ...


class Placer:
    """Clouds and boxes that wait until the transforms of their time are there.

    Attributes:
        lags: recorded less stamped time of the first clouds, nanoseconds.
    """

    def __init__(self, recording: Drive, tree: TransformTree, intake: TransformIntake) -> None:
        self._recording, self._tree, self._intake = recording, tree, intake
        self._queue: deque[tuple[int, Any]] = deque()
        self._jumps: int | None = None
        self.lags: list[int] = []

    def lag(self, lag_ns: int) -> None:
        if len(self.lags) < COMPARED:
            self.lags.append(lag_ns)

    def wait(self, stamp_ns: int, item: Any) -> None:
        """A message of boxes, a `Moment` or a `Scan`."""
        self._queue.append((stamp_ns, item))

    def ready(self) -> Iterator[Event]:
        """What can be placed, oldest first."""
        while self._queue:
            stamp_ns, item = self._queue[0]
            try:
                yield from self._placed(stamp_ns, item)
            except TransformError as error:
                final = isinstance(error, OutsideTime) and not self._may_come(_frame(item), stamp_ns)
                if not final and len(self._queue) < WAITING and self._points() < _WAITING_POINTS:
                    return
                self._recording.left_out[_cause(error)] += 1
            self._queue.popleft()

    def _may_come(self, frame: str, stamp_ns: int) -> bool:
        """Whether transforms of that time are still to come."""
        try:
            newest_ns = self._tree.latest_ns(self._recording.fixed, frame)
        except TransformError:
            return True
        return newest_ns < stamp_ns + _SWEEP_NS

    def _points(self) -> int:
        return sum(len(item.cloud.points) for _, item in self._queue if isinstance(item, Scan))

    def rest(self) -> Iterator[Event]:
        """What still waits at the end, as behind a message whose frame never came."""
        for stamp_ns, item in self._queue:
            try:
                yield from self._placed(stamp_ns, item)
            except TransformError as error:
                self._recording.left_out[_cause(error)] += 1
        self._queue.clear()

    def _placed(self, stamp_ns: int, item: Any) -> Iterator[Event]:
        recording, frame = self._recording, _frame(item)
        if not isinstance(item, Scan):
            pose = self._tree.lookup(recording.fixed, frame, stamp_ns)
            reader = recording.box_reader
            if isinstance(item, Moment):
                yield item.placed(pose)
            elif hasattr(item, "detections"):
                yield reader.detections(item, stamp_ns, pose)
            else:
                yield reader.instances(item, stamp_ns, pose)
            return
        cloud = item.cloud
        if not np.isfinite(cloud.points).any():
            recording.left_out["empty"] += 1
            return
        base = recording.sources.frames.base
        mounting = self._tree.lookup(base, frame, stamp_ns)
        settings = recording.settings
        sweep, carves = make_sweep(
            cloud,
            stamp_ns,
            lambda ns: self._tree.lookup(recording.fixed, frame, ns),
            mounting,
            settings.own_box_m,
            settings.range_m,
        )
        if cloud.shape is None:
            recording.say("clouds are not organised: rays without return are not known, and free space is seen less")
        elif not carves:
            recording.say("rows and columns of the clouds are no beams: rays without return are not known")
        path = self._intake.path(recording.fixed, base)
        if self._intake.pose_jumps.inside(path, sweep.start_ns, sweep.end_ns):
            recording.left_out["the pose of the vehicle jumps meanwhile"] += 1
            return
        jumps = self._intake.pose_jumps.passed(path, sweep.start_ns)
        if self._jumps is not None and jumps != self._jumps:
            recording.say(
                f"the pose of the vehicle jumps near {(sweep.start_ns - recording.start_ns) / 1e9:.1f} s; sweeps of "
                "both sides are not laid together"
            )
            yield Break()
        self._jumps = jumps
        recording.sweeps += 1
        yield sweep


def _cause(error: TransformError) -> str:
    """Without times, so that each cause is said once."""
    return "no transform at their time" if isinstance(error, OutsideTime) else f"{error} in the transforms"


def _frame(item: Any) -> str:
    return frame_name(item.frame if isinstance(item, (Moment, Scan)) else item.header.frame_id)
