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

"""Recorded messages through what live ones go through, with the time of recording as the clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from flashocc_ros.cameras.image_set import ImageSet, Item
from flashocc_ros.cameras.sync import AnchorSynchronizer

Outcome = TypeVar("Outcome")


MIN_TRIGGERS = 5
"""What learning the delays takes: four periods of a steady camera."""


class Polled(Protocol[Outcome]):
    """Something that time alone makes finish."""

    def poll(self, now_ns: int) -> list[Outcome]: ...

    def next_deadline_ns(self) -> int | None: ...


def due(polled: Polled[Outcome], until_ns: int | None) -> Iterator[Outcome]:
    """What a live timer would have polled by then; None means silence for ever after."""
    while (deadline_ns := polled.next_deadline_ns()) is not None and (until_ns is None or deadline_ns <= until_ns):
        yield from polled.poll(deadline_ns)


def synchronised(
    sync: AnchorSynchronizer[Item], images: Iterable[tuple[str, int, Item, int]]
) -> Iterator[ImageSet[Item]]:
    """The sets of recorded images, as they get complete; at most ``sync.queue_size`` images per camera are held.

    Args:
        sync: a new synchroniser; its counters tell afterwards what became of the images.
        images: camera, stamp in nanoseconds, item and time of arrival in nanoseconds, in order of arrival.
    """
    for camera, stamp_ns, item, arrived_ns in images:
        yield from due(sync, arrived_ns)
        yield from sync.add(camera, stamp_ns, item, arrived_ns)
    yield from due(sync, None)


def why_no_set(sync: AnchorSynchronizer[Item]) -> str:
    """What to say when nothing came out: the state of the synchroniser and what it needs."""
    if sync.problem:
        return sync.problem
    if sync.locked:
        return f"no trigger has an image of every camera ({sync.describe()}); record them all"
    counts = {name: counters.received - counters.duplicate for name, counters in sync.counters.items()}
    scarce = [name for name, count in counts.items() if count < MIN_TRIGGERS]
    if scarce and len(scarce) < len(counts):
        few = ", ".join(f"{name} {counts[name]}" for name in scarce)
        return (
            f"learning the delays of the cameras takes {MIN_TRIGGERS} images of each with stamps of their own, and "
            f"there are of {few}; record more, check their stamps, or leave these cameras out"
        )
    return (
        f"at its end the synchroniser was {sync.describe()}. Learning takes {MIN_TRIGGERS} triggers or more; single "
        f"bursts need none where {sync.timeout_ns / 1e9:g} s of silence follow"
    )
