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

"""Publish a recording through rclpy as serialised bytes, with the recorded quality of service."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rosbags.interfaces import Qos
from rosgraph_msgs.msg import Clock

from flashocc_ros.bags import LATCHED, Topic
from flashocc_ros.bags.headers import header_stamp_ns
from flashocc_ros.bags.types import CAMERA_INFO_TYPE
from flashocc_ros.errors import ConfigError
from flashocc_ros.replay.outcome import Report
from flashocc_ros.replay.reports import NodeReports
from flashocc_ros.replay.schedule import Outgoing

_LOG = logging.getLogger(__name__)

LATE_NS = 20_000_000
"""A message that leaves this much after its time counts as late."""
CLOCK_STEP_S = 0.01
QUEUE = 100
FIRST_ANSWER_S = 120.0
LEAST_ANSWER_S = 15.0
"""No set is given up before this time, nor before five times the slowest answer so far."""
IDLE_REPORTS = 20
"""A node that reports so often to have nothing in work will not answer; one that has is waited for."""
FIRST_REPORT_S = 3.0
ON_ITS_WAY_S = 2.0
"""A report of the node may overtake the larger answer by this time."""


class Player:
    """Publishers for the topics of a recording. Needs an initialised rclpy; ``close`` it.

    Args:
        topics: what to publish.
        clock: publish ``/clock`` along with the messages.
        answer_topic: where the node under test answers each camera set, for ``play_lockstep``.
        anchor_topic: image topic whose departures are noted in the report.
    """

    def __init__(
        self,
        topics: Iterable[Topic],
        clock: bool = False,
        answer_topic: str | None = None,
        anchor_topic: str | None = None,
    ) -> None:
        self.report = Report()
        self.node = Node("flashocc_replay", use_global_arguments=False)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._publishers: dict[str, Publisher] = {}
        for topic in topics:
            try:
                kind = message_class(topic.type)
            except ConfigError as error:
                self.report.left_out.append(topic.name)
                _LOG.warning("%s is left out: %s", topic.name, error)
                continue
            # In lockstep a lost image costs a set; who asks for less than what is offered gets it all the same.
            profile = to_profile(_replayed_qos(topic), reliable=answer_topic is not None)
            self._publishers[topic.name] = self.node.create_publisher(kind, topic.name, profile)
        self._clock = self.node.create_publisher(Clock, "/clock", 10) if clock else None
        self._now_ns = 0
        self._answer_topic, self._anchor_topic = answer_topic, anchor_topic
        self._answer: Any = None
        self._answered_ns = -1
        self._reports = NodeReports()
        if answer_topic is not None:
            self.node.create_subscription(DiagnosticArray, "/diagnostics", self._reports.on_diagnostics, 10)

    def close(self, flush: bool = True) -> None:
        """Leave the graph; with ``flush`` not before reliable messages have arrived, which may take seconds."""
        for publisher in self._publishers.values() if flush else ():
            publisher.wait_for_all_acked(Duration(seconds=5))
        self._executor.shutdown()
        self.node.destroy_node()

    # --- readiness -----------------------------------------------------------------------------------------------

    def wait_for_subscribers(self, topics: Collection[str], timeout_s: float, every: bool = True) -> bool:
        """Wait until all (or, unless ``every``, any) of ``topics`` have a matched subscriber; False when time is up."""
        waiting = [self._publishers[t] for t in topics if t in self._publishers]
        combine = all if every else any
        return self._until(lambda: combine(p.get_subscription_count() > 0 for p in waiting), timeout_s)

    def without_subscriber(self, topics: Collection[str]) -> list[str]:
        """Those of ``topics`` that nobody subscribes to."""
        return [t for t in topics if t in self._publishers and self._publishers[t].get_subscription_count() == 0]

    def wait_for_answer_topic(self, timeout_s: float) -> bool:
        """Wait until somebody publishes the answer topic, and subscribe to it; False when time is up."""
        if self._answer_topic is None:
            raise ConfigError("a lockstep replay needs the topic that answers, for example occupancy")
        name = self.node.resolve_topic_name(self._answer_topic)
        found: list[TopicEndpointInfo] = []

        def announced() -> bool:
            found[:] = self.node.get_publishers_info_by_topic(name)
            return bool(found)

        if not self._until(announced, timeout_s):
            return False
        # large answers get lost without acknowledgement, but whoever offers none must be heard too
        reliable = all(info.qos_profile.reliability == ReliabilityPolicy.RELIABLE for info in found)
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        profile = QoSProfile(depth=10, reliability=reliability)
        kind = message_class(found[0].topic_type)
        self._answer = self.node.create_subscription(kind, name, self._on_answer, profile, raw=True)
        publishers = self.node.count_publishers
        if not self._until(lambda: publishers(name) > 0 and self._matched(name), timeout_s):
            return False
        # How many sets a flashocc node has settled before the first one of this replay; others report no such thing.
        if publishers("/diagnostics"):
            self._until(lambda: self._reports.heard, FIRST_REPORT_S)
        return True

    def _matched(self, name: str) -> bool:
        # Where rclpy tells (Jazzy and newer: the handle's publisher count), ask; elsewhere discovery was symmetric.
        count = getattr(self._answer.handle, "get_publisher_count", None)
        return True if count is None else count() > 0

    def _on_answer(self, cdr: bytes) -> None:
        self._answered_ns = max(self._answered_ns, header_stamp_ns(cdr))

    def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        end = time.monotonic() + timeout_s
        while not condition():
            left = end - time.monotonic()
            if left <= 0 or not rclpy.ok():
                return condition()
            # the graph changes without waking an executor on all versions, hence the short slices
            self._executor.spin_once(timeout_sec=min(left, 0.02))
        return True

    # --- playing -------------------------------------------------------------------------------------------------

    def play_timed(self, messages: Iterable[Outgoing], rate: float, progress: Callable[[int], None]) -> None:
        """Publish each message at its time; ``rate`` 2 is twice as fast. ``progress`` gets the recorded time."""
        begin_ns: int | None = None
        start = self._now_ns = 0
        for message in messages:
            if message.topic not in self._publishers:
                continue
            if begin_ns is None:
                begin_ns, start = message.stamp_ns, time.monotonic_ns()
            due = start + int((message.stamp_ns - begin_ns) / rate)
            while (left_ns := due - time.monotonic_ns()) > 0:
                if self._clock is not None:
                    self._tick(message.stamp_ns - int(left_ns * rate))
                self._executor.spin_once(timeout_sec=min(left_ns * 1e-9, CLOCK_STEP_S))
                if not rclpy.ok():
                    return
            if time.monotonic_ns() - due > LATE_NS:
                self.report.late += 1
            self._send(message)
            progress(message.stamp_ns)

    def play_lockstep(
        self, messages: Iterable[Outgoing], first_ns: tuple[int, ...], progress: Callable[[int], None]
    ) -> None:
        """Publish without pause, but after each complete camera set wait for its answer, within limits.

        Args:
            messages: from ``schedule.set_by_set``.
            first_ns: earliest image stamp of each set; an answer with that stamp or a later one counts.
            progress: gets the time on the clock of the recording.
        """
        self._answered_ns, self._now_ns = -1, 0
        done, settled_before = 0, self._reports.settled if self._reports.heard else None
        for message in messages:
            if message.topic not in self._publishers:
                continue
            self._send(message)
            progress(message.stamp_ns)
            if message.completes >= 0:
                done += self._await_answer(
                    first_ns[message.completes], None if settled_before is None else settled_before + done
                )

    def _await_answer(self, first_ns: int, settled_before: int | None) -> bool:
        """Wait for the set just sent; ``settled_before`` is what the node counted without it, if known.

        Returns:
            False for a set that the node never said anything of.
        """
        report, node = self.report, self._reports
        report.sets += 1
        begin, drops, node.idle = time.monotonic(), node.dropped, 0
        limit_s = max(LEAST_ANSWER_S, 5 * max(report.answer_s)) if report.answer_s else FIRST_ANSWER_S

        def answered() -> bool:
            return self._answered_ns >= first_ns

        def settled() -> bool:
            # An answer can get lost on its way; what the node counts tells that the set was worked on all the same.
            return node.dropped > drops or (settled_before is not None and node.settled > settled_before)

        def hopeless() -> bool:
            return node.idle >= IDLE_REPORTS and time.monotonic() - begin >= LEAST_ANSWER_S

        self._until(lambda: answered() or settled() or hopeless(), max(limit_s, FIRST_ANSWER_S * node.heard))
        if settled() and node.dropped == drops:
            self._until(answered, ON_ITS_WAY_S)
        if answered():
            report.answered += 1
            report.answer_s.append(time.monotonic() - begin)
        elif node.dropped > drops:
            report.dropped += 1
        elif settled():
            report.lost += 1
        else:
            report.unanswered += 1
            return False
        return True

    def _send(self, message: Outgoing) -> None:
        if self._clock is not None:
            self._tick(message.stamp_ns)
        if message.topic == self._anchor_topic:
            self.report.sent_ns[header_stamp_ns(message.cdr)] = time.time_ns()
        self._publishers[message.topic].publish(message.cdr)
        self.report.messages += 1

    def _tick(self, stamp_ns: int) -> None:
        """Tell the time; within a round it never goes back, which would make nodes forget all they know."""
        assert self._clock is not None
        self._now_ns = max(self._now_ns, stamp_ns)
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(self._now_ns, 1_000_000_000)
        self._clock.publish(message)


def message_class(name: str) -> type:
    """Python class of ``package/msg/Name``.

    Raises:
        ConfigError: it is not installed.
    """
    package, _, kind = name.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), kind)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"message type {name} is not installed; install or build the package {package}") from error


def _replayed_qos(topic: Topic) -> Qos:
    """A calibration that was recorded once is needed by all who come later, whoever may have offered it how."""
    return LATCHED if topic.type == CAMERA_INFO_TYPE and topic.count == 1 else topic.qos


def to_profile(qos: Qos, reliable: bool = False) -> QoSProfile:
    """The recorded quality of service for a publisher, or a ``reliable`` one whatever was recorded.

    Deadline, lifespan and liveliness are left out: they describe the recorded system, not the replay. What the
    recording does not know becomes reliable, volatile, keep last. Reliable queues are at least ``QUEUE`` deep: a
    lockstep replay sends transforms in bursts.
    """
    reliable = reliable or qos.reliability.name != "BEST_EFFORT"
    latched = qos.durability.name == "TRANSIENT_LOCAL"
    depth = max(qos.depth, 1) if qos.history.name == "KEEP_LAST" else 10
    return QoSProfile(
        history=HistoryPolicy.KEEP_ALL if qos.history.name == "KEEP_ALL" else HistoryPolicy.KEEP_LAST,
        depth=max(depth, QUEUE) if reliable and not latched else depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
