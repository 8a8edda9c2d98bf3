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

"""Which camera sets of a recording are labelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from flashocc_ros.bags.camera_sets import read_sets
from flashocc_ros.bags.cameras import colour_cameras
from flashocc_ros.bags.headers import header_stamp_ns
from flashocc_ros.bags.reader import BagReader
from flashocc_ros.cameras.decode import SetDecoder, SetDropped, is_rectified_topic
from flashocc_ros.cameras.road import PosedSet
from flashocc_ros.labelling.sources import Sources
from flashocc_ros.labelling.stream import Event, Key
from flashocc_ros.remote import Location

COMPARED = 100
"""Messages of lidar and cameras whose clocks are compared."""


class KeyFrames:
    """Key frames: camera sets at the wanted rate.

    Attributes:
        lags: recorded less stamped time of the first images, nanoseconds.
    """

    def __init__(self, path: Location, sources: Sources, key_rate_hz: float, say: Callable[[str], object]) -> None:
        with BagReader(path) as bag:
            topics = colour_cameras(bag, sources.frames.tf_prefix)
            images = bag.messages([pair.image for pair in topics.values()])
            self.lags = [recorded_ns - header_stamp_ns(cdr) for _, recorded_ns, cdr in islice(images, COMPARED)]
        names = tuple(topics) if sources.cameras is None else sources.cameras
        rectified = [is_rectified_topic(topics[name].image) for name in names if name in topics]
        self._decoder = None
        if len(rectified) == len(names):
            self._decoder = SetDecoder(names, rectified, keep_jpeg=True, fisheye=sources.fisheye)
        self._sets: Iterator[PosedSet] = read_sets(path, sources.cameras, decode=False, frames=sources.frames)
        self._interval_ns, self._say = round(0.9e9 / key_rate_hz), say
        self._next = next(self._sets, None)
        self._last_ns = -(1 << 62)

    def until(self, stamp_ns: int) -> Iterator[Event]:
        """Key frames up to a time."""
        while self._next is not None and self._next.stamp_ns <= stamp_ns:
            posed = self._next
            if posed.stamp_ns >= self._last_ns + self._interval_ns:
                event = self._key(posed)
                if event is not None:
                    self._last_ns = posed.stamp_ns
                    yield event
            self._next = next(self._sets, None)

    def _key(self, posed: PosedSet) -> Key | None:
        assert self._decoder is not None  # read_sets refused cameras that are not there
        try:
            cameras = self._decoder(posed)
        except SetDropped as error:
            self._say(f"a camera set is left out: {error}")
            return None
        return Key(posed.stamp_ns, posed.poses.key_pose, cameras)
