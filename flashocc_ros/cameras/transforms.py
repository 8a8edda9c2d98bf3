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

"""Where frames are relative to each other at any time, by the rules of tf2, without ROS.

`TransformIntake` decides what of a ``tf2_msgs/TFMessage`` is used; it stands before every buffer, ours and that of
``tf2_ros``. `TransformTree` is the buffer where there is no ``tf2_ros``, and of every recording.

Rules of tf2: translations interpolate linearly and rotations by slerp between the two neighbouring samples; nothing is
extrapolated; static transforms hold for all times; samples older than the cache before the newest are forgotten.
"""

from __future__ import annotations

import bisect
import logging
import math
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.relocalisation import PoseJumps
from flashocc_ros.cameras.tf_publishers import TransformPublishers
from flashocc_ros.errors import FlashOccError
from flashocc_ros.geometry.rigid import IDENTITY, Pose, compose, interpolate, inverse, matrix, normalized
from flashocc_ros.ranges import MEMORY_MAX_SPEED_MPS, SYNC_MAX_BACKWARD_S

Float64 = npt.NDArray[np.float64]

NS_PER_S = 1_000_000_000
CACHE_S = 10.0
MAX_DEPTH = 1000
MAX_FRAMES = 5000
"""So many are kept: names come from outside, and a publisher that makes them up would fill the memory."""
MAX_WANTED = 500
"""Of the frames that cameras hang from so many more."""
MAX_NAME = 255
"""Characters of a frame."""
MAX_SAID = 100
MAX_BACKWARD_NS = round(SYNC_MAX_BACKWARD_S.default * 1e9)
"""Stamps of a transform that go back further than this are of a recording that started over."""
UNIT_TOLERANCE = 0.01  # of the squared norm of a quaternion


class TransformError(FlashOccError):
    """A lookup that gave nothing."""


class UnknownFrame(TransformError):
    """A frame that was never heard of."""


class Unconnected(TransformError):
    """Two frames of different trees, or a loop between them."""


class OutsideTime(TransformError):
    """A time outside of what is known; nothing is extrapolated."""


class StampedTransform(NamedTuple):
    """``parent_from_child`` at a time; the frames without leading slash."""

    parent: str
    child: str
    stamp_ns: int
    pose: Pose


class Transforms(Protocol):
    """A buffer of transforms."""

    def insert(self, transform: StampedTransform, static: bool) -> None:
        """Add a sample, or a transform that holds for all times."""

    def lookup(self, target: str, source: str, stamp_ns: int) -> Float64:
        """``target_from_source`` (4, 4) float64, metres.

        Raises:
            UnknownFrame, Unconnected, OutsideTime: see there.
        """

    def latest_ns(self, target: str, source: str) -> int:
        """Latest time common to the whole path; 0 when all of it is static.

        Raises:
            UnknownFrame, Unconnected, OutsideTime: see there.
        """

    def knows(self, frame: str) -> bool:
        """Whether any transform named this frame."""

    def clear(self) -> None:
        """Forget all samples; static transforms stay."""


def frame_name(name: str) -> str:
    """The name of a frame as tf2 knows it: tf1 and some drivers put a slash before it."""
    return name.lstrip("/")


