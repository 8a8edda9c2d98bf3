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

"""What a node tells of its camera sets, for a replay that waits for it."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray

_COUNTERS = ("received", "published", "skipped", "dropped", "dropped_incomplete")


class NodeReports:
    """Reads ``/diagnostics`` of ``flashocc_node``. Its counts are running totals, so a lost report costs nothing.

    Attributes:
        heard: some node reported on camera sets; others never will.
        settled: complete sets that it is done with: published, skipped or dropped.
        dropped: of these, dropped ones. Incomplete sets are not what a lockstep waits for.
        idle: reports in a row without a set in work and without news. The node's own pace is the measure of patience
            with it: on a busy machine both become slow.
    """

    def __init__(self) -> None:
        self.heard = False
        self.settled = 0
        self.dropped = 0
        self.idle = 0

    def on_diagnostics(self, message: DiagnosticArray) -> None:
        """Takes a message of the topic."""
        for status in message.status:
            values = {value.key: value.value for value in status.values}
            if "sets_dropped" not in values:
                continue
            received, published, skipped, dropped, incomplete = (int(values.get(f"sets_{k}", 0)) for k in _COUNTERS)
            before, self.heard = self.settled, True
            self.dropped = dropped - incomplete
            self.settled = published + skipped + self.dropped
            self.idle = self.idle + 1 if self.settled == before and received <= self.settled else 0
