"""Where the cameras and the vehicle were when the images were taken, from tf and without ever waiting for it.

A lookup gives the poses, or says why they are not there: a final answer (the time asked for is before all that tf
knows, so it will never come) or one that may change, to be asked again when tf brought something new.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.time import Time

from flashocc_ros.ros.fallback import (
    Buffer,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformListener,
)
from flashocc_ros.ros.problems import Problems, guarded, nothing
from flashocc_ros.ros.stamps import ns_from_stamp

Float64 = npt.NDArray[np.float64]
MAX_BACKWARD_NS = 500_000_000


@dataclass(frozen=True, eq=False)
class Poses:
    """Poses for one set of N images.

    Attributes:
        base_from_camera: (N, 4, 4) float64, camera optical frame to base frame at each image's own stamp. The same
            array object as long as the numbers stay the same.
        odom_from_base: (N, 4, 4) float64, pose of the vehicle in the fixed frame at each image's own stamp.
        key_pose: (4, 4) float64, pose of the vehicle in the fixed frame at the key stamp.
        static: True without a fixed frame: all vehicle poses are the identity.
    """

    base_from_camera: Float64
    odom_from_base: Float64
    key_pose: Float64
    static: bool = False


@dataclass(frozen=True)
class Unavailable:
    """Why there are no poses.

    Attributes:
        reason: one sentence.
        cause: ``past`` (older than all tf data), ``future`` (tf is late), ``unknown`` (a frame nobody published) or
            ``unconnected`` (two trees).
        final: True when asking again is of no use.
    """

    reason: str
    cause: Literal["past", "future", "unknown", "unconnected"]
    final: bool


class PoseSource:
    """Looks up the extrinsics of the cameras and the motion of the vehicle.

    Args:
        buffer: a ``tf2_ros.Buffer`` or the fallback's.
        camera_frames: optical frame of each camera, in the order of the images.
        base_frame: frame of the vehicle.
        fixed_frame: frame that does not move with the vehicle; empty for none.
        wait_s: how long a set may wait for tf.
        allow_static: without a fixed frame, take the vehicle as standing still (variants of a single frame).
        say: called with what a user should know, once each.
    """

    def __init__(
        self,
        buffer: Buffer,
        camera_frames: Sequence[str],
        base_frame: str = "base_link",
        fixed_frame: str = "odom",
        *,
        wait_s: float = 0.25,
        allow_static: bool = False,
        say: Callable[[str], object] | None = None,
    ) -> None:
        self.buffer = buffer
        self.camera_frames = tuple(camera_frames)
        self.base_frame, self.fixed_frame = base_frame, fixed_frame
        self.wait_s, self.allow_static = wait_s, allow_static
        self.extrinsics_changes = 0
        self._say = say or logging.getLogger(__name__).warning
        self._extrinsics: Float64 | None = None
        self._static: bool | None = None

    def lookup(self, stamps_ns: Sequence[int], key_stamp_ns: int, waited_s: float = 0.0) -> Poses | Unavailable:
        """Poses for the images of one set; never blocks.

        Args:
            stamps_ns: stamp of each image, in the order of ``camera_frames``.
            key_stamp_ns: stamp of the set.
            waited_s: how long this set has been waiting; from ``wait_s`` on an answer is final.
        """
        frame_stamps = list(zip(self.camera_frames, stamps_ns, strict=True))
        cameras = self._look([(self.base_frame, frame, stamp) for frame, stamp in frame_stamps], waited_s)
        if isinstance(cameras, Unavailable):
            return cameras
        extrinsics = self._remember(cameras)
        count = len(frame_stamps)
        if self.fixed_frame:
            wanted = [(self.fixed_frame, self.base_frame, stamp) for stamp in (*stamps_ns, key_stamp_ns)]
            vehicle = self._look(wanted, waited_s)
            if not isinstance(vehicle, Unavailable):
                if self._static:
                    self._say(f"frame {self.fixed_frame!r} has appeared: ego motion is compensated from now on")
                self._static = False
                return Poses(extrinsics, vehicle[:count], vehicle[count])
            # One frame that nobody publishes is a vehicle without odometry; anything else is odometry with a fault.
            if vehicle.cause != "unknown" or not self.allow_static or not (vehicle.final or self._static):
                return vehicle
        elif not self.allow_static:
            return Unavailable("this variant has a memory and needs a fixed frame, but none is named", "unknown", True)
        if not self._static:
            self._static = True
            name = f"no frame {self.fixed_frame!r} in tf" if self.fixed_frame else "no fixed frame is configured"
            self._say(f"{name}: the vehicle is taken as standing still, ego motion between images is not compensated")
        return Poses(extrinsics, np.tile(np.eye(4), (count, 1, 1)), np.eye(4), static=True)

    def reset(self) -> None:
        """Looks anew whether there is a fixed frame. The buffer is `TfListener`'s to clear."""
        self._static = None

    def _remember(self, extrinsics: Float64) -> Float64:
        if self._extrinsics is None or not np.allclose(self._extrinsics, extrinsics, rtol=0, atol=1e-7):
            if self._extrinsics is not None:
                self.extrinsics_changes += 1
            extrinsics.setflags(write=False)
            self._extrinsics = extrinsics
        return self._extrinsics

    def _look(self, wanted: Sequence[tuple[str, str, int]], waited_s: float) -> Float64 | Unavailable:
        """(M, 4, 4) of M lookups (target, source, stamp), or why the first that failed did."""
        poses = np.empty((len(wanted), 4, 4))
        late = waited_s >= self.wait_s
        for index, (target, source, stamp_ns) in enumerate(wanted):
            asked = f"{source} -> {target} at {stamp_ns / 1e9:.3f}"
            try:
                message = self.buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns))
            except ExtrapolationException:
                future = self._newer_than_tf(target, source, stamp_ns)
                if future:
                    return Unavailable(f"tf has not yet brought {asked}", "future", late)
                return Unavailable(f"tf starts after {asked}", "past", True)
            except ConnectivityException:
                return Unavailable(f"tf does not connect {source} with {target}", "unconnected", late)
            except (LookupException, InvalidArgumentException):
                return Unavailable(f"tf has no {self._missing(target, source)}", "unknown", late)
            poses[index] = matrix_of(message)
        return poses

    def _newer_than_tf(self, target: str, source: str, stamp_ns: int) -> bool:
        """Tells "not yet" from "never": is the stamp after the latest common time of the path?"""
        try:
            latest = self.buffer.lookup_transform(target, source, Time())
        except (ExtrapolationException, ConnectivityException, LookupException):
            return True  # the path itself is not complete yet
        return stamp_ns > ns_from_stamp(latest.header.stamp)

    def _missing(self, target: str, source: str) -> str:
        for frame in (source, target):
            try:
                self.buffer.lookup_transform(frame, frame, Time())
            except (LookupException, InvalidArgumentException):
                return f"frame {frame!r}"
        return f"path {source} -> {target}"


