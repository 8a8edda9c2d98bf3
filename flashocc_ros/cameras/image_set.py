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

"""What the synchroniser hands out, what it counts, and what it keeps while images wait."""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")

SEEN_KEPT = 16  # stamps remembered to tell duplicates


@dataclass(frozen=True)
class ImageSet(Generic[Item]):
    """Images of one trigger, in the order of the synchroniser's cameras.

    Attributes:
        key_stamp_ns: stamp of the anchor's image.
        stamps_ns: stamp of each image; of a missing one, when it was to be expected.
        items: what was given to ``add``; None for a camera that is missing (``missing="mask"`` only).
        missing: names of the missing cameras.
        epoch: counts resets; sets of different epochs do not belong to one drive.
    """

    key_stamp_ns: int
    stamps_ns: tuple[int, ...]
    items: tuple[Item | None, ...]
    missing: tuple[str, ...] = ()
    epoch: int = 0

    @property
    def spread_ns(self) -> int:
        """Time between the first and the last image."""
        return max(self.stamps_ns) - min(self.stamps_ns)


@dataclass
class CameraCounters:
    """What became of the images of one camera; ``received`` is the sum of the others and those still waiting.

    ``late`` came after its set was finished; ``dropped`` never found a complete set or was crowded out of the queue;
    ``rejected`` had a stamp of zero or below or was of a second publisher; ``duplicate`` repeated a stamp.
    """

    received: int = 0
    used: int = 0
    late: int = 0
    dropped: int = 0
    rejected: int = 0
    duplicate: int = 0


@dataclass
class SetCounters:
    """``complete`` and ``masked`` sets were handed out.

    ``incomplete`` ones lacked an image when their time was up, ``skipped`` ones were overtaken by a newer complete set.
    ``resets`` counts jumps back in time and calls of ``reset``.
    """

    complete: int = 0
    masked: int = 0
    incomplete: int = 0
    skipped: int = 0
    resets: int = 0


@dataclass
class PendingSet(Generic[Item]):
    """An anchor image and those that were matched to it.

    Attributes:
        images: stamp and item by camera.
        contested: cameras of which more than one image claimed the set; it does without, whatever else they send.
    """

    key_ns: int
    deadline_ns: int
    images: dict[str, tuple[int, Item]] = field(default_factory=dict)
    contested: set[str] = field(default_factory=set)


@dataclass
class ImageQueue(Generic[Item]):
    """Images of one camera that wait for their anchor image, by stamp, and which stamps it sent."""

    stamps: list[int] = field(default_factory=list)
    items: dict[int, Item] = field(default_factory=dict)
    seen: deque[int] = field(default_factory=lambda: deque(maxlen=SEEN_KEPT))
    newest_ns: int = 0

    def push(self, stamp_ns: int, item: Item) -> None:
        """Adds an image."""
        bisect.insort(self.stamps, stamp_ns)
        self.items[stamp_ns] = item

    def pop(self, index: int) -> tuple[int, Item]:
        """Takes out the image at a position in order of stamps."""
        stamp_ns = self.stamps.pop(index)
        return stamp_ns, self.items.pop(stamp_ns)

    def clear(self) -> int:
        """Drops all images and returns how many."""
        count = len(self.stamps)
        self.stamps.clear()
        self.items.clear()
        return count
