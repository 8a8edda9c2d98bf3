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

"""Transforms of a running node: the buffer of tf2_ros where it is installed, and the two topics that fill it.

Every ROS 2 install has tf2_ros; the wheels on PyPI lack it. There, and in recordings, the package's `TransformTree`
takes its place. What enters either buffer is decided by `TransformIntake`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from tf2_msgs.msg import TFMessage

from flashocc_ros.cameras.transforms import (
    Float64,
    OutsideTime,
    StampedTransform,
    TransformIntake,
    Transforms,
    TransformTree,
    Unconnected,
    UnknownFrame,
)
from flashocc_ros.geometry.rigid import matrix, normalized
from flashocc_ros.ros.problems import Problems, guarded, nothing
from flashocc_ros.ros.stamps import make_header, ns_from_stamp

DEPTH = 100
"""Messages of each topic that may lie unread, as many as tf2_ros keeps."""


def make_buffer() -> Transforms:
    """An empty buffer."""
    return TransformTree() if importlib.util.find_spec("tf2_ros") is None else Tf2Buffer()


class Tf2Buffer:
    """`Transforms` on a ``tf2_ros.Buffer``.

    Not of the node: tf2_ros would register a service and a jump callback on it that nothing takes back, and the clock
    would call into a buffer that is gone.
    """

    def __init__(self) -> None:
        import tf2_ros

        self._tf2 = tf2_ros
        self._buffer = tf2_ros.Buffer()
        self._known: set[str] = set()

    def insert(self, transform: StampedTransform, static: bool) -> None:
        message = _message(transform)
        self._known.update((transform.parent, transform.child))
        if static:
            self._buffer.set_transform_static(message, "flashocc")
        else:
            self._buffer.set_transform(message, "flashocc")

    def lookup(self, target: str, source: str, stamp_ns: int) -> Float64:
        found = self._look(target, source, stamp_ns).transform
        t, q = found.translation, found.rotation
        return matrix(((t.x, t.y, t.z), normalized((q.x, q.y, q.z, q.w))))

    def latest_ns(self, target: str, source: str) -> int:
        return ns_from_stamp(self._look(target, source, 0).header.stamp)

    def knows(self, frame: str) -> bool:
        return frame in self._known

    def clear(self) -> None:
        self._buffer.clear()

    def _look(self, target: str, source: str, stamp_ns: int) -> Any:
        tf2 = self._tf2
        try:
            return self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns))
        except tf2.ExtrapolationException as error:
            raise OutsideTime(str(error)) from error
        except tf2.ConnectivityException as error:
            raise Unconnected(str(error)) from error
        except (tf2.LookupException, tf2.InvalidArgumentException) as error:
            # tf2 calls a loop a failed lookup, too.
            kind = Unconnected if self.knows(target) and self.knows(source) else UnknownFrame
            raise kind(str(error)) from error


def _message(transform: StampedTransform) -> Any:
    from geometry_msgs.msg import TransformStamped

    message = TransformStamped(header=make_header(transform.parent, transform.stamp_ns), child_frame_id=transform.child)
    (t, q), body = transform.pose, message.transform
    body.translation.x, body.translation.y, body.translation.z = t
    body.rotation.x, body.rotation.y, body.rotation.z, body.rotation.w = q
    return message


class TfListener:
    """Feeds an intake from ``/tf`` and ``/tf_static``.

    Args:
        intake: takes the messages.
        node: subscribes; whoever spins it feeds the buffer.
        problems: hears of a message that could not be taken.
        on_data: called after each message.
    """

    def __init__(
        self, intake: TransformIntake, node: Node, problems: Problems, on_data: Callable[[], object] | None = None
    ) -> None:
        self.intake, self.problems = intake, problems
        self._on_data = on_data
        latched = QoSProfile(depth=DEPTH, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        with ExitStack() as undo:
            for topic, callback, qos in (
                ("/tf", self._on_moving, QoSProfile(depth=DEPTH)),
                ("/tf_static", self._on_static, latched),
            ):
                undo.callback(node.destroy_subscription, node.create_subscription(TFMessage, topic, callback, qos))
            self._undo = undo.pop_all()

    def unregister(self) -> None:
        """Stop listening."""
        self._undo.close()

    @guarded("a transform could not be taken", nothing, often=True)
    def _on_moving(self, message: TFMessage) -> None:
        self._take(message, static=False)

    @guarded("a static transform could not be taken", nothing, often=True)
    def _on_static(self, message: TFMessage) -> None:
        self._take(message, static=True)

    def _take(self, message: TFMessage, static: bool) -> None:
        self.intake.take(message, static)
        if self._on_data is not None:
            self._on_data()
