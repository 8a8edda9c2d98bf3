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

"""One image of every camera with its calibration and poses: what the pipeline takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.jpeg import decode_jpeg, jpeg_size
from flashocc_ros.cameras.rig_check import check_pictures
from flashocc_ros.errors import InputError
from flashocc_ros.structures import CameraRig, float64_array, why_not_rigid

MAX_TRAVEL_M = 1e8
"""No vehicle is further from the origin of its odometry, also where that is the centre of the earth."""

Float64 = npt.NDArray[np.float64]

Picture: TypeAlias = npt.NDArray[np.uint8] | bytes
"""RGB (H, W, 3) uint8, or a JPEG file."""


def has_odometry(key_pose: Float64) -> bool:
    """Whether a vehicle pose comes from odometry: sets without any have identities, which no real one is for long."""
    return not np.array_equal(key_pose, np.eye(4))


@dataclass(frozen=True, eq=False)
class CameraSet:
    """Images of one trigger, checked.

    Attributes:
        images: N pictures (H, W, 3) uint8, RGB, as the models of ``rig`` take them, in the order of ``rig.names``;
            sizes may differ. A JPEG file as bytes is decoded by the engine, on the GPU where it can.
        rig: calibration of the N cameras for pictures of these sizes.
        odom_from_base: (N, 4, 4) float64, vehicle pose in a fixed frame at each picture's own stamp; identities
            without odometry.
        stamp_ns: key stamp, nanoseconds.
        stamps_ns: (N,) int64, stamp of each picture; None takes the key stamp for all.
        key_pose: (4, 4) float64, vehicle pose at the key stamp: the frame of the result. None takes camera 0's.
        epoch: a set of another epoch than the one before does not belong to its drive: the past is forgotten.
        pose_epoch: differs from that of the set before where the vehicle's pose jumped: the past is forgotten.
        image_sizes: N (height, width) in pixels; not given.

    Raises:
        InputError: something in it cannot be processed.
        ImageError: the header of a JPEG file is damaged.
    """

    images: Sequence[Picture]
    rig: CameraRig
    odom_from_base: Float64
    stamp_ns: int
    stamps_ns: Any = None
    key_pose: Any = None
    epoch: int = 0
    pose_epoch: int = 0
    image_sizes: tuple[tuple[int, int], ...] = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.rig, CameraRig):
            raise InputError(f"rig is {type(self.rig).__name__}, needs a CameraRig")
        count = self.rig.num_cameras
        self._check_images()
        image_sizes = tuple(_image_size(image) for image in self.images)
        check_pictures(self.rig, image_sizes)
        if (
            isinstance(self.stamp_ns, bool)
            or not isinstance(self.stamp_ns, int | np.integer)
            or not 0 <= self.stamp_ns < 2**63
        ):
            raise InputError(f"stamp_ns is {self.stamp_ns!r}, needs a non-negative integer of nanoseconds")
        stamps = np.full(count, self.stamp_ns, np.int64) if self.stamps_ns is None else _stamps(self.stamps_ns, count)
        poses = float64_array(self.odom_from_base, (count, 4, 4), "odom_from_base")
        key = poses[0] if self.key_pose is None else float64_array(self.key_pose, (4, 4), "key_pose")
        _check_poses("odom_from_base", poses, [f" (camera {name})" for name in self.names])
        _check_poses("key_pose", key[None], [""])
        for name, value in (
            ("stamp_ns", int(self.stamp_ns)),
            ("stamps_ns", stamps),
            ("odom_from_base", poses),
            ("key_pose", key),
            ("image_sizes", image_sizes),
        ):
            object.__setattr__(self, name, value)

    def _check_images(self) -> None:
        images, rig = self.images, self.rig
        if not isinstance(images, Sequence | np.ndarray) or isinstance(images, bytes | str):
            raise InputError(f"images are {type(images).__name__}, needs a list of one picture per camera")
        if len(images) != rig.num_cameras:
            raise InputError(f"got {len(images)} images for {rig.num_cameras} cameras {list(rig.names)}")
        for name, image in zip(rig.names, images, strict=True):
            if isinstance(image, bytes):
                continue
            if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
                raise InputError(f"camera {name}: the image is {got}, needs uint8 (H, W, 3) RGB")
            if image.size == 0:
                raise InputError(f"camera {name}: an image of {image.shape[1]}x{image.shape[0]} pixels is empty")

    @property
    def names(self) -> tuple[str, ...]:
        """The N cameras."""
        return tuple(self.rig.names)

    @property
    def pictures(self) -> list[npt.NDArray[np.uint8]]:
        """The images as arrays; JPEG files are decoded at each call."""
        return decoded(self.images)


def masked_picture(size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """What takes the place of a picture (H, W) that is missing: black."""
    return np.zeros((*size, 3), np.uint8)


def _image_size(image: Picture) -> tuple[int, int]:
    """Of a JPEG file from its header."""
    return jpeg_size(image) if isinstance(image, bytes) else (image.shape[0], image.shape[1])


def _stamps(value: Any, count: int) -> npt.NDArray[np.int64]:
    try:
        stamps = np.asarray(value)
    except ValueError as error:  # ragged
        raise InputError(f"stamps_ns is {value!r}, needs {count} integers: one per camera") from error
    if stamps.shape != (count,) or stamps.dtype.kind not in "iu":
        raise InputError(f"stamps_ns is {stamps.dtype} {stamps.shape}, needs {count} integers: one per camera")
    if any(not 0 <= int(stamp) < 2**63 for stamp in stamps):
        raise InputError(f"stamps_ns reach from {stamps.min()} to {stamps.max()} ns, need to be 0 to 2^63 - 1 ns")
    return stamps.astype(np.int64)


def _check_poses(what: str, poses: Float64, whose: Sequence[str]) -> None:
    if not np.isfinite(poses).all():
        raise InputError(f"{what} holds a value that is not finite; check the odometry")
    for pose, owner in zip(poses, whose, strict=True):
        if why := why_not_rigid(pose, MAX_TRAVEL_M):
            raise InputError(f"{what} {why}{owner}")


def decoded(images: Sequence[Picture]) -> list[npt.NDArray[np.uint8]]:
    """All pictures as arrays."""
    return [decode_jpeg(image) if isinstance(image, bytes) else image for image in images]
