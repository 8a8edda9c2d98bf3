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

"""What was published once, before anybody listened, is heard all the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flashocc_ros.ros.latched import LatchedTopics

pytestmark = pytest.mark.ros

DEADLINE_S = 60.0


@pytest.fixture
def node() -> Iterator[Any]:
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor

    context = Context()
    context.init()
    node = rclpy.create_node("latched", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin_until(done: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE_S
        while not done():
            assert time.monotonic() < end
            executor.spin_once(timeout_sec=0.05)

    node.spin_until = spin_until
    yield node
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()


def watch(node: Any, heard: list[int], needed: Callable[[], bool]) -> LatchedTopics:
    from rclpy.clock import Clock, ClockType
    from sensor_msgs.msg import CameraInfo

    from flashocc_ros.ros.latched import LatchedTopics
    from flashocc_ros.ros.logs import SeldomLogger
    from flashocc_ros.ros.problems import Problems

    steady, log = Clock(clock_type=ClockType.STEADY_TIME), node.get_logger()
    topics = LatchedTopics(node, Problems(log, SeldomLogger(log), lambda: True), steady)
    topics.watch(CameraInfo, "camera_info", lambda message: heard.append(message.width), needed)
    return topics


def test_a_late_listener_hears_what_a_latched_publisher_sent(node: Any) -> None:
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from sensor_msgs.msg import CameraInfo

    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node.create_publisher(CameraInfo, "camera_info", latched).publish(CameraInfo(width=7))
    heard: list[int] = []
    topics = watch(node, heard, lambda: not heard)
    node.spin_until(lambda: heard == [7])
    topics.destroy()
    assert node.count_subscribers("camera_info") == 0


def test_a_volatile_publisher_is_left_alone(node: Any) -> None:
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import CameraInfo

    looks: list[int] = []
    node.create_publisher(CameraInfo, "camera_info", qos_profile_sensor_data)
    node.spin_until(lambda: node.count_publishers("camera_info") == 1)
    watch(node, [], lambda: looks.append(1) is None)
    node.spin_until(lambda: len(looks) > 3)
    assert node.count_subscribers("camera_info") == 0


def test_nothing_is_subscribed_once_a_message_came(node: Any) -> None:
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from sensor_msgs.msg import CameraInfo

    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node.create_publisher(CameraInfo, "camera_info", latched)
    asked: list[int] = []
    watch(node, [], lambda: asked.append(1) is not None)
    node.spin_until(lambda: len(asked) == 1)
    assert node.count_subscribers("camera_info") == 0
