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

"""The listener feeds an intake over DDS, and what is said of a message that cannot be taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("tf2_msgs.msg")

from geometry_msgs.msg import TransformStamped  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from flashocc_ros.cameras.transforms import OutsideTime, TransformIntake  # noqa: E402
from flashocc_ros.ros.logs import SeldomLogger  # noqa: E402
from flashocc_ros.ros.problems import Problems  # noqa: E402
from flashocc_ros.ros.transforms import TfListener, make_buffer  # noqa: E402

pytestmark = pytest.mark.ros

S = 1_000_000_000


def transform(parent: str, child: str, stamp_ns: int, x: float = 0.0) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, S)
    message.transform.translation.x = x
    return message


@pytest.fixture
def node() -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("transforms_test", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_moving_and_latched_transforms_arrive_and_a_jump_back_starts_over(node: Node) -> None:
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    static = node.create_publisher(TFMessage, "/tf_static", latched)
    static.publish(TFMessage(transforms=[transform("base_link", "camera", 0, 1.0)]))  # before anybody listens
    moving = node.create_publisher(TFMessage, "/tf", 10)
    buffer, heard = make_buffer(), list[int]()
    intake, logger = TransformIntake(buffer), node.get_logger()
    intake.watched = ("base_link",)
    problems = Problems(logger, SeldomLogger(logger), node.context.ok)
    listener = TfListener(intake, node, problems, lambda: heard.append(1))
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)

    def spin_until(done: Callable[[], bool]) -> None:
        while not done():
            executor.spin_once(timeout_sec=30)

    def publish(*stamps_ns: int) -> None:
        before = len(heard)
        for stamp_ns in stamps_ns:
            moving.publish(TFMessage(transforms=[transform("odom", "base_link", stamp_ns, stamp_ns / S)]))
        spin_until(lambda: len(heard) >= before + len(stamps_ns))

    spin_until(lambda: buffer.knows("camera") and moving.get_subscription_count() > 0)
    publish(109 * S, 111 * S)
    np.testing.assert_allclose(buffer.lookup("odom", "camera", 110 * S)[0, 3], 111, atol=1e-9)
    publish(9 * S)  # the recording starts again
    assert intake.jumps == 1
    with pytest.raises(OutsideTime):
        buffer.lookup("odom", "camera", 110 * S)
    publish(11 * S)
    np.testing.assert_allclose(buffer.lookup("odom", "camera", 10 * S)[0, 3], 11, atol=1e-9)
    listener.unregister()
    executor.shutdown()
