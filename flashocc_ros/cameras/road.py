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

"""The one road from images, calibrations and transforms to a set that can be decoded.

Live topics and recordings go through it alike: `ros/inputs.py` feeds it from DDS, `bags/camera_sets.py` from a
recording in its order, with the time of recording as the clock. So a recording gives the very sets, poses and refusals
that the node gives for the same messages.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.image_set import CameraCounters, ImageSet, SetCounters
from flashocc_ros.cameras.poses import Poses, PoseSource, Unavailable
from flashocc_ros.cameras.transforms import TransformIntake, frame_name
from flashocc_ros.ranges import TF_MAX_WAIT_S

MAX_NAMED = 20
"""Frames in a sentence."""


class Synchronizer(Protocol):
    """What groups images into sets; see `AnchorSynchronizer`."""

    cameras: tuple[str, ...]
    anchor: str
    epoch: int
    counters: dict[str, CameraCounters]
    sets: SetCounters

    @property
    def problem(self) -> str: ...

    def add(self, camera: str, stamp_ns: int, item: Any, now_ns: int) -> list[ImageSet[Any]]: ...

    def poll(self, now_ns: int) -> list[ImageSet[Any]]: ...

    def next_deadline_ns(self) -> int | None: ...

    def waiting(self, camera: str) -> int: ...

    def reset(self) -> None: ...

    def describe(self) -> str: ...


@dataclass(frozen=True, eq=False)
class PosedSet:
    """A complete set with all that decoding needs; N cameras.

    Attributes:
        names: the cameras.
        images: their messages; None for a masked camera.
        infos: their ``sensor_msgs/CameraInfo``.
        poses: extrinsics and vehicle poses.
        stamp_ns: key stamp.
        stamps_ns: (N,) int64, stamp of each image.
        epoch: changes when the past no longer belongs to this set.
        completed_ns: when the last image came, on the clock of the road.
        pose_epoch: changes where the vehicle's pose jumped.
    """

    names: tuple[str, ...]
    images: tuple[Any, ...]
    infos: tuple[Any, ...]
    poses: Poses
    stamp_ns: int
    stamps_ns: npt.NDArray[np.int64]
    epoch: int
    completed_ns: int
    pose_epoch: int = 0

    @property
    def masked(self) -> tuple[str, ...]:
        """The cameras that this set does without."""
        return tuple(name for name, image in zip(self.names, self.images, strict=True) if image is None)

    @property
    def spread_ns(self) -> int:
        """Time between the first and the last image."""
        return int(self.stamps_ns.max() - self.stamps_ns.min())


@dataclass(frozen=True)
class Refusal:
    """A complete set that cannot be used: no ``camera_info``, no ``transform``, or a ``reset`` while it waited."""

    reason: str
    sentence: str
    stamp_ns: int


@dataclass
class _Waiting:
    """A complete set that waits for its calibration and transforms; ``polls`` counts how often it was looked at."""

    images: ImageSet[Any]
    completed_ns: int
    polls: int = 0


class CameraRoad:
    """Messages in, posed sets out. Not thread safe; never blocks.

    Args:
        sync: groups the images.
        intake: whose buffer the poses are looked up in; its messages are given to it, not to the road.
        base_frame, fixed_frame, allow_static, say: see `PoseSource`.
        frames: optical frame by camera; others are named by their CameraInfo, their image, or as the camera.
        max_wait_s: how long a complete set may wait for CameraInfo and transforms.
        least_polls: how often a set is looked at before its time is up, for a machine so busy that messages lie unread.

    Attributes:
        infos: the latest CameraInfo of each camera.
        completed: how many sets the synchroniser has handed out.
    """

    def __init__(
        self,
        sync: Synchronizer,
        intake: TransformIntake,
        *,
        base_frame: str = "base_link",
        fixed_frame: str = "odom",
        frames: Mapping[str, str] | None = None,
        max_wait_s: float = TF_MAX_WAIT_S.default,
        allow_static: bool = True,
        least_polls: int = 0,
        say: Callable[[str], object] | None = None,
    ) -> None:
        self.sync, self.intake = sync, intake
        self.infos: dict[str, Any] = {}
        self._image_frames: dict[str, str] = {}
        self.completed = 0
        self._base_frame, self._fixed_frame = frame_name(base_frame), frame_name(fixed_frame)
        self._frames = dict(frames or {})
        self._max_wait_ns, self._least_polls = round(max_wait_s * 1e9), least_polls
        self._allow_static = allow_static
        self._say = say or logging.getLogger(__name__).warning
        self._waiting: deque[_Waiting] = deque()
        self._poses: PoseSource | None = None
        # The cameras' own frames may be known only later; they hang from the base, so its path tells of a restart.
        intake.watched = (self._base_frame, *map(frame_name, filter(None, self._frames.values())))

    # ---------------------------------------------------------------- input
    def add_image(
        self, camera: str, stamp_ns: int, message: Any, now_ns: int, frame: str = ""
    ) -> list[PosedSet | Refusal]:
        """Takes an image of the ``frame_id`` ``frame``; a stamp of zero or below is counted by the synchroniser."""
        self._image_frames[camera] = frame
        epoch = self.sync.epoch
        finished = self.sync.add(camera, stamp_ns, message, now_ns)
        forgotten = self._forget() if self.sync.epoch != epoch else []
        return forgotten + self._take(finished, now_ns)

    def add_info(self, camera: str, info: Any) -> None:
        """Takes a CameraInfo; the latest counts."""
        self.infos[camera] = info

    def poll(self, now_ns: int) -> list[PosedSet | Refusal]:
        """What time has finished; call it when ``next_deadline_ns`` has come, or often while ``busy``."""
        for waiting in self._waiting:
            waiting.polls += 1
        return self._take(self.sync.poll(now_ns), now_ns)

    def transforms_changed(self, now_ns: int) -> list[PosedSet | Refusal]:
        """What new transforms have finished."""
        return self._take([], now_ns) if self._waiting else []

    def reset(self) -> list[Refusal]:
        """Forgets images, offsets and the sets that wait, which are returned as refused."""
        self.sync.reset()
        return self._forget()

    # ---------------------------------------------------------------- time
    @property
    def busy(self) -> bool:
        """True while time alone can finish something."""
        return bool(self._waiting) or self.sync.next_deadline_ns() is not None

    def next_deadline_ns(self) -> int | None:
        """When ``poll`` has something to do next; None when nothing waits."""
        deadlines = [self.sync.next_deadline_ns()]
        if self._waiting:
            deadlines.append(self._waiting[0].completed_ns + self._max_wait_ns)
        return min((ns for ns in deadlines if ns is not None), default=None)

    # ---------------------------------------------------------------- settling
    def _forget(self) -> list[Refusal]:
        refused = [Refusal("reset", "it waited while all was forgotten", w.images.key_stamp_ns) for w in self._waiting]
        self._waiting.clear()
        return refused

    def _take(self, finished: list[ImageSet[Any]], now_ns: int) -> list[PosedSet | Refusal]:
        self.completed += len(finished)
        self._waiting.extend(_Waiting(images, now_ns) for images in finished)
        settled: list[PosedSet | Refusal] = []
        while self._waiting:
            outcome = self._settle(self._waiting[0], now_ns)
            if outcome is None:
                break
            self._waiting.popleft()
            settled.append(outcome)
        return settled

    def _settle(self, waiting: _Waiting, now_ns: int) -> PosedSet | Refusal | None:
        """The set with its poses, or why it is refused; None while it has to wait."""
        images, names = waiting.images, self.sync.cameras
        waited_ns = now_ns - waiting.completed_ns if waiting.polls >= self._least_polls else 0
        unknown = [name for name in names if name not in self.infos]
        if unknown:
            if waited_ns < self._max_wait_ns:
                return None
            return Refusal("camera_info", f"no CameraInfo of {', '.join(unknown)}", images.key_stamp_ns)
        answer = self._pose_source().lookup(images.stamps_ns, images.key_stamp_ns, waited_ns / 1e9)
        if isinstance(answer, Unavailable):
            return Refusal("transform", self._explained(answer), images.key_stamp_ns) if answer.final else None
        stamps_ns = (*images.stamps_ns, images.key_stamp_ns)
        path = () if answer.static else self.intake.path(self._fixed_frame, self._base_frame)
        if jumped := self.intake.pose_jumps.inside(path, min(stamps_ns), max(stamps_ns)):
            sentence = f"{jumped} jumps in {self._fixed_frame} between the images of a set"
            return Refusal("transform", f"{sentence}; if often, mend the odometry", images.key_stamp_ns)
        return PosedSet(
            names,
            images.items,
            tuple(self.infos[name] for name in names),
            answer,
            images.key_stamp_ns,
            np.array(images.stamps_ns, np.int64),
            images.epoch,
            waiting.completed_ns,
            self.intake.pose_jumps.passed(path, min(stamps_ns)),
        )

    def _explained(self, answer: Unavailable) -> str:
        """What is missing, and what is there instead."""
        if answer.cause != "unknown":
            return answer.reason
        known = self.intake.frames
        there = ", ".join(known[:MAX_NAMED]) + ", ..." * (len(known) > MAX_NAMED) if known else "none at all"
        return f"{answer.reason}; frames there: {there}"

    def _pose_source(self) -> PoseSource:
        """Looks up the frames that the latest CameraInfos and images name."""
        frames = camera_frames(self.sync.cameras, self.infos, self._image_frames, self._frames)
        if self._poses is None or self._poses.camera_frames != frames:
            self.intake.watched = (*frames, self._base_frame)
            self._poses = PoseSource(
                self.intake.buffer,
                frames,
                self._base_frame,
                self._fixed_frame,
                wait_s=self._max_wait_ns / 1e9,
                allow_static=self._allow_static,
                say=self._say,
            )
        return self._poses


def camera_frames(
    cameras: Sequence[str], infos: Mapping[str, Any], images: Mapping[str, str], frames: Mapping[str, str]
) -> tuple[str, ...]:
    """Optical frame of each camera: the one given for it, else that of its CameraInfo, of its image, or its own name.

    Many drivers leave the frame of one of the two messages empty.
    """
    return tuple(
        frame_name(frames.get(name) or infos[name].header.frame_id or images.get(name) or name) for name in cameras
    )
