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

"""Hear what latched publishers said before one came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from flashocc_ros.ros.problems import Problems, guarded, nothing

DEPTH = 10
LOOK_S = 0.2


class _Topic(NamedTuple):
    kind: type
    callback: Callable[[Any], None]
    needed: Callable[[], bool]


class LatchedTopics:
    """Subscribes a second time, transient local, to topics whose publishers are that and that still lack a message.

    An ordinary subscription gets nothing that was sent before it came; one that is transient local gets nothing at all
    from a volatile publisher, which would log a warning about it. So it is made where such a publisher was discovered.

    Args:
        node: subscribes.
        problems: hears of a look that failed.
        clock: of the timer that looks for publishers; a steady one works also while simulated time stands still.
    """

    def __init__(self, node: Node, problems: Problems, clock: Clock) -> None:
        self._node = node
        self.problems = problems
        self._waiting: dict[str, _Topic] = {}
        self._subscriptions: list[Subscription] = []
        self._timer = node.create_timer(LOOK_S, self._look, clock=clock)

    def watch(self, kind: type, topic: str, callback: Callable[[Any], None], needed: Callable[[], bool]) -> None:
        """Let ``callback`` hear the latched messages of ``topic`` as long as one is ``needed``.

        The callback must take a message twice: the ordinary subscription may bring it, too.
        """
        self._waiting[self._node.resolve_topic_name(topic)] = _Topic(kind, callback, needed)

    @guarded("latched publishers could not be looked for", nothing, often=True)
    def _look(self) -> None:
        for name, topic in list(self._waiting.items()):
            if not topic.needed():
                del self._waiting[name]
                continue
            publishers = self._node.get_publishers_info_by_topic(name)
            if any(p.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in publishers):
                del self._waiting[name]
                qos = QoSProfile(
                    depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
                )
                self._subscriptions.append(self._node.create_subscription(topic.kind, name, topic.callback, qos))
        if not self._waiting:
            self._timer.cancel()

    def destroy(self) -> None:
        """Unsubscribe."""
        self._node.destroy_timer(self._timer)
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
