"""Real frames for exports: the rig a fused graph is sized for and the inputs int8 scales are measured on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.bags.camera_sets import CameraSet, read_sets
from flashocc_ros.data.folder import FolderSet, ImageFolder
from flashocc_ros.errors import ConfigError
from flashocc_ros.geometry.lift import LiftTable, lift_table
from flashocc_ros.pipeline.preprocess import image_transform
from flashocc_ros.structures import CameraRig
from flashocc_ros.variants import Variant

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


def first_frame(path: Path) -> Frame:
    """The first frame of ``read_frames``, its calibration checked against its pictures.

    Raises:
        ConfigError: there is none, or ``check_rig`` says so.
    """
    for frame in read_frames(path):
        check_rig(frame, path)
        return frame
    raise ConfigError(f"{path} holds no complete frame; record at least one picture of every camera")


def check_rig(frame: Frame, path: Path) -> None:
    """Refuse pictures that are not those of their calibration: scales measured on them would be of another rig.

    Raises:
        ConfigError: a principal point lies outside its picture.
    """
    for name, image, matrix in zip(frame.rig.names, frame.images, frame.rig.intrinsics, strict=True):
        height, width = image.shape[:2]
        x, y = matrix[0, 2], matrix[1, 2]
        if not (0 < x < width and 0 < y < height):
            raise ConfigError(
                f"{path}: the principal point ({x:.0f}, {y:.0f}) of camera {name} lies outside its picture of "
                f"{width}x{height}: the pictures are of another rig or were scaled; give the K of these pictures"
            )


def check_cameras(frame: Frame, path: Path, cameras: int) -> None:
    """Refuse frames of a vehicle with another number of cameras.

    Raises:
        ConfigError: there are more or fewer than ``cameras``.
    """
    if frame.rig.num_cameras != cameras:
        raise ConfigError(
            f"{path} is of a rig with {frame.rig.num_cameras} cameras, the engine is for {cameras}: calibrate on a "
            f"recording of the vehicle itself, or give --cameras {frame.rig.num_cameras}"
        )


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
    """The lift table of a vehicle that does not move while its cameras, all of one picture size, fire."""
    return _table(variant, rig, [source_hw] * rig.num_cameras)


def frame_table(variant: Variant, frame: Frame) -> LiftTable:
    """The same for the pictures of a frame, which may differ in size."""
    return _table(variant, frame.rig, [image.shape[:2] for image in frame.images])


def _table(variant: Variant, rig: CameraRig, sizes: Sequence[tuple[int, int]]) -> LiftTable:
    transforms = [image_transform(size, variant) for size in sizes]
    rotation, translation = np.stack([t.post_rot for t in transforms]), np.stack([t.post_tran for t in transforms])
    return lift_table(variant, rig.base_from_camera, rig.intrinsics, rotation, translation, np.eye(3))


def record_feeds(
    backend: OnnxBackend, path: Path, max_frames: int = 32, *, cameras: int | None = None
) -> dict[str, Feeds]:
    """Run a float32 backend over frames and keep what each graph was fed with.

    Args:
        backend: opened on the float32 export; its ``observer`` is used.
        path: see ``read_frames``.
        max_frames: frames spread no further than the first of them.
        cameras: how many the vehicle has; None takes any number.

    Returns:
        Inputs by graph name, one dict of arrays per run.

    Raises:
        ConfigError: there is no frame, or it is of another rig.
    """
    from flashocc_ros.predictor import Predictor

    feeds: dict[str, Feeds] = {}
    predictor = Predictor(backend.variant, backend=backend)

    def keep(graph: str, inputs: dict[str, npt.NDArray[Any]]) -> None:
        # Not copied: inputs are made anew for every frame or, as past maps, are copies already and shared by many.
        feeds.setdefault(graph, []).append(dict(inputs))

    backend.observer = keep
    try:
        for frame in islice(read_frames(path), max_frames):
            check_rig(frame, path)
            if cameras is not None:
                check_cameras(frame, path, cameras)
            predictor(frame.images, frame.rig, frame.odom_from_base, frame.stamp_ns)
    finally:
        backend.observer = None
    if not feeds:
        raise ConfigError(f"{path} holds no complete frame to calibrate on; record at least one")
    return feeds
