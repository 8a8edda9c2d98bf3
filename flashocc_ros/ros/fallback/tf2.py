"""A transform buffer and listener with the call signatures and rules of ``tf2_ros``, for machines without it.

Rules taken over from the documentation of tf2: translations interpolate linearly and rotations by slerp between the two
neighbouring samples; nothing is extrapolated; time zero asks for the latest time common to the whole path; static
transforms hold for all times; samples older than ``cache_time`` before the newest are forgotten.
"""

from __future__ import annotations

import bisect
import logging
import math
import threading
import time as steady
from collections.abc import Iterator
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from rclpy.time import Time

from flashocc_ros.geometry.rigid import IDENTITY, Pose, compose, interpolate, inverse, normalized

logger = logging.getLogger(__name__)

DEFAULT_CACHE_S = 10.0
MAX_DEPTH = 1000
UNIT_TOLERANCE = 0.01  # of the squared norm of a quaternion


class TransformException(Exception):
    """Base of all errors of a lookup."""


class LookupException(TransformException):
    """A frame that was never heard of, or a loop in the tree."""


class ConnectivityException(TransformException):
    """Two frames that belong to different trees."""


class ExtrapolationException(TransformException):
    """A time outside of what is in the buffer."""


class InvalidArgumentException(TransformException):
    """A frame name that cannot be used."""


class _Frame:
    """What is known of one frame relative to its parent: samples in order of time, or one static pose."""

    def __init__(self, static: bool) -> None:
        self.static = static
        self.stamps: list[int] = []
        self.samples: list[tuple[str, Pose]] = []  # parent and parent_from_frame

    def insert(self, stamp_ns: int, sample: tuple[str, Pose], cache_ns: int) -> bool:
        if self.static:
            self.stamps, self.samples = [stamp_ns], [sample]
            return True
        if self.stamps:
            oldest_ns = self.stamps[-1] - cache_ns
            outdated = bisect.bisect_left(self.stamps, oldest_ns)
            del self.stamps[:outdated], self.samples[:outdated]
            if stamp_ns < oldest_ns:
                return False
        index = bisect.bisect_right(self.stamps, stamp_ns)
        if index and self.stamps[index - 1] == stamp_ns:
            self.samples[index - 1] = sample
            return True
        self.stamps.insert(index, stamp_ns)
        self.samples.insert(index, sample)
        return True

    def at(self, stamp_ns: int, name: str) -> tuple[str, Pose]:
        """Parent and ``parent_from_frame``.

        Raises:
            ExtrapolationException: outside of the samples.
        """
        if self.static:
            return self.samples[0]
        if not self.stamps:
            raise ExtrapolationException(f"no data for frame {name} in the buffer")
        index = bisect.bisect_right(self.stamps, stamp_ns)
        if index and self.stamps[index - 1] == stamp_ns:
            return self.samples[index - 1]
        if 0 < index < len(self.stamps):
            (parent, start), (next_parent, end) = self.samples[index - 1], self.samples[index]
            if parent != next_parent:
                return parent, start
            ratio = (stamp_ns - self.stamps[index - 1]) / (self.stamps[index] - self.stamps[index - 1])
            return parent, interpolate(start, end, ratio)
        asked, first, last = (f"{value / 1e9:.6f}" for value in (stamp_ns, self.stamps[0], self.stamps[-1]))
        if len(self.stamps) == 1:
            what = f"at time {asked}, but only time {first} is in the buffer"
        elif index == 0:
            what = f"into the past. Requested time {asked} but the earliest data is at time {first}"
        else:
            what = f"into the future. Requested time {asked} but the latest data is at time {last}"
        raise ExtrapolationException(f"Lookup would require extrapolation {what}, when looking up frame {name}")