class TransformIntake:
    """Feeds a buffer from tf messages: leaves out what cannot be, notices a recording that starts over.

    A looped recording would otherwise be refused as older than the buffer, or mixed with the end of the last round.
    Only frames between those in ``watched`` and their roots count for that; an unrelated one may do what it likes.

    Args:
        buffer: takes the transforms.
        say: called once per finding a user should know.
        max_speed_mps: a frame that moves faster between two samples jumped.

    Attributes:
        watched: the frames that lookups ask for, as far as known.
        jumps: how often the buffer was cleared because stamps went back.
        pose_jumps: where frames jumped.
    """

    def __init__(
        self,
        buffer: Transforms,
        say: Callable[[str], object] | None = None,
        max_speed_mps: float = MEMORY_MAX_SPEED_MPS.default,
    ) -> None:
        self.buffer = buffer
        self.watched: Collection[str] = ()
        self.jumps = 0
        self.pose_jumps = PoseJumps(max_speed_mps)
        self._say = say or logging.getLogger(__name__).warning
        self._said: set[str] = set()
        self._names: set[str] = set()
        self._full = False
        self._parents: dict[str, str] = {}
        self._moving: set[str] = set()
        self._newest_ns: dict[str, int] = {}
        self._publishers = TransformPublishers(self._tell)

    @property
    def frames(self) -> tuple[str, ...]:
        """All that transforms were taken of, sorted."""
        return tuple(sorted({*self._parents, *self._parents.values()}))

    def take(self, message: Any, static: bool) -> None:
        """A ``tf2_msgs/TFMessage`` of ``/tf_static`` (static) or ``/tf``."""
        usable = [found for found in map(self._usable, message.transforms) if found is not None]
        if not static:
            self._notice_jump(usable)
        for transform in filter(self._has_room, usable):
            self._notice_loop(transform)
            self._publishers.take(transform.parent, transform.child, transform.stamp_ns, transform.pose, static)
            self._parents[transform.child] = transform.parent
            if not static:
                self._moving.add(transform.child)
                self._newest_ns[transform.child] = max(transform.stamp_ns, self._newest_ns.get(transform.child, 0))
                self.pose_jumps.take(transform.parent, transform.child, transform.stamp_ns, transform.pose[0])
            self.buffer.insert(transform, static)

    def clear(self) -> None:
        """Forget all transforms but the static ones."""
        self._newest_ns.clear()
        self.pose_jumps.clear()
        self._publishers.clear()
        self.buffer.clear()

    def moving_parent(self, frame: str) -> str | None:
        """The nearest frame that ``frame`` moves in, usually odom; None when nothing above it moves."""
        for child in self._up(frame):
            if child in self._moving:
                return self._parents[child]
        return None

    def moves_below(self, frame: str, ancestor: str) -> bool:
        """Whether ``frame`` moves in ``ancestor``, as the odometry of some robots does in the vehicle."""
        path = self._up(frame)
        return ancestor in path and any(child in self._moving for child in path[: path.index(ancestor)])

    def path(self, target: str, source: str) -> set[str]:
        """The frames whose transforms lie between two frames.

        A single transform the other way round closes a loop, and stays known; then all of the loop counts.
        """
        up, down = self._up(source), self._up(target)
        looped = target != source and target in up and source in down
        return set(up) | set(down) if looped else set(up) ^ set(down)

    def _up(self, frame: str) -> list[str]:
        """``frame`` and its ancestors; ends where a loop closes."""
        path = {frame: None}
        while frame in self._parents and self._parents[frame] not in path:
            frame = self._parents[frame]
            path[frame] = None
        return list(path)

    def _usable(self, transform: Any) -> StampedTransform | None:
        parent, child = frame_name(transform.header.frame_id), frame_name(transform.child_frame_id)
        stamp = transform.header.stamp
        t, q = transform.transform.translation, transform.transform.rotation
        position, quaternion = (float(t.x), float(t.y), float(t.z)), (float(q.x), float(q.y), float(q.z), float(q.w))
        norm = sum(value * value for value in quaternion)
        if not parent or not child:
            problem = "a frame without name"
        elif (length := max(len(parent), len(child))) > MAX_NAME:
            problem = f"a frame whose name has {length} characters, of which {MAX_NAME} are allowed"
        elif parent == child:
            problem = "a frame that is its own parent"
        elif not all(math.isfinite(value) for value in position):
            problem = f"the translation ({', '.join(f'{value:g}' for value in position)})"
        elif not abs(norm - 1) < UNIT_TOLERANCE:
            problem = f"a quaternion of squared length {norm:g}, which must be 1"
        elif not 0 <= int(stamp.nanosec) < NS_PER_S:  # another time than was meant, and so a pose of another time
            problem = f"a stamp with {int(stamp.nanosec)} ns beside the seconds, which must be less than {NS_PER_S}"
        else:
            stamp_ns = int(stamp.sec) * NS_PER_S + int(stamp.nanosec)
            return StampedTransform(parent, child, stamp_ns, (position, normalized(quaternion)))
        shown = [name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}..." for name in (parent, child)]
        self._tell(
            f"tf: {shown[0] or '(none)'} -> {shown[1] or '(none)'} is ignored, it has {problem}; mend its publisher"
        )
        return None

    def _has_room(self, transform: StampedTransform) -> bool:
        """Whether its frames are known, or not too many; notes them if so."""
        new = {transform.parent, transform.child} - self._names
        if new and len(self._names) >= MAX_FRAMES:
            wanted = any(transform.child in self._up(frame) for frame in self.watched)
            if not wanted or len(self._names) >= MAX_FRAMES + MAX_WANTED:
                if not self._full:
                    self._tell(
                        f"tf: {MAX_FRAMES} frames are known, so {transform.parent} -> {transform.child} and further "
                        "ones are ignored unless a camera hangs from them; stop the publisher that makes up names"
                    )
                self._full = True
                return False
        self._names |= new
        return True

    def _notice_jump(self, transforms: list[StampedTransform]) -> None:
        watched = {name for frame in self.watched for name in self._up(frame)}
        for transform in transforms:
            back_ns = self._newest_ns.get(transform.child, 0) - transform.stamp_ns
            if back_ns <= MAX_BACKWARD_NS:
                continue
            if transform.child not in watched:
                self._newest_ns[transform.child] = transform.stamp_ns
                continue
            self.jumps += 1
            if self.jumps == 3:
                self._tell(
                    f"tf: stamps of {transform.parent} -> {transform.child} went back by {back_ns / 1e9:.1f} s for the "
                    "third time, and each time all transforms are forgotten; two publishers with different clocks?"
                )
            self.clear()
            return

    def _notice_loop(self, transform: StampedTransform) -> None:
        if self._parents.get(transform.child) != transform.parent and transform.child in self._up(transform.parent):
            self._tell(
                f"tf: {transform.parent} -> {transform.child} closes a loop, so nothing can be looked up through these "
                "frames; two publishers disagree which one is the parent"
            )

    def _tell(self, sentence: str) -> None:
        if sentence not in self._said and len(self._said) < MAX_SAID:
            self._said.add(sentence)
            self._say(sentence)


