"""Real frames for exports: the rig a fused graph is sized for and the inputs int8 scales are measured on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.bags.camera_sets import CameraSet, read_sets
from flashocc_ros.data.folder import FolderSet, ImageFolder
from flashocc_ros.errors import ConfigError
from flashocc_ros.geometry.lift import LiftTable, lift_table
from flashocc_ros.model.variants import Variant
from flashocc_ros.preprocess import image_transform
from flashocc_ros.structures import CameraRig

if TYPE_CHECKING:
    from flashocc_ros.engine.onnx_backend import OnnxBackend

Frame = CameraSet | FolderSet
Feeds = list[dict[str, npt.NDArray[Any]]]

SOURCE_HW = (900, 1600)
CALIBRATION_FILE = "calibration.yaml"


def read_frames(path: Path) -> Iterator[Frame]:
    """Camera sets of a rosbag2, of a folder as ``data.folder`` describes it, or of several such folders in one.

    Raises:
        ConfigError: the path holds neither.
        BagError, InputError: a recording or a folder is damaged.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist; give a rosbag2 or a folder with {CALIBRATION_FILE} and pictures")
    single = (path / CALIBRATION_FILE).is_file()
    folders = [path] if single else sorted(file.parent for file in path.glob(f"*/{CALIBRATION_FILE}"))
    if folders:
        for folder in folders:
            yield from ImageFolder(folder)
    elif path.is_file() or (path / "metadata.yaml").is_file():
        yield from read_sets(path)
    else:
        raise ConfigError(
            f"{path} is no rosbag2 (no metadata.yaml) and holds no {CALIBRATION_FILE}; pictures need their calibration"
        )


def frame_rig(path: Path) -> CameraRig:
    """The cameras of the first frame."""
    return next(read_frames(path)).rig


def nominal_rig(cameras: int) -> CameraRig:
    """Level cameras of 65 degrees, 1.5 m up, looking outwards at even angles; for pictures of 1600x900."""
    optical = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    poses = np.tile(np.eye(4), (cameras, 1, 1))
    for pose, yaw in zip(poses, np.arange(cameras) * 2 * np.pi / cameras, strict=True):
        turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        pose[:3, :3] = turn @ optical
        pose[:3, 3] = (1.0 + 0.5 * np.cos(yaw), 0.5 * np.sin(yaw), 1.5)
    intrinsic = np.array([[1260.0, 0, SOURCE_HW[1] / 2], [0, 1260, SOURCE_HW[0] / 2], [0, 0, 1]])
    return CameraRig([f"camera_{i}" for i in range(cameras)], np.tile(intrinsic, (cameras, 1, 1)), poses)


def standing_table(variant: Variant, rig: CameraRig, source_hw: tuple[int, int] = SOURCE_HW) -> LiftTable:
    """The lift table of a vehicle that does not move while its cameras fire."""
    transform = image_transform(source_hw, variant)
    count = rig.num_cameras
    return lift_table(
        variant,
        rig.base_from_camera,
        rig.intrinsics,
        np.tile(transform.post_rot, (count, 1, 1)),
        np.tile(transform.post_tran, (count, 1)),
        np.eye(3),
    )


def record_feeds(backend: OnnxBackend, path: Path, max_frames: int = 32) -> dict[str, Feeds]:
    """Run a float32 backend over frames and keep what each graph was fed with.

    Args:
        backend: opened on the float32 export; its ``observer`` is used.
        path: see ``read_frames``.
        max_frames: frames spread no further than the first of them.

    Returns:
        Inputs by graph name, one dict of arrays per run.

    Raises:
        ConfigError: there is no frame.
    """
    from flashocc_ros.predictor import Predictor

    feeds: dict[str, Feeds] = {}
    predictor = Predictor(backend.variant, backend=backend)

    def keep(graph: str, inputs: dict[str, npt.NDArray[Any]]) -> None:
        feeds.setdefault(graph, []).append({name: array.copy() for name, array in inputs.items()})

    backend.observer = keep
    try:
        for frame in islice(read_frames(path), max_frames):
            predictor(frame.images, frame.rig, frame.odom_from_base, frame.stamp_ns)
    finally:
        backend.observer = None
    if not feeds:
        raise ConfigError(f"{path} holds no complete frame to calibrate on; record at least one")
    return feeds
