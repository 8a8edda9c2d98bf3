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

"""Where a fleet is, from its ledger alone: for whoever did not start it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashocc_ros.errors import InputError
from flashocc_ros.fleet.ledger import Ledger
from flashocc_ros.fleet.progress import clock


@dataclass(frozen=True)
class FleetStatus:
    """What a folder of results holds.

    Attributes:
        settings: what results are made with.
        counts: recordings by status.
        frames: results in all; driven_s: seconds of driving that they cover; worked_s: seconds of workers for them.
        working: name of a recording, and what its worker tells.
        reasons: why a recording failed or is quarantined, by name.
        share: bytes that are finished of all.
    """

    settings: dict[str, Any]
    counts: dict[str, int]
    frames: int
    driven_s: float
    worked_s: float
    working: dict[str, dict[str, Any]]
    reasons: dict[str, str]
    share: float

    def lines(self) -> list[str]:
        """For people."""
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        what = " ".join(str(self.settings[key]) for key in ("work", "variant", "checkpoint") if key in self.settings)
        lines = [
            f"{what}: {sum(self.counts.values())} recordings: {counts}; {self.share:.0%} of the bytes are finished"
        ]
        if self.frames:
            cost = f", {self.worked_s / self.driven_s:.2f} s of a worker per second of driving" if self.driven_s else ""
            lines.append(f"{self.frames} results of {clock(self.driven_s)} of driving{cost}")
        for name, facts in self.working.items():
            expected = f" of {facts['expected']}" if facts.get("expected") else ""
            memory = f", {facts['memory_bytes'] / 1e9:.1f} GB" if isinstance(facts.get("memory_bytes"), int) else ""
            lines.append(
                f"  running {name}: {facts.get('frames', 0)}{expected} frames by {facts.get('worker')}{memory}"
            )
        lines += [f"  {name}: {reason}" for name, reason in self.reasons.items()]
        return lines


def read_status(out: Path) -> FleetStatus:
    """What is known of a folder now.

    Raises:
        InputError: it is none of a fleet.
        ConfigError: it is damaged.
    """
    ledger = Ledger(out)
    settings = ledger.settings()
    if settings is None:
        raise InputError(f"{out} holds no results of a fleet; give the --out of `flashocc fleet predict`")
    counts: Counter[str] = Counter(dict.fromkeys(("done", "quarantined", "failed", "running", "queued"), 0))
    frames, finished, total, driven_s, worked_s = 0, 0, 0, 0.0, 0.0
    reasons = {}
    for state in ledger.states():
        counts[state.status] += 1
        total += state.bytes
        if state.status in ("queued", "running"):
            continue
        finished += state.bytes
        if state.reason:
            reasons[state.recording] = f"{state.status}: {state.reason}"
        if state.status == "done":
            frames, driven_s, worked_s = frames + state.sets, driven_s + state.duration_s, worked_s + state.seconds
    share = finished / total if total else 0.0
    return FleetStatus(settings, dict(counts), frames, driven_s, worked_s, ledger.working(), reasons, share)
