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

"""In which order a recording goes out, and where a lockstep replay stops to wait. Knows nothing of ROS."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from flashocc_ros.bags import BagReader, colour_cameras
from flashocc_ros.bags.headers import header_stamp_ns
from flashocc_ros.cameras.playback import synchronised, why_no_set
from flashocc_ros.cameras.sync import AnchorSynchronizer
from flashocc_ros.errors import BagError

LOOKAHEAD_NS = 300_000_000
"""In lockstep, everything but images runs this much ahead: a pose after the last image is needed to interpolate."""
TRANSIENT_LOCAL = 1


class Outgoing(NamedTuple):
    """One message to publish.

    Attributes:
        topic: its topic.
        stamp_ns: when it is due on the clock of the recording: as recorded, or as much earlier as it runs ahead.
        cdr: serialised content.
        completes: number of the camera set whose last image this is, -1 for all other messages.
    """

    topic: str
    stamp_ns: int
    cdr: bytes
    completes: int = -1


@dataclass(frozen=True)
class CameraSets:
    """The complete camera sets of a recording.

    Attributes:
        topics: image topics of its cameras, in the usual order.
        first_ns: (S,) earliest image stamp of each set.
        last: by the number of an image among all images, as recorded, the number of the set that it completes.
    """

    topics: tuple[str, ...]
    first_ns: tuple[int, ...]
    last: dict[int, int]


def in_time_order(bag: BagReader, topics: Collection[str], start_ns: int) -> Iterator[Outgoing]:
    """All messages as recorded. Latched ones from before ``start_ns`` come first: they hold at any time."""
    yield from _latched_before(bag, topics, start_ns)
    for topic, stamp_ns, cdr in bag.messages(topics, start_ns=start_ns):
        yield Outgoing(topic.name, stamp_ns, bytes(cdr))


def set_by_set(bag: BagReader, topics: Collection[str], start_ns: int, sets: CameraSets) -> Iterator[Outgoing]:
    """Images as recorded, everything else ``LOOKAHEAD_NS`` early, and the last image of each set marked."""
    yield from _latched_before(bag, topics, start_ns)
    images = [t for t in topics if t in sets.topics]
    others = [t for t in topics if t not in sets.topics]
    streams = []
    if others:
        streams.append((stamp - LOOKAHEAD_NS, 0, t.name, cdr) for t, stamp, cdr in bag.messages(others, start_ns))
    streams.append((stamp, 1, t.name, cdr) for t, stamp, cdr in bag.messages(images, start_ns))
    numbers = itertools.count()
    for due_ns, is_image, topic, cdr in heapq.merge(*streams, key=lambda m: m[:2]):
        completes = sets.last.get(next(numbers), -1) if is_image else -1
        yield Outgoing(topic, due_ns, bytes(cdr), completes)


def find_camera_sets(bag: BagReader, topics: Collection[str], start_ns: int) -> CameraSets:
    """Scan the stamps of all cameras among ``topics``.

    Raises:
        BagError: no camera is replayed, or no set is complete.
    """
    cameras = [pair.image for pair in colour_cameras(bag).values() if pair.image in topics]
    if not cameras:
        raise BagError(f"{bag.path}: a lockstep replay needs cameras (an image topic beside a camera_info), found none")
    sync: AnchorSynchronizer[int] = AnchorSynchronizer(cameras)
    images = (
        (topic.name, header_stamp_ns(cdr), number, recorded_ns)
        for number, (topic, recorded_ns, cdr) in enumerate(bag.messages(cameras, start_ns))
    )
    sets = list(synchronised(sync, images))
    empty = [t for t, counters in sync.counters.items() if not counters.received]
    if empty:
        raise BagError(f"{bag.path}: no images on {', '.join(empty)} after the start")
    if not sets:
        raise BagError(f"{bag.path} holds no complete set of its {len(cameras)} cameras: {why_no_set(sync)}")
    last = {max(n for n in each.items if n is not None): number for number, each in enumerate(sets)}
    return CameraSets(tuple(cameras), tuple(min(each.stamps_ns) for each in sets), last)


def latched_topics(bag: BagReader, topics: Collection[str]) -> list[str]:
    """Those of ``topics`` that were offered transient local."""
    return [t for t in topics if bag.topics[t].qos.durability.value == TRANSIENT_LOCAL]


def _latched_before(bag: BagReader, topics: Collection[str], start_ns: int) -> Iterator[Outgoing]:
    latched = latched_topics(bag, topics)
    if not latched or start_ns <= bag.start_ns:
        return
    for topic, stamp_ns, cdr in bag.messages(latched):
        if stamp_ns < start_ns:
            yield Outgoing(topic.name, stamp_ns, bytes(cdr))
