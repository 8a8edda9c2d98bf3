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

"""What became of images and sets at the synchroniser, over all activations of a node: each makes a new one."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from flashocc_ros.cameras.road import Synchronizer


class SyncTotals:
    """Counters of the synchroniser at work and of those before it. Not thread safe: for the executor's thread."""

    def __init__(self) -> None:
        self._images: dict[str, Counter[str]] = {}
        self._sets: Counter[str] = Counter()
        self._sync: Synchronizer | None = None

    def begin(self, sync: Synchronizer) -> None:
        """From now on this one counts, too."""
        self._sync = sync

    def end(self) -> None:
        """Keeps what it counted; images that still wait are dropped."""
        sync, self._sync = self._sync, None
        if sync is not None:
            sync.reset()
            for name, counted in sync.counters.items():
                self._images.setdefault(name, Counter()).update(asdict(counted))
            self._sets.update(asdict(sync.sets))

    def images(self, camera: str) -> Counter[str]:
        """By the names of `CameraCounters` and ``waiting``; ``received`` is the sum of the others."""
        total = Counter(self._images.get(camera, ()))
        if self._sync is not None and camera in self._sync.counters:
            total.update(asdict(self._sync.counters[camera]), waiting=self._sync.waiting(camera))
        return total

    def sets(self) -> Counter[str]:
        """By the names of `SetCounters`."""
        total = Counter(self._sets)
        if self._sync is not None:
            total.update(asdict(self._sync.sets))
        return total

    def rejected(self) -> int:
        """Images of all cameras that were."""
        names = {*self._images, *(self._sync.counters if self._sync else ())}
        return sum(self.images(name)["rejected"] for name in names)
