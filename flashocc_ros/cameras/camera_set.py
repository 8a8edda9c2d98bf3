"""One image of every camera with its calibration and poses: what the pipeline takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.jpeg import decode_jpeg, jpeg_size
from flashocc_ros.errors import InputError
from flashocc_ros.structures import CameraRig

Float64 = npt.NDArray[np.float64]

Picture: TypeAlias = npt.NDArray[np.uint8] | bytes
"""RGB (H, W, 3) uint8, or a JPEG file."""


@dataclass(frozen=True, eq=False)
class CameraSet:
    """Images of one trigger, checked.

    Attributes:
        images: N pictures (H, W, 3) uint8, RGB, free of lens distortion, in the order of ``rig.names``; sizes may
            differ. A JPEG file as bytes is decoded by the engine, on the GPU where it can.
        rig: calibration of the N cameras for pictures of these sizes.
        odom_from_base: (N, 4, 4) float64, vehicle pose in a fixed frame at each picture's own stamp; identities
            without odometry.
        stamp_ns: key stamp, nanoseconds.
        stamps_ns: (N,) int64, stamp of each picture; None takes the key stamp for all.
        key_pose: (4, 4) float64, vehicle pose at the key stamp: the frame of the result. None takes camera 0's.
        epoch: a set of another epoch than the one before does not belong to its drive: the past is forgotten.
        image_sizes: N (height, width).

    Raises:
        InputError: something in it cannot be processed.
    """

    images: Sequence[Picture]
    rig: CameraRig
    odom_from_base: Float64
    stamp_ns: int
    stamps_ns: Any = None
    key_pose: Any = None
    epoch: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.rig, CameraRig):
            raise InputError(f"rig is {type(self.rig).__name__}, needs a CameraRig")
        count = self.rig.num_cameras
        self._check_images()
        if (
            isinstance(self.stamp_ns, bool)
            or not isinstance(self.stamp_ns, int | np.integer)
            or not 0 <= self.stamp_ns < 2**63
        ):
            raise InputError(f"stamp_ns is {self.stamp_ns!r}, needs a non-negative integer of nanoseconds")
        stamps = np.full(count, self.stamp_ns, np.int64) if self.stamps_ns is None else np.asarray(self.stamps_ns)
        if stamps.shape != (count,) or stamps.dtype.kind not in "iu":
            raise InputError(f"stamps_ns is {stamps.dtype} {stamps.shape}, needs {count} integers: one per camera")
        poses = _poses(self.odom_from_base, (count, 4, 4), "odom_from_base")
        key = poses[0] if self.key_pose is None else _poses(self.key_pose, (4, 4), "key_pose")
        for name, value in (
            ("stamp_ns", int(self.stamp_ns)),
            ("stamps_ns", stamps.astype(np.int64)),
            ("odom_from_base", poses),
            ("key_pose", key),
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

    @property
    def names(self) -> tuple[str, ...]:
        """The N cameras."""
        return tuple(self.rig.names)

    @property
    def pictures(self) -> list[npt.NDArray[np.uint8]]:
        """The images as arrays; JPEG files are decoded at each call."""
        return [decode_jpeg(image) if isinstance(image, bytes) else image for image in self.images]

    @property
    def image_sizes(self) -> tuple[tuple[int, int], ...]:
        """(height, width) of each picture; of a JPEG file from its header."""
        return tuple(
            jpeg_size(image) if isinstance(image, bytes) else (image.shape[0], image.shape[1]) for image in self.images
        )


def _poses(value: Any, shape: tuple[int, ...], name: str) -> Float64:
    try:
        poses = np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is no array of numbers: {error}") from error
    if poses.shape != shape:
        raise InputError(f"{name} has shape {poses.shape}, needs {shape}: one 4x4 pose per image stamp")
    rotation = poses[..., :3, :3]
    if not np.isfinite(poses).all():
        raise InputError(f"{name} holds a value that is not finite; check the odometry")
    if not np.allclose(rotation @ np.swapaxes(rotation, -1, -2), np.eye(3), atol=1e-3):
        raise InputError(f"{name} is not a rigid transform: a rotation part is not orthonormal within 1e-3")
    return poses
