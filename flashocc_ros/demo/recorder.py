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

"""Listens to the node: writes its results to a recording and keeps its latest report on itself."""

from __future__ import annotations

import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from flashocc_ros.bags import LATCHED, RELIABLE, BagWriter
from flashocc_ros.bags.headers import header_stamp_ns
from flashocc_ros.msg import ClassTable, Occupancy3D, PanopticInstanceArray

OCCUPANCY, INSTANCES, CLASS_TABLE, DIAGNOSTICS = "/occupancy", "/instances", "/class_table", "/diagnostics"
POINTS, MARKERS = "/points", "/markers"
"""Not read by this package: with them viewers that know no message of ours open the recording."""
PIPELINE = ": pipeline"


class Recorder:
    """Subscribes to the results. Needs an initialised rclpy; ``spin_once`` it and ``close`` it.

    Attributes:
        arrived_ns: wall clock (``time.time_ns``) at which the result of each key stamp came.
        status: key and value of the latest pipeline report.
        problem: why the node cannot be configured or activated, empty while it can: "cannot be ...".
        reports: number of pipeline reports so far.
    """

    def __init__(self, writer: BagWriter, node_name: str) -> None:
        self._active = False
        self.arrived_ns: dict[int, int] = {}
        self.status: dict[str, str] = {}
        self.problem = ""
        self.reports = 0
        self._writer = writer
        self._node_name = node_name
        self._last_report = b""
        self._class_table = b""
        self._newest_ns = 0
        writer.add_topic(OCCUPANCY, "flashocc_ros/msg/Occupancy3D", RELIABLE)
        writer.add_topic(INSTANCES, "flashocc_ros/msg/PanopticInstanceArray", RELIABLE)
        writer.add_topic(POINTS, "sensor_msgs/msg/PointCloud2", RELIABLE)
        writer.add_topic(MARKERS, "visualization_msgs/msg/MarkerArray", RELIABLE)
        writer.add_topic(CLASS_TABLE, "flashocc_ros/msg/ClassTable", LATCHED)
        writer.add_topic(DIAGNOSTICS, "diagnostic_msgs/msg/DiagnosticArray", RELIABLE)
        self._node = Node("flashocc_demo", use_global_arguments=False)
        reliable = QoSProfile(depth=20)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        subscribe = self._node.create_subscription
        self._subscriptions: list[Any] = [
            subscribe(Occupancy3D, OCCUPANCY, self._on_occupancy, reliable, raw=True),
            subscribe(PanopticInstanceArray, INSTANCES, self._on_instances, reliable, raw=True),
            subscribe(PointCloud2, POINTS, self._on_points, reliable, raw=True),
            subscribe(MarkerArray, MARKERS, self._on_markers, reliable, raw=True),
            subscribe(ClassTable, CLASS_TABLE, self._on_class_table, latched, raw=True),
            subscribe(DiagnosticArray, DIAGNOSTICS, self._on_diagnostics, reliable, raw=True),
        ]
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    @property
    def ready(self) -> bool:
        """The node is active (its latched class table came) and hears and is heard.

        A result that is published before both sides have matched is lost, so both are asked: the node's report tells
        how many subscriptions its topics have.
        """
        listeners = [self.status.get(f"subscribers_{t.strip('/')}") for t in (OCCUPANCY, INSTANCES, POINTS, MARKERS)]
        return self._active and listeners[0] is not None and "0" not in listeners and self._matched()

    def _matched(self) -> bool:
        # Where rclpy tells (Jazzy and newer), our side of the occupancy topic must know its publisher too.
        count = getattr(self._subscriptions[0].handle, "get_publisher_count", None)
        return True if count is None else bool(count() > 0)

    def spin_once(self, timeout_s: float) -> None:
        """Take what has come, waiting at most ``timeout_s`` for it."""
        self._executor.spin_once(timeout_sec=timeout_s)

    def close(self) -> None:
        """Write what is known at the end and leave the graph."""
        for topic, cdr in ((CLASS_TABLE, self._class_table), (DIAGNOSTICS, self._last_report)):
            if cdr and self._newest_ns:
                self._writer.write(topic, self._newest_ns, cdr)
        self._executor.shutdown()
        self._node.destroy_node()

    def _on_occupancy(self, cdr: bytes) -> None:
        stamp_ns = header_stamp_ns(cdr)
        self.arrived_ns.setdefault(stamp_ns, time.time_ns())
        self._newest_ns = max(self._newest_ns, stamp_ns)
        self._writer.write(OCCUPANCY, stamp_ns, cdr)

    def _on_instances(self, cdr: bytes) -> None:
        self._writer.write(INSTANCES, header_stamp_ns(cdr), cdr)

    def _on_points(self, cdr: bytes) -> None:
        self._writer.write(POINTS, header_stamp_ns(cdr), cdr)

    def _on_markers(self, cdr: bytes) -> None:
        # The header is that of the first marker, behind the four bytes of their number; there is always one.
        self._writer.write(MARKERS, header_stamp_ns(cdr[:4] + cdr[8:16]), cdr)

    def _on_class_table(self, cdr: bytes) -> None:
        self._class_table = cdr
        self._active = True

    def _on_diagnostics(self, cdr: bytes) -> None:
        for status in deserialize_message(cdr, DiagnosticArray).status:
            if status.name == self._node_name + PIPELINE:
                self.status = {value.key: value.value for value in status.values}
                failed = status.level == DiagnosticStatus.ERROR and self.status.get("state") != "active"
                self.problem = status.message if failed else ""
                self._last_report = cdr
                self.reports += 1
