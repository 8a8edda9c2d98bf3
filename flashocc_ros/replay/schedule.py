"""In which order a recording goes out, and where a lockstep replay stops to wait. Knows nothing of ROS."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flashocc_ros.bags import BagReader, camera_topics
from flashocc_ros.bags.camera_sets import header_stamp_ns, match_stamps
from flashocc_ros.errors import BagError

LOOKAHEAD_NS = 300_000_000
"""In lockstep, everything but images runs this much ahead: a pose after the last image is needed to interpolate."""
TRANSIENT_LOCAL = 1


class Outgoing(NamedTuple):
    """One message to publish.

    Attributes:
        topic: its topic.
        stamp_ns: when it was recorded.
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
        last: by (topic, image stamp in nanoseconds), the number of the set that this image completes.
    """

    topics: tuple[str, ...]
    first_ns: tuple[int, ...]
    last: dict[tuple[str, int], int]


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
        streams.append(
            (stamp - LOOKAHEAD_NS, 0, t.name, stamp, cdr) for t, stamp, cdr in bag.messages(others, start_ns)
        )
    streams.append((stamp, 1, t.name, stamp, cdr) for t, stamp, cdr in bag.messages(images, start_ns))
    for _, is_image, topic, stamp_ns, cdr in heapq.merge(*streams, key=lambda m: m[:2]):
        completes = sets.last.get((topic, header_stamp_ns(cdr)), -1) if is_image else -1
        yield Outgoing(topic, stamp_ns, bytes(cdr), completes)


def find_camera_sets(bag: BagReader, topics: Collection[str], start_ns: int) -> CameraSets:
    """Scan the stamps of all cameras among ``topics``.

    Raises:
        BagError: no camera is replayed, or no set is complete.
    """
    cameras = [pair.image for pair in camera_topics(bag.topics).values() if pair.image in topics]
    if not cameras:
        raise BagError(f"{bag.path}: a lockstep replay needs cameras (an image topic beside a camera_info), found none")
    stamps: dict[str, list[int]] = {t: [] for t in cameras}
    arrival: dict[tuple[str, int], int] = {}
    for number, (topic, _, cdr) in enumerate(bag.messages(cameras, start_ns)):
        stamp_ns = header_stamp_ns(cdr)
        stamps[topic.name].append(stamp_ns)
        arrival[topic.name, stamp_ns] = number
    empty = [t for t, found in stamps.items() if not found]
    if empty:
        raise BagError(f"{bag.path}: no images on {', '.join(empty)} after the start")
    groups = match_stamps([np.unique(found) for found in stamps.values()])
    if not len(groups):
        raise BagError(f"{bag.path} holds no complete set of its {len(cameras)} cameras")
    last = {}
    for number, group in enumerate(groups):
        images = [(topic, int(stamp)) for topic, stamp in zip(cameras, group, strict=True)]
        last[max(images, key=lambda image: arrival[image])] = number
    return CameraSets(tuple(cameras), tuple(int(s) for s in groups.min(1)), last)


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
