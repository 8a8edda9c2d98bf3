"""Recorded images through the node's own synchroniser, so that a recording gives the sets that the node would give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flashocc_ros.cameras.image_set import ImageSet, Item
from flashocc_ros.cameras.sync import AnchorSynchronizer


def synchronised(
    sync: AnchorSynchronizer[Item], images: Iterable[tuple[str, int, Item, int]]
) -> Iterator[ImageSet[Item]]:
    """The sets of a recording, as they get complete; at most ``sync.queue_size`` images per camera are held.

    Args:
        sync: a new synchroniser; its counters tell afterwards what became of the images.
        images: camera, stamp in nanoseconds, item and time of arrival in nanoseconds, in order of arrival.
    """
    for camera, stamp_ns, item, arrived_ns in images:
        yield from _due(sync, arrived_ns)
        yield from sync.add(camera, stamp_ns, item, arrived_ns)
    yield from _due(sync, None)


def _due(sync: AnchorSynchronizer[Item], until_ns: int | None) -> Iterator[ImageSet[Item]]:
    """What the node's timer would have polled by then; None means silence for ever after."""
    while (deadline_ns := sync.next_deadline_ns()) is not None and (until_ns is None or deadline_ns <= until_ns):
        yield from sync.poll(deadline_ns)


def why_no_set(sync: AnchorSynchronizer[Item]) -> str:
    """What to say when nothing came out: the state of the synchroniser and what it needs."""
    zero = sum(counters.rejected for counters in sync.counters.values())
    if zero:
        return f"{zero} images have a stamp of zero or below; fix their driver"
    if sync.locked:
        return f"no trigger has an image of every camera ({sync.describe()}); record them all"
    return (
        f"at its end the synchroniser was {sync.describe()}, which takes 5 triggers or more; single bursts need no "
        f"learning where {sync.timeout_ns / 1e9:g} s of silence follow"
    )
