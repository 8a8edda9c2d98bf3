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

"""The messages of the rig, and the bundle of one trigger that faults change."""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, CompressedImage
from tf2_msgs.msg import TFMessage

from benchmarks.soak.scene import PICTURES, SPEED_MPS, Pictures, Scene, base_from_camera, rig
from flashocc_ros.ros.stamps import NS_PER_S, make_header

TF_PERIOD_S = 0.05
ARRIVAL_S = 0.03
"""From a shutter to its message."""

Event = tuple[float, Any]
"""Seconds after the trigger, and a message, or bytes in its place."""

RIG = rig()
NAMES: tuple[str, ...] = tuple(RIG.cameras.names)
ANCHOR = NAMES[0]
DELAY_S = {name: float(delay) for name, delay in zip(NAMES, RIG.delays_s, strict=True)}


def image(camera: str, stamp_ns: int, data: bytes, image_format: str = "jpeg") -> CompressedImage:
    """A picture file."""
    return CompressedImage(
        header=make_header(f"{camera}_optical", stamp_ns), format=image_format, data=array("B", data)
    )


def info(camera: str, stamp_ns: int, **changes: Any) -> CameraInfo:
    """The right calibration but for ``changes``."""
    height, width = RIG.image_size
    k = np.asarray(RIG.cameras.intrinsics[NAMES.index(camera)]).ravel().tolist()
    fields = {"height": height, "width": width, "k": k} | changes
    return CameraInfo(header=make_header(f"{camera}_optical", stamp_ns), **fields)


def transform(
    parent: str, child: str, stamp_ns: int, xyz: Sequence[float] = (0, 0, 0), q: Sequence[float] = (0, 0, 0, 1)
) -> TransformStamped:
    """One transform; the stamp may be one that no clock shows."""
    stamped = TransformStamped(header=make_header(parent, stamp_ns), child_frame_id=child)
    stamped.transform = Transform(
        translation=Vector3(**dict(zip("xyz", map(float, xyz), strict=True))),
        rotation=Quaternion(**dict(zip("xyzw", map(float, q), strict=True))),
    )
    return stamped


def odometry(stamp_ns: int, ahead_m: float = 0.0) -> TFMessage:
    """The vehicle, straight ahead at a steady speed."""
    x = (stamp_ns % (10**6 * NS_PER_S)) / NS_PER_S * SPEED_MPS + ahead_m
    return TFMessage(transforms=[transform("odom", "base_link", stamp_ns, (x, 0, 0))])


def mounting(moved: tuple[str, float] = ("", 0.0)) -> TFMessage:
    """Where the cameras are."""
    transforms = []
    for name, pose in base_from_camera(moved).items():
        q = Rotation.from_matrix(pose[:3, :3]).as_quat()
        transforms.append(transform("base_link", f"{name}_optical", 1, pose[:3, 3], q))
    return TFMessage(transforms=transforms)


@dataclass
class Shot:
    """All messages of one trigger, before they are sent; a fault changes them and says what a result may be.

    Attributes:
        index: number of the trigger since the fault began; ``triggers``: how many it lasts.
        stamp_ns: key stamp. picture: number of the street. period_s: to the next trigger.
        camera: the victim, never the anchor, the same during a fault.
        expected: what a result may show; empty: there must be none.
        may_lack: cameras that a result may do without.
        also_before: what the result of the trigger before may show, too.
        others: further triggers before the next, by key stamp.
    """

    pictures: Pictures
    index: int
    triggers: int
    stamp_ns: int
    picture: int
    period_s: float
    camera: str
    random: random.Random
    images: dict[str, list[Event]] = field(default_factory=dict)
    infos: dict[str, list[Event]] = field(default_factory=dict)
    tf: list[Event] = field(default_factory=list)
    static: list[TFMessage] = field(default_factory=list)
    expected: list[Scene] = field(default_factory=list)
    may_lack: set[str] = field(default_factory=set)
    also_before: list[Scene] = field(default_factory=list)
    others: dict[int, list[Scene]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.at(self.stamp_ns, self.picture)

    def at(self, stamp_ns: int, picture: int) -> None:
        """Make all messages for another stamp and street."""
        self.stamp_ns, self.picture = stamp_ns, picture % PICTURES
        self.images = {name: [(self.due_s(name), self.shown(name))] for name in NAMES}
        self.infos = {name: [(self.due_s(name) - 0.01, info(name, self.stamp_of(name)))] for name in NAMES}
        self.move(0.0)
        self.expected = [Scene(self.picture)]

    def move(self, ahead_m: float) -> None:
        """Make the odometry of this period, with the vehicle further ahead."""
        samples = round(self.period_s / TF_PERIOD_S)
        step_ns = round(TF_PERIOD_S * NS_PER_S)
        self.tf = [
            (number * TF_PERIOD_S, odometry(self.stamp_ns + (number - 1) * step_ns, ahead_m))
            for number in range(samples)
        ]

    def more(self, after_s: float) -> None:
        """One more complete trigger between this one and the next; it shows the same street."""
        later_ns = self.stamp_ns + round(after_s * NS_PER_S)
        for name in NAMES:
            stamp_ns = self.stamp_of(name) + round(after_s * NS_PER_S)
            self.images[name].append((self.due_s(name) + after_s, self.shown(name, stamp_ns)))
        self.others[later_ns] = [Scene(self.picture)]

    # ---------------------------------------------------------------- parts
    def due_s(self, camera: str) -> float:
        """When its image comes, after the trigger."""
        return DELAY_S[camera] + ARRIVAL_S

    def stamp_of(self, camera: str) -> int:
        """When its shutter opens."""
        return self.stamp_ns + round(DELAY_S[camera] * NS_PER_S)

    def shown(self, camera: str, stamp_ns: int | None = None, later: int = 0) -> CompressedImage:
        """What a camera sees, ``later`` triggers on; with another stamp if given."""
        return image(camera, self.stamp_of(camera) if stamp_ns is None else stamp_ns, self.jpeg(camera, later))

    def jpeg(self, camera: str, later: int = 0) -> bytes:
        """The file of a camera's picture, or of that ``later`` triggers on."""
        return self.pictures(self.picture + later, camera)
