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

"""What the page says of a running node, from its own diagnostics and from what arrives."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from flashocc_ros import weights
from flashocc_ros.view.frame import Report

PIPELINE = ": pipeline"
WINDOW_S = 5.0
LEVELS = {DiagnosticStatus.OK: "ok", DiagnosticStatus.WARN: "warn"}
TIMES = (
    ("latency", "latency_ms_p50"),
    ("processing", "processing_ms_p50"),
    ("images", "stage_images_ms_p50"),
    ("preprocess", "stage_preprocess_ms_p50"),
    ("encoder", "stage_encoder_ms_p50"),
    ("pooling", "stage_pooling_ms_p50"),
    ("head", "stage_head_ms_p50"),
    ("decode", "stage_decode_ms_p50"),
    ("publish", "stage_publish_ms_p50"),
)
"""What is listed, and its key in the diagnostics: medians of the node's latest sets."""
COUNTS = (
    ("sets published", "sets_published"),
    ("sets skipped", "sets_skipped"),
    ("sets dropped", "sets_dropped"),
)


class NodeReport:
    """Keeps the node's latest words on itself; for the executor's thread alone."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._arrived_s: deque[float] = deque(maxlen=600)
        self._values: dict[str, str] = {}
        self._level, self._message = "ok", ""

    def take(self, message: DiagnosticArray) -> None:
        """Diagnostics of anybody; those of a pipeline of this package count."""
        for status in message.status:
            if status.name.endswith(PIPELINE):
                self._values = {value.key: value.value for value in status.values}
                self._level = LEVELS.get(status.level, "error")
                self._message = status.message

    def arrived(self) -> None:
        """A result came."""
        self._arrived_s.append(self._now_s())

    @property
    def rate_hz(self) -> float:
        """Results per second, lately."""
        since_s = self._now_s() - WINDOW_S
        return sum(at > since_s for at in self._arrived_s) / WINDOW_S

    @property
    def message(self) -> str:
        """What the node says, empty before it said anything."""
        return self._message

    def report(self) -> Report:
        """As the page shows it."""
        told = self._values
        values = {name: told[name] for name in ("variant", "runs_on") if told.get(name)}
        if note := weights.note_of(told):
            values["weights"] = note
        values["results per second"] = f"{self.rate_hz:.1f}"
        values |= {f"{name} ms": f"{float(told[key]):.0f}" for name, key in TIMES if _is_number(told.get(key))}
        values |= {name: told[key] for name, key in COUNTS if told.get(key)}
        values |= {name: told[name] for name in ("rig", "masked", "clock") if told.get(name)}
        level = "ok" if self._level == "ok" else "warn" if self._level == "warn" else "error"
        return Report(level, "" if self._level == "ok" else self._message, values)  # type: ignore[arg-type]


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True
