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

"""Where the cameras and the vehicle were when the images were taken, from transforms and without ever waiting for them.

A lookup gives the poses, or says why they are not there: a final answer (the time asked for is before all that is
known, so it will never come) or one that may change, to be asked again when something new has come.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.transforms import OutsideTime, TransformError, Transforms, Unconnected, UnknownFrame
from flashocc_ros.ranges import TF_MAX_WAIT_S

Float64 = npt.NDArray[np.float64]

OTHER_CLOCK_S = 30.0
"""A stamp further than this from all transforms is of another clock: TAI is 37 s ahead, boot time decades behind."""


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
        transforms: the buffer.
        camera_frames: optical frame of each camera, in the order of the images.
        base_frame: frame of the vehicle.
        fixed_frame: frame that does not move with the vehicle; empty for none.
        wait_s: how long a set may wait for transforms.
        allow_static: without a fixed frame, take the vehicle as standing still (variants of a single frame).
        say: called with what a user should know, once each.
    """

    def __init__(
        self,
        transforms: Transforms,
        camera_frames: Sequence[str],
        base_frame: str = "base_link",
        fixed_frame: str = "odom",
        *,
        wait_s: float = TF_MAX_WAIT_S.default,
        allow_static: bool = False,
        say: Callable[[str], object] | None = None,
    ) -> None:
        self.transforms = transforms
        self.camera_frames = tuple(camera_frames)
        self.base_frame, self.fixed_frame = base_frame, fixed_frame
        self.wait_s, self.allow_static = wait_s, allow_static
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
            return Unavailable("this variant has a memory and needs a fixed frame, but there is none", "unknown", True)
        if not self._static:
            self._static = True
            name = f"no frame {self.fixed_frame!r} in tf" if self.fixed_frame else "there is no fixed frame"
            self._say(f"{name}: the vehicle is taken as standing still, ego motion between images is not compensated")
        return Poses(extrinsics, np.tile(np.eye(4), (count, 1, 1)), np.eye(4), static=True)

    def _remember(self, extrinsics: Float64) -> Float64:
        if self._extrinsics is None or not np.allclose(self._extrinsics, extrinsics, rtol=0, atol=1e-7):
            extrinsics.setflags(write=False)
            self._extrinsics = extrinsics
        return self._extrinsics

    def _look(self, wanted: Sequence[tuple[str, str, int]], waited_s: float) -> Float64 | Unavailable:
        """(M, 4, 4) of M lookups (target, source, stamp), or why the first that failed did."""
        poses = np.empty((len(wanted), 4, 4))
        late = waited_s >= self.wait_s
        for index, (target, source, stamp_ns) in enumerate(wanted):
            try:
                poses[index] = self.transforms.lookup(target, source, stamp_ns)
            except OutsideTime:
                frame = self.camera_frames[min(index, len(self.camera_frames) - 1)]
                return self._outside(target, source, stamp_ns, frame, late)
            except Unconnected as error:
                return Unavailable(f"tf does not connect {source} with {target}: {error}", "unconnected", late)
            except UnknownFrame:
                return Unavailable(f"tf has no {self._missing(target, source)}", "unknown", late)
        return poses

    def _outside(self, target: str, source: str, stamp_ns: int, frame: str, late: bool) -> Unavailable:
        """Tells "not yet" from "never": is the stamp after the latest common time of the path?"""
        asked = f"{source} -> {target} at {stamp_ns / 1e9:.3f}, the stamp of an image of {frame}"
        try:
            ahead_s = (stamp_ns - self.transforms.latest_ns(target, source)) / 1e9
        except TransformError:
            return Unavailable(f"tf has not yet brought {asked}", "future", late)  # the path is not complete yet
        clock = f"; it is {abs(ahead_s):.1f} s from what tf has: another clock?" if abs(ahead_s) > OTHER_CLOCK_S else ""
        if ahead_s > 0:
            return Unavailable(f"tf has not yet brought {asked}{clock}", "future", late)
        return Unavailable(f"tf starts after {asked}{clock}", "past", True)

    def _missing(self, target: str, source: str) -> str:
        for frame in (source, target):
            if not self.transforms.knows(frame):
                return f"frame {frame!r}"
        return f"path {source} -> {target}"