class TransformTree:
    """The buffer; see `Transforms`.

    Args:
        cache_s: how long samples are kept.
    """

    def __init__(self, cache_s: float = CACHE_S) -> None:
        self._cache_ns = math.inf if math.isinf(cache_s) else round(cache_s * 1e9)
        self._frames: dict[str, _Frame] = {}
        self._known: set[str] = set()

    def insert(self, transform: StampedTransform, static: bool) -> None:
        parent, child, stamp_ns, pose = transform
        frame = self._frames.get(child)
        if frame is None or frame.static != static:
            frame = self._frames[child] = _Frame(static)
        if frame.insert(stamp_ns, (parent, pose), self._cache_ns):
            self._known.update((child, parent))

    def lookup(self, target: str, source: str, stamp_ns: int) -> Float64:
        self._check_known(target, source)
        if target == source:
            return np.eye(4)
        from_source, source_error = self._climb(source, stamp_ns)
        from_target, target_error = self._climb(target, stamp_ns)
        for frame, ancestor_from_source in from_source.items():
            if frame in from_target:
                return matrix(compose(inverse(from_target[frame]), ancestor_from_source))
        error = source_error or target_error
        raise error if error is not None else Unconnected(f"{source} and {target} are of different trees")

    def latest_ns(self, target: str, source: str) -> int:
        self._check_known(target, source)
        newest = dict(self._newest_up(source))
        for frame, target_ns in self._newest_up(target):
            if frame in newest:
                return min((ns for ns in (newest[frame], target_ns) if ns is not None), default=0)
        raise Unconnected(f"{source} and {target} are of different trees")

    def knows(self, frame: str) -> bool:
        return frame in self._known

    def clear(self) -> None:
        for frame in self._frames.values():
            frame.clear()

    def _check_known(self, *frames: str) -> None:
        for frame in frames:
            if frame not in self._known:
                raise UnknownFrame(f"no frame {frame!r}")

    def _climb(self, frame: str, stamp_ns: int) -> tuple[dict[str, Pose], OutsideTime | None]:
        """Pose of ``frame`` in itself and each of its ancestors, and the error that ended the climb before the root."""
        poses = {frame: IDENTITY}
        ancestor = frame
        while ancestor in self._frames:
            try:
                parent, parent_from_ancestor = self._frames[ancestor].at(stamp_ns, ancestor)
            except OutsideTime as error:
                return poses, error
            if parent in poses or len(poses) > MAX_DEPTH:
                raise Unconnected(f"a loop of frames through {parent}")
            poses[parent] = compose(parent_from_ancestor, poses[ancestor])
            ancestor = parent
        return poses, None

    def _newest_up(self, frame: str) -> list[tuple[str, int | None]]:
        """Each ancestor with the oldest of the newest stamps on the way to it, None while all were static."""
        path: list[tuple[str, int | None]] = []
        oldest: int | None = None
        while True:
            path.append((frame, oldest))
            entry = self._frames.get(frame)
            if entry is None or not entry.stamps:
                return path
            if len(path) > MAX_DEPTH or any(frame == name for name, _ in path[:-1]):
                raise Unconnected(f"a loop of frames through {frame}")
            if not entry.static:
                oldest = entry.stamps[-1] if oldest is None else min(oldest, entry.stamps[-1])
            frame = entry.samples[-1][0]


class _Frame:
    """What is known of one frame relative to its parent: samples in order of time, or one static pose."""

    def __init__(self, static: bool) -> None:
        self.static = static
        self.stamps: list[int] = []
        self.samples: list[tuple[str, Pose]] = []  # parent and parent_from_frame

    def clear(self) -> None:
        if not self.static:
            self.stamps.clear()
            self.samples.clear()

    def insert(self, stamp_ns: int, sample: tuple[str, Pose], cache_ns: float) -> bool:
        """False when it is older than the cache."""
        if self.static:
            self.stamps, self.samples = [stamp_ns], [sample]
            return True
        if self.stamps:
            oldest_ns = max(stamp_ns, self.stamps[-1]) - cache_ns  # nothing is interpolated towards a leap ahead
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
            OutsideTime: before the first or after the last sample.
        """
        if self.static:
            return self.samples[0]
        index = bisect.bisect_right(self.stamps, stamp_ns)
        if index and self.stamps[index - 1] == stamp_ns:
            return self.samples[index - 1]
        if 0 < index < len(self.stamps):
            (parent, start), (next_parent, end) = self.samples[index - 1], self.samples[index]
            if parent != next_parent:
                return parent, start
            ratio = (stamp_ns - self.stamps[index - 1]) / (self.stamps[index] - self.stamps[index - 1])
            return parent, interpolate(start, end, ratio)
        raise OutsideTime(f"frame {name} is not known at {stamp_ns / 1e9:.3f}")
