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

"""A running node's results to the page: a process that only listens, so that the node never waits for a browser."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions

from flashocc_ros.bags.headers import header_stamp_ns
from flashocc_ros.bags.results import to_objects, to_table, to_volumes
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.decode import SetDropped
from flashocc_ros.cameras.road import PosedSet
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.msg import ClassTable as ClassTableMessage
from flashocc_ros.msg import Occupancy3D, PanopticInstanceArray
from flashocc_ros.ros.logs import SeldomLogger
from flashocc_ros.ros.problems import Problems, guarded, nothing
from flashocc_ros.ros.view_cameras import LiveCameras, cameras_of
from flashocc_ros.ros.view_report import NodeReport
from flashocc_ros.ros.worker import NewestWorker
from flashocc_ros.view.frame import Layer, Report, ViewFrame, shots_of
from flashocc_ros.view.pictures import WIDTH
from flashocc_ros.view.scene import LiveScene
from flashocc_ros.view.server import LOCAL, ViewServer
from flashocc_ros.view.store import FrameStore

POLL_S = 0.02
LOOK_S = 0.5
"""How often publishers are looked for."""
PATIENCE_S = 0.3
"""How long a result waits for its objects and pictures, which come on topics of their own."""


class _Result(NamedTuple):
    """A result as it came, with what belongs to it."""

    cdr: bytes
    stamp_ns: int
    arrived_s: float
    objects: bytes | None
    posed: PosedSet | None
    cameras: LiveCameras | None
    report: Report


class ViewBridge:
    """Listens to a node and fills a store.

    Args:
        node: subscribes; whoever spins it feeds the store.
        topic: of the occupancy; ``instances`` and ``class_table`` are looked for beside it.
        store: takes the frames.
        scene: hears of the classes.
        pictures: listen to the cameras too.
    """

    def __init__(
        self, node: Node, topic: str, store: FrameStore, pictures: bool = True, scene: LiveScene | None = None
    ) -> None:
        self._node, self._store, self._pictures = node, store, pictures
        self._scene = LiveScene(topic) if scene is None else scene
        self._tables: dict[tuple[str, int], ClassTable] = {(OCC3D.name, OCC3D.version): OCC3D}
        self._seldom = SeldomLogger(node.get_logger())
        self.problems = Problems(node.get_logger(), self._seldom, node.context.ok)
        self.topic = node.resolve_topic_name(topic)
        beside = self.topic.rpartition("/")[0]
        self._objects_topic = f"{beside}/instances"
        self._worker: NewestWorker[_Result] = NewestWorker(self._encode, lambda skipped: None)
        self._report = NodeReport()
        self._cameras: LiveCameras | None = None
        self._base_frame = ""
        self._waiting: _Result | None = None
        self._objects: bytes | None = None
        self._subscribed: dict[str, ReliabilityPolicy] = {}
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(ClassTableMessage, f"{beside}/class_table", self._on_classes, latched)
        node.create_timer(POLL_S, self._poll, clock=steady)
        node.create_timer(LOOK_S, self._look, clock=steady)
        self._look()

    # ---------------------------------------------------------------- finding
    @guarded("publishers could not be looked for", nothing, often=True)
    def _look(self) -> None:
        """Subscribe to results as their publishers offer them; tell the page while there are none."""
        wanted: tuple[tuple[str, type, Callable[[Any], None]], ...] = (
            (self.topic, Occupancy3D, self._on_occupancy),
            (self._objects_topic, PanopticInstanceArray, self._on_objects),
        )
        for topic, kind, callback in wanted:
            offers = [p.qos_profile.reliability for p in self._node.get_publishers_info_by_topic(topic)]
            if offers and topic not in self._subscribed:
                best_effort = ReliabilityPolicy.BEST_EFFORT in offers
                reliability = ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE
                qos = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=reliability)
                self._node.create_subscription(kind, topic, callback, qos, raw=True)
                self._subscribed[topic] = reliability
        if self._pictures and self._base_frame:
            topics = cameras_of(self._node)
            if topics and (self._cameras is None or topics.keys() != self._cameras.topics.keys()):
                if self._cameras is not None:
                    self._cameras.destroy()
                self._cameras = LiveCameras(self._node, self.problems, topics, self._base_frame)
        self._store.say(self._why_nothing_comes())

    def _why_nothing_comes(self) -> str:
        if self._report.rate_hz > 0:
            return self._scene.outdated
        if not self._node.count_publishers(self.topic):
            kind = "flashocc_ros/msg/Occupancy3D"
            others = [name for name, kinds in self._node.get_topic_names_and_types() if kind in kinds]
            others = [name for name in others if name != self.topic and self._node.count_publishers(name)]
            remedy = f"results are on {', '.join(others)}" if others else "start the node, or name its topic"
            return f"Nobody publishes {self.topic}; {remedy}: --topic."
        said = self._report.message
        return f"No result on {self.topic} for a while." + (f" The node says: {said}." if said else "")

    # ---------------------------------------------------------------- messages
    @guarded("diagnostics could not be read", nothing, often=True)
    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._report.take(message)

    @guarded("the class table could not be taken", nothing, often=True)
    def _on_classes(self, message: ClassTableMessage) -> None:
        table = to_table(message)
        self._tables[table.name, table.version] = table

    @guarded("objects could not be taken", nothing, often=True)
    def _on_objects(self, cdr: bytes) -> None:
        self._objects = cdr

    @guarded("a result could not be taken", nothing, often=True)
    def _on_occupancy(self, cdr: bytes) -> None:
        self._report.arrived()
        if self._waiting is not None:
            self._hand_over(self._waiting)
        self._waiting = _Result(cdr, header_stamp_ns(cdr), time.monotonic(), None, None, None, self._report.report())
        self._settle()

    @guarded("waiting results could not be looked at", nothing, often=True)
    def _poll(self) -> None:
        if self._cameras is not None:
            self._cameras.poll()
        self._settle()

    def _settle(self) -> None:
        """Hand the waiting result over when all that belongs to it is there, or it has waited long enough."""
        result = self._waiting
        if result is None:
            return
        has_objects = self._objects_of(result.stamp_ns) is not None or self._objects_topic not in self._subscribed
        has_pictures = self._cameras is None or self._cameras.at(result.stamp_ns) is not None
        if (has_objects and has_pictures) or time.monotonic() - result.arrived_s > PATIENCE_S:
            self._hand_over(result)
            self._waiting = None

    def _hand_over(self, result: _Result) -> None:
        posed = None if self._cameras is None else self._cameras.at(result.stamp_ns)
        objects = self._objects_of(result.stamp_ns)
        self._worker.submit(result._replace(objects=objects, posed=posed, cameras=self._cameras))

    def _objects_of(self, stamp_ns: int) -> bytes | None:
        return self._objects if self._objects is not None and header_stamp_ns(self._objects) == stamp_ns else None

    # ---------------------------------------------------------------- worker thread
    @guarded("a result could not be shown", nothing, often=True)
    def _encode(self, result: _Result) -> None:
        message = deserialize_message(result.cdr, Occupancy3D)
        self._base_frame = message.header.frame_id or self._base_frame
        semantics, instances, grid, classes = to_volumes(message, self._tables)
        self._scene.take(classes)
        objects = (
            () if result.objects is None else to_objects(deserialize_message(result.objects, PanopticInstanceArray))
        )
        cameras = self._camera_set(result)
        self._store.add(
            ViewFrame(
                result.stamp_ns,
                Layer(semantics, instances, objects),
                shots=() if cameras is None else shots_of(cameras),
                odom_from_base=None if cameras is None else cameras.key_pose,
                report=result.report,
                grid=grid,
                classes=classes,
            )
        )

    def _camera_set(self, result: _Result) -> CameraSet | None:
        if result.cameras is None or result.posed is None:
            return None
        try:
            return result.cameras.decoded(result.posed)
        except SetDropped as error:  # voxels without pictures are better than nothing
            self._seldom.warning(f"pictures {error.camera}", f"pictures are left out: {error}")
            return None

    def close(self) -> None:
        """Stop the worker; whoever made the node destroys it."""
        self._worker.close()
        if self._cameras is not None:
            self._cameras.destroy()


def run_bridge(
    topic: str,
    port: int,
    host: str = LOCAL,
    *,
    pictures: bool = True,
    picture_width: int = WIDTH,
    ready: Callable[[str, bool], None] = lambda url, local_only: None,
) -> None:
    """Serve the page beside a running node until SIGINT or SIGTERM.

    Args:
        ready: called with the page's address, and whether this machine alone reaches it.

    Raises:
        ConfigError: the port is taken, or the topic's name is none.
    """
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    store = FrameStore(keep_all=False, picture_width=picture_width)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        scene = LiveScene(topic)
        server = ViewServer(scene, store, port, host)
        try:
            node = Node("flashocc_view", use_global_arguments=False)
            bridge = ViewBridge(node, topic, store, pictures, scene)
            executor = SingleThreadedExecutor()
            executor.add_node(node)
            ready(server.url, server.local_only)
            while not ended.is_set():
                executor.spin_once(timeout_sec=0.1)
            bridge.close()
            executor.shutdown()
            node.destroy_node()
        finally:
            server.close()
    finally:
        rclpy.try_shutdown()