class Buffer:
    """Stores transforms and answers lookups; see ``tf2_ros.Buffer``.

    Args:
        cache_time: how long samples are kept, 10 s by default.
    """

    def __init__(self, cache_time: Duration | None = None) -> None:
        self._cache_ns = int(DEFAULT_CACHE_S * 1e9) if cache_time is None else cache_time.nanoseconds
        self._frames: dict[str, _Frame] = {}
        self._known: set[str] = set()
        self._changed = threading.Condition(threading.RLock())

    def clear(self) -> None:
        """Forgets all samples; static transforms and the names of the frames stay."""
        with self._changed:
            for frame in self._frames.values():
                if not frame.static:
                    frame.stamps.clear()
                    frame.samples.clear()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Adds a sample; one that cannot be used is logged and ignored."""
        self._insert(transform, authority, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Sets a transform that holds for all times."""
        self._insert(transform, authority, static=True)

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration | None = None
    ) -> TransformStamped:
        """``target_from_source`` at ``time``; time zero is the latest common one.

        Raises:
            InvalidArgumentException, LookupException, ConnectivityException, ExtrapolationException
        """
        if timeout is not None and timeout.nanoseconds > 0:
            self.can_transform(target_frame, source_frame, time, timeout)
        with self._changed:
            pose, stamp_ns = self._lookup(target_frame, source_frame, _ns(time))
        return _message(pose, stamp_ns, target_frame, source_frame)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration | None = None,
    ) -> TransformStamped:
        """``target`` at one time from ``source`` at another, through a frame that does not move."""
        deadline = steady.monotonic() + (0.0 if timeout is None else timeout.nanoseconds / 1e9)
        with self._changed:
            while True:
                try:
                    fixed_from_source, _ = self._lookup(fixed_frame, source_frame, _ns(source_time))
                    target_from_fixed, stamp_ns = self._lookup(target_frame, fixed_frame, _ns(target_time))
                except TransformException:
                    if not self._changed.wait(deadline - steady.monotonic()):
                        raise
                else:
                    return _message(compose(target_from_fixed, fixed_from_source), stamp_ns, target_frame, source_frame)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration | None = None,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """True when a lookup would succeed, waiting for it as long as ``timeout``."""
        deadline = steady.monotonic() + (0.0 if timeout is None else timeout.nanoseconds / 1e9)
        with self._changed:
            while True:
                try:
                    self._lookup(target_frame, source_frame, _ns(time))
                except TransformException as error:
                    remaining = deadline - steady.monotonic()
                    if remaining > 0 and self._changed.wait(remaining):
                        continue
                    return (False, str(error)) if return_debug_tuple else False
                return (True, "") if return_debug_tuple else True

    def get_latest_common_time(self, target_frame: str, source_frame: str) -> Time:
        """The latest time at which the two frames can be related; zero when only static transforms lie between."""
        with self._changed:
            self._validate(target_frame, source_frame)
            return Time(nanoseconds=self._latest_common_ns(target_frame, source_frame))

    def _insert(self, message: TransformStamped, authority: str, static: bool) -> None:
        child, parent = message.child_frame_id.lstrip("/"), message.header.frame_id.lstrip("/")
        translation, rotation = message.transform.translation, message.transform.rotation
        position = (translation.x, translation.y, translation.z)
        quaternion = (rotation.x, rotation.y, rotation.z, rotation.w)
        if not child or not parent or child == parent:
            logger.error("ignoring a transform from %r to %r from %s", parent, child, authority)
            return
        unit = abs(sum(value * value for value in quaternion) - 1) < UNIT_TOLERANCE
        if not unit or not all(math.isfinite(value) for value in position):
            logger.error("ignoring %s -> %s from %s: not finite or no unit quaternion", parent, child, authority)
            return
        stamp_ns = _ns(message.header.stamp)
        with self._changed:
            frame = self._frames.get(child)
            if frame is None or frame.static != static:
                frame = self._frames[child] = _Frame(static)
            if not frame.insert(stamp_ns, (parent, (position, normalized(quaternion))), self._cache_ns):
                logger.warning("ignoring data from the past for frame %s", child)
                return
            self._known.update((child, parent))
            self._changed.notify_all()

    def _validate(self, *frames: str) -> None:
        for frame in frames:
            if not frame or frame.startswith("/"):
                raise InvalidArgumentException(f"frame name {frame!r} is empty or starts with '/'")
            if frame not in self._known:
                raise LookupException(f'"{frame}" passed to lookupTransform does not exist.')

    def _lookup(self, target: str, source: str, stamp_ns: int) -> tuple[Pose, int]:
        self._validate(target, source)
        if target == source:
            return IDENTITY, stamp_ns
        if stamp_ns == 0:
            stamp_ns = self._latest_common_ns(target, source)
        from_source, source_error = self._climb(source, stamp_ns)
        from_target, target_error = self._climb(target, stamp_ns)
        for frame, ancestor_from_source in from_source.items():
            if frame in from_target:
                return compose(inverse(from_target[frame]), ancestor_from_source), stamp_ns
        error = source_error or target_error
        if error is not None:
            raise error
        raise ConnectivityException(
            f"Could not find a connection between '{target}' and '{source}' because they are not part of the same "
            "tree. Tf has two or more unconnected trees."
        )

    def _climb(self, frame: str, stamp_ns: int) -> tuple[dict[str, Pose], ExtrapolationException | None]:
        """Pose of ``frame`` in itself and each of its ancestors, and the error that ended the climb before the root."""
        poses = {frame: IDENTITY}
        ancestor = frame
        while ancestor in self._frames:
            try:
                parent, parent_from_ancestor = self._frames[ancestor].at(stamp_ns, ancestor)
            except ExtrapolationException as error:
                return poses, error
            if parent in poses or len(poses) > MAX_DEPTH:
                raise LookupException(f"The tf tree is invalid because it contains a loop through {parent}.")
            poses[parent] = compose(parent_from_ancestor, poses[ancestor])
            ancestor = parent
        return poses, None

    def _latest_common_ns(self, target: str, source: str) -> int:
        """Oldest of the newest samples on the path between two frames; 0 when all of it is static."""
        newest = {frame: stamps for frame, stamps in self._newest_up(source)}
        for frame, target_ns in self._newest_up(target):
            if frame in newest:
                stamps = [stamp_ns for stamp_ns in (newest[frame], target_ns) if stamp_ns is not None]
                return min(stamps, default=0)
        raise ConnectivityException(
            f"Could not find a connection between '{target}' and '{source}' because they are not part of the same "
            "tree. Tf has two or more unconnected trees."
        )

    def _newest_up(self, frame: str) -> Iterator[tuple[str, int | None]]:
        """Each ancestor with the oldest of the newest stamps on the way to it, None while all were static."""
        oldest: int | None = None
        for _ in range(MAX_DEPTH):
            yield frame, oldest
            entry = self._frames.get(frame)
            if entry is None or not entry.stamps:
                return
            if not entry.static:
                oldest = entry.stamps[-1] if oldest is None else min(oldest, entry.stamps[-1])
            frame = entry.samples[-1][0]
        raise LookupException(f"The tf tree is invalid because it contains a loop through {frame}.")


