"""Hear also what was published before one came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # its name until ROS 2 Iron
    from rclpy.qos_event import SubscriptionEventCallbacks

DEPTH = 10


def subscribe_latched(node: Node, kind: type, topic: str, callback: Callable[[Any], None]) -> Subscription:
    """A subscription for transient-local publishers, which hand it what they published last.

    One of this durability never matches a volatile publisher, so it stands beside an ordinary subscription to the same
    topic, whose callback must take the same message twice. That others offer less is no news and raises no event.
    """
    qos = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    silent = SubscriptionEventCallbacks(use_default_callbacks=False)
    return node.create_subscription(kind, topic, callback, qos, event_callbacks=silent)
