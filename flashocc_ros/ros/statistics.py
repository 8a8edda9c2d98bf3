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

"""Counts and times of the node, written by its threads and read by the diagnostics."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from flashocc_ros.ros.totals import SyncTotals

WINDOW = 200
"""Times are summarised over so many latest values."""
WARM_UP = 2
"""The first values of a time, compilation and first memory, are left out as soon as there are others."""


@dataclass
class Statistics:
    """Counters since the start and the latest times in milliseconds; safe to use from several threads.

    Attributes:
        sync: what the synchronisers counted; for the executor's thread alone, as ``summary`` is.
        last_drop: why the latest set was given up, empty once a later one was published.
    """

    counters: Counter[str] = field(default_factory=Counter)
    sync: SyncTotals = field(default_factory=SyncTotals)
    last_drop: str = ""
    _times_ms: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=WINDOW)))
    _warm: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, key: str, number: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self.counters[key] += number

    def drop(self, reason: str, sentence: str = "") -> None:
        """Count a set that was dropped, and why."""
        with self._lock:
            self.last_drop = sentence or self.last_drop
            self.counters["sets_dropped"] += 1
            self.counters[f"sets_dropped_{reason}"] += 1

    def published(self) -> None:
        """Count a set that became a result."""
        with self._lock:
            self.last_drop = ""
            self.counters["sets_published"] += 1

    def time(self, key: str, value_ms: float) -> None:
        """Remember one time."""
        with self._lock:
            values = self._times_ms[key]
            values.append(value_ms)
            if key not in self._warm and len(values) > WARM_UP:
                self._warm.add(key)
                for _ in range(WARM_UP):
                    values.popleft()

    def times(self, prefix: str, values_ms: Mapping[str, float]) -> None:
        """Remember one time per stage."""
        for name, value_ms in values_ms.items():
            self.time(f"{prefix}{name}", value_ms)

    def totals(self) -> dict[str, int]:
        """All counters."""
        with self._lock:
            counters = Counter(self.counters)
        sets = self.sync.sets()
        incomplete = sets["incomplete"] + sets["skipped"]
        counters.update(sets_dropped=incomplete, sets_dropped_incomplete=incomplete, sets_masked=sets["masked"])
        counters["images_rejected"] = self.sync.rejected()
        return dict(counters)

    def summary(self) -> tuple[dict[str, int], dict[str, float]]:
        """Counters, and ``<key>_ms_p50``, ``_p95``, ``_max`` of every time."""
        with self._lock:
            series = {key: list(values) for key, values in self._times_ms.items() if values}
        percentiles: dict[str, float] = {}
        for key, values in series.items():
            p50, p95 = np.percentile(values, (50, 95))
            percentiles |= {f"{key}_ms_p50": float(p50), f"{key}_ms_p95": float(p95), f"{key}_ms_max": max(values)}
        return self.totals(), percentiles