class TfListener(TransformListener):
    """Transform listener that starts over when tf jumps back, and tells when something new has come.

    A looped recording would otherwise be refused as older than the buffer, or mixed with the end of the last round.

    Args:
        buffer, node: as ``tf2_ros.TransformListener``.
        problems: hears of a message that could not be taken.
        on_data: called after each message.
    """

    def __init__(
        self,
        buffer: Buffer,
        node: Node,
        problems: Problems,
        *,
        on_data: Callable[[], object] | None = None,
        **options: Any,
    ) -> None:
        self.problems = problems
        self.jumps = 0
        self._on_data = on_data
        self._newest_ns: dict[str, int] = {}
        try:
            super().__init__(buffer, node, **options)
        except Exception:
            if hasattr(self, "tf_sub"):  # the first of its two subscriptions
                node.destroy_subscription(self.tf_sub)
            raise

    @guarded("a transform could not be taken", nothing, often=True)
    def callback(self, data: Any) -> None:
        """Takes a ``tf2_msgs/TFMessage``."""
        for transform in data.transforms:
            stamp_ns = ns_from_stamp(transform.header.stamp)
            if stamp_ns < self._newest_ns.get(transform.child_frame_id, 0) - MAX_BACKWARD_NS:
                self.jumps += 1
                self.clear()
                break
        for transform in data.transforms:
            stamp_ns = ns_from_stamp(transform.header.stamp)
            child = transform.child_frame_id
            self._newest_ns[child] = max(stamp_ns, self._newest_ns.get(child, 0))
        super().callback(data)
        if self._on_data is not None:
            self._on_data()

    def clear(self) -> None:
        """Forgets all transforms but the static ones."""
        self._newest_ns.clear()
        self.buffer.clear()

    @guarded("a static transform could not be taken", nothing, often=True)
    def static_callback(self, data: Any) -> None:
        """Takes a ``tf2_msgs/TFMessage`` of static transforms."""
        super().static_callback(data)
        if self._on_data is not None:
            self._on_data()


def matrix_of(message: TransformStamped) -> Float64:
    """(4, 4) float64 of a transform message: ``frame_id`` from ``child_frame_id``."""
    translation, rotation = message.transform.translation, message.transform.rotation
    x, y, z, w = rotation.x, rotation.y, rotation.z, rotation.w
    scale = 2.0 / (x * x + y * y + z * z + w * w)
    xs, ys, zs = x * scale, y * scale, z * scale
    return np.array(
        [
            [1 - y * ys - z * zs, x * ys - w * zs, x * zs + w * ys, translation.x],
            [x * ys + w * zs, 1 - x * xs - z * zs, y * zs - w * xs, translation.y],
            [x * zs - w * ys, y * zs + w * xs, 1 - x * xs - y * ys, translation.z],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def frames_by_camera(cameras: Sequence[str], frames: Mapping[str, str]) -> tuple[str, ...]:
    """Optical frame of each camera, its own name where none is given."""
    return tuple(frames.get(camera) or camera for camera in cameras)
