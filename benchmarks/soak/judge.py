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

"""What came out of the node, held against what went in."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.scene import TOLERATED_VOXELS, Scene, Truth
from flashocc_ros.ros.diagnostics import sets_in_work

IMAGE_FATES = ("used", "late", "dropped", "duplicate", "rejected", "waiting")
SET_REASONS = ("incomplete", "transform", "camera_info", "image", "calibration", "inference", "publish", "reset")
MOST_IN_WORK = 40
"""Sets that wait for tf, for the worker, or are in it."""


@dataclass
class Result:
    """A published result; ``wrong`` says what is, empty for nothing."""

    time_s: float
    stamp_ns: int
    masked: tuple[str, ...]
    wrong: str


@dataclass
class Report:
    """What the node says of itself."""

    time_s: float
    level: int
    message: str
    values: dict[str, str]
    cameras: dict[str, tuple[int, str, dict[str, str]]]

    @property
    def active(self) -> bool:
        return self.values.get("state") == "active"

    def count(self, key: str) -> int:
        return int(self.values.get(key, 0))

    @property
    def in_work(self) -> int:
        return sets_in_work({k: int(v) for k, v in self.values.items() if k.startswith("sets_")})

    @property
    def doubts(self) -> list[str]:
        """Everything that is not OK."""
        said = [self.message] if self.level else []
        return said + [f"camera {name}: {message}" for name, (level, message, _) in self.cameras.items() if level]

    @property
    def unbalanced(self) -> list[str]:
        """Counters that do not add up."""
        found = []
        for name, (_, _, values) in self.cameras.items():
            sums = sum(int(values[fate]) for fate in IMAGE_FATES)
            if int(values["received"]) != sums:
                found.append(f"camera {name}: {values['received']} images received, {sums} accounted for ({values})")
        dropped, reasons = self.count("sets_dropped"), sum(self.count(f"sets_dropped_{why}") for why in SET_REASONS)
        if dropped != reasons:
            found.append(f"{dropped} sets dropped, {reasons} for a reason")
        if not 0 <= self.in_work <= MOST_IN_WORK:
            found.append(f"{self.in_work} sets neither published, skipped nor dropped")
        return found


@dataclass
class Judge:
    """Reads what publisher and recorder write, and remembers all that is wrong."""

    shots: Path
    records: Path
    truth: Truth
    results: list[Result] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    ended_ns: int | None = None
    _expected: dict[int, tuple[list[Scene], set[str]]] = field(default_factory=dict)
    _read: dict[Path, int] = field(default_factory=dict)

    @property
    def triggers(self) -> int:
        return len(self._expected)

    def update(self) -> None:
        """Take what is new; a trigger is written down before its result can be there."""
        records = list(self._lines(self.records))
        for shot in self._lines(self.shots):
            if "ended" in shot:
                self.ended_ns = shot["stamp_ns"]
                continue
            expected, may_lack = self._expected.setdefault(shot["stamp_ns"], ([], set()))
            expected += shot["expected"]
            may_lack |= set(shot["may_lack"])
        for record in records:
            if "labels" in record:
                self.results.append(self._judged(record))
            elif "report" in record:
                self.reports.append(_report(record))

    def _judged(self, record: dict[str, Any]) -> Result:
        stamp_ns, masked = record["stamp_ns"], tuple(record["masked"])
        labels = np.frombuffer(zlib.decompress(base64.b64decode(record["labels"])), np.uint8)
        return Result(record["time_s"], stamp_ns, masked, self._wrong(stamp_ns, masked, labels))

    def _wrong(self, stamp_ns: int, masked: tuple[str, ...], labels: Any) -> str:
        if stamp_ns not in self._expected:
            return "no trigger has its stamp"
        scenes, may_lack = self._expected[stamp_ns]
        if not scenes:
            return "it was made of a picture that cannot be used"
        if unexpected := set(masked) - may_lack:
            return f"without {', '.join(sorted(unexpected))}, which sent its image"
        truths = [self.truth(Scene.from_json(scene, masked)) for scene in scenes]
        voxels = min(int(np.count_nonzero(labels != truth)) for truth in truths)
        return f"{voxels} voxels differ from the offline result" if voxels > TOLERATED_VOXELS else ""

    def _lines(self, file: Path) -> Iterator[dict[str, Any]]:
        """Whole lines since the last call."""
        with file.open("rb") as stream:
            stream.seek(self._read.get(file, 0))
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                self._read[file] = self._read.get(file, 0) + len(line)
                yield json.loads(line)


def _report(record: dict[str, Any]) -> Report:
    pipeline = next(s for s in record["report"] if s["name"].endswith(": pipeline"))
    cameras = {
        s["name"].split(": camera ")[1]: (s["level"], s["message"], s["values"])
        for s in record["report"]
        if ": camera " in s["name"]
    }
    return Report(record["time_s"], pipeline["level"], pipeline["message"], pipeline["values"], cameras)
