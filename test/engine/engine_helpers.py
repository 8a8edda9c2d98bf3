"""Rigs, tables and features the engine tests share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flashocc_ros.geometry.lift import LiftTable, lift_table
from flashocc_ros.model.variants import Variant
from flashocc_ros.preprocess import image_transform
from flashocc_ros.structures import CameraRig

SOURCE_HW = (900, 1600)


def ring_rig(count: int = 6, yaw_offset_rad: float = 0.0) -> CameraRig:
    """``count`` level cameras of 65 degrees, 1.5 m up, looking outwards at even angles."""
    optical = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    poses = np.tile(np.eye(4), (count, 1, 1))
    for pose, yaw in zip(poses, yaw_offset_rad + np.arange(count) * 2 * np.pi / count, strict=True):
        turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        pose[:3, :3] = turn @ optical
        pose[:3, 3] = (1.0 + 0.5 * np.cos(yaw), 0.5 * np.sin(yaw), 1.5)
    intrinsic = np.array([[1260.0, 0, 800], [0, 1260, 450], [0, 0, 1]])
    return CameraRig([f"cam{i}" for i in range(count)], np.tile(intrinsic, (count, 1, 1)), poses)


def rig_table(variant: Variant, rig: CameraRig) -> LiftTable:
    """The lift table of a standing vehicle."""
    transform = image_transform(SOURCE_HW, variant)
    count = rig.num_cameras
    return lift_table(
        variant,
        rig.base_from_camera,
        rig.intrinsics,
        np.tile(transform.post_rot, (count, 1, 1)),
        np.tile(transform.post_tran, (count, 1)),
        np.eye(3),
    )


def random_features(
    table: LiftTable, channels: int, seed: int = 0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A depth distribution (N, D, fH, fW) that sums to one over D, and a context (N, C, fH, fW)."""
    rng = np.random.default_rng(seed)
    logits = np.exp(rng.standard_normal(table.frustum_shape).astype(np.float32))
    cameras, _, height, width = table.frustum_shape
    context = rng.standard_normal((cameras, channels, height, width)).astype(np.float32)
    return logits / logits.sum(1, keepdims=True), context