class TransformListener:
    """Feeds a buffer from ``/tf`` and ``/tf_static``; see ``tf2_ros.TransformListener``.

    Args:
        buffer: takes the transforms.
        node: subscribes; whoever spins it feeds the buffer.
        qos, static_qos: 100 messages, static ones transient local, by default.
        tf_topic, tf_static_topic: where to listen.
    """

    def __init__(
        self,
        buffer: Buffer,
        node: Node,
        *,
        qos: QoSProfile | int | None = None,
        static_qos: QoSProfile | int | None = None,
        tf_topic: str = "/tf",
        tf_static_topic: str = "/tf_static",
    ) -> None:
        from tf2_msgs.msg import TFMessage

        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL, history=HistoryPolicy.KEEP_LAST)
        self.buffer, self.node = buffer, node
        self.group = ReentrantCallbackGroup()
        self.tf_sub = node.create_subscription(
            TFMessage, tf_topic, self.callback, 100 if qos is None else qos, callback_group=self.group
        )
        self.tf_static_sub = node.create_subscription(
            TFMessage,
            tf_static_topic,
            self.static_callback,
            latched if static_qos is None else static_qos,
            callback_group=self.group,
        )

    def unregister(self) -> None:
        """Stops listening."""
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)

    def callback(self, data: Any) -> None:
        """Takes a ``tf2_msgs/TFMessage``."""
        for transform in data.transforms:
            self.buffer.set_transform(transform, "default_authority")

    def static_callback(self, data: Any) -> None:
        """Takes a ``tf2_msgs/TFMessage`` of static transforms."""
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, "default_authority")


def _ns(time: Any) -> int:
    """Nanoseconds of an ``rclpy.time.Time`` or a ``builtin_interfaces/Time``."""
    return time.nanoseconds if hasattr(time, "nanoseconds") else time.sec * 1_000_000_000 + time.nanosec


def _message(pose: Pose, stamp_ns: int, target_frame: str, source_frame: str) -> TransformStamped:
    message = TransformStamped(child_frame_id=source_frame)
    message.header.frame_id = target_frame
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    vector, rotation = message.transform.translation, message.transform.rotation
    vector.x, vector.y, vector.z = pose[0]
    rotation.x, rotation.y, rotation.z, rotation.w = pose[1]
    return message
