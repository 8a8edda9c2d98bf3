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

"""``message_filters.ApproximateTimeSynchronizer`` behind the interface of our own synchroniser.

For rigs whose cameras are triggered together. It knows nothing of triggers: with staggered cameras it mixes them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Generic

from flashocc_ros.cameras.image_set import SEEN_KEPT
from flashocc_ros.cameras.sync import CameraCounters, ImageSet, Item, SetCounters
from flashocc_ros.ros.stamps import ns_from_stamp


class ApproximateSynchronizer(Generic[Item]):
    """Same methods as ``AnchorSynchronizer``; items must be messages with a header.

    Args:
        cameras: names; the order of the images in a set.
        anchor: camera whose stamp is the key stamp.
        slop_s: largest difference of stamps in a set.
        queue_size: images per camera that may wait.
        max_backward_s: a camera whose stamps go back further than this started over.
    """

    def __init__(
        self, cameras: Sequence[str], anchor: str, *, slop_s: float, queue_size: int, max_backward_s: float
    ) -> None:
        self.cameras = tuple(cameras)
        self.anchor = anchor
        self.counters = {name: CameraCounters() for name in self.cameras}
        self.sets = SetCounters()
        self.epoch = 0
        self._slop_s = slop_s
        self._queue_size = queue_size
        self._max_backward_ns = round(max_backward_s * 1e9)
        self._finished: list[ImageSet[Item]] = []
        self._start()

    def _start(self) -> None:
        import message_filters  # comes with ROS 2; the parameter check has looked for it

        self._newest_ns = dict.fromkeys(self.cameras, 0)
        self._seen: dict[str, deque[int]] = {name: deque(maxlen=SEEN_KEPT) for name in self.cameras}
        self._filters = {name: message_filters.SimpleFilter() for name in self.cameras}
        self._matcher = message_filters.ApproximateTimeSynchronizer(
            list(self._filters.values()), self._queue_size, self._slop_s
        )
        self._matcher.registerCallback(self._matched)

    def add(self, camera: str, stamp_ns: int, item: Item, now_ns: int) -> list[ImageSet[Item]]:
        """Takes one image and returns the sets that it finished."""
        counters = self.counters[camera]
        counters.received += 1
        if stamp_ns <= 0:
            counters.rejected += 1
            return []
        if stamp_ns < self._newest_ns[camera] - self._max_backward_ns:
            self.reset()
        if stamp_ns in self._seen[camera]:
            counters.duplicate += 1
            return []
        self._seen[camera].append(stamp_ns)
        self._newest_ns[camera] = max(self._newest_ns[camera], stamp_ns)
        self._filters[camera].signalMessage(item)
        self._count_dropped()
        finished, self._finished = self._finished, []
        return finished

    @property
    def problem(self) -> str:
        """Empty: nothing is known of clocks and rates."""
        return ""

    def waiting(self, camera: str) -> int:
        """Number of images of a camera that are neither used nor given up yet."""
        return len(self._matcher.queues[self.cameras.index(camera)])

    def poll(self, now_ns: int) -> list[ImageSet[Item]]:
        """Nothing: sets are only finished by images."""
        return []

    def next_deadline_ns(self) -> int | None:
        """None: nothing happens without an image."""
        return None

    def reset(self) -> None:
        """Forgets the images that wait; counters go on."""
        self._start()
        self._count_dropped()
        self.sets.resets += 1
        self.epoch += 1

    def describe(self) -> str:
        """One line for diagnostics."""
        return f"message_filters approximate time, slop {self._slop_s * 1e3:.0f} ms"

    def _count_dropped(self) -> None:
        """What message_filters has forgotten, it does not say."""
        for name, counted in self.counters.items():
            kept = counted.used + counted.rejected + counted.duplicate + self.waiting(name)
            counted.dropped = counted.received - kept

    def _matched(self, *messages: Any) -> None:
        # An exception here would leave the lock of message_filters held for ever: only collect.
        stamps = tuple(ns_from_stamp(message.header.stamp) for message in messages)
        for counters in self.counters.values():
            counters.used += 1
        self.sets.complete += 1
        key_ns = stamps[self.cameras.index(self.anchor)]
        self._finished.append(ImageSet(key_ns, stamps, tuple(messages), (), self.epoch))
