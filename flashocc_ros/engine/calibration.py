"""Real frames for exports: the rig a fused graph is sized for and the inputs int8 scales are measured on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.bags.camera_sets import CameraSet, read_sets
from flashocc_ros.errors import BagError, ConfigError
from flashocc_ros.geometry.lift import LiftTable, lift_table
from flashocc_ros.model.variants import Variant
from flashocc_ros.preprocess import image_transform
from flashocc_ros.structures import CameraRig

if TYPE_CHECKING:
    from flashocc_ros.engine.onnx_backend import OnnxBackend

Feeds = list[dict[str, npt.NDArray[Any]]]

SOURCE_HW = (900, 1600)
CALIBRATION_FILE = "calibration.yaml"


def read_frames(path: Path) -> Iterator[CameraSet]:
    """Camera sets of a rosbag2, or of one or many frame folders.

    A frame folder holds one picture per camera and ``calibration.yaml``: under ``cameras``, by name, ``image``, ``K``
    (3x3 pixels), ``T_base_cam`` and optionally ``T_map_base_at_image`` (``translation_xyz`` in metres,
    ``rotation_xyzw``), ``timestamp_us``.

    Raises:
        ConfigError: the path holds neither.
        BagError: a recording or a frame folder is damaged.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist; give a rosbag2 or a folder with {CALIBRATION_FILE} and pictures")
    single = (path / CALIBRATION_FILE).is_file()
    folders = [path] if single else sorted(file.parent for file in path.glob(f"*/{CALIBRATION_FILE}"))
    if folders:
        for folder in folders:
            yield _read_folder(folder)
    elif path.is_file() or (path / "metadata.yaml").is_file():
        yield from read_sets(path)
    else:
        raise ConfigError(
            f"{path} is no rosbag2 (no metadata.yaml) and holds no {CALIBRATION_FILE}; pictures need their calibration"
        )


def _read_folder(folder: Path) -> CameraSet:
    import yaml
    from PIL import Image

    try:
        cameras: dict[str, Any] = yaml.safe_load((folder / CALIBRATION_FILE).read_text())["cameras"]
        names = tuple(cameras)
        images = [np.asarray(Image.open(folder / cameras[name]["image"]).convert("RGB")) for name in names]
        rig = CameraRig(
            names,
            np.array([cameras[name]["K"] for name in names], np.float64),
            np.stack([_pose(cameras[name]["T_base_cam"]) for name in names]),
        )
        poses = [cameras[name].get("T_map_base_at_image") for name in names]
        odom = np.stack([np.eye(4) if pose is None else _pose(pose) for pose in poses])
        stamps = np.array([int(cameras[name].get("timestamp_us", 0)) * 1000 for name in names], np.int64)
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise BagError(f"frame folder {folder} cannot be read: {type(error).__name__} {error}") from error
    return CameraSet(names, images, rig, odom, int(stamps[0]), stamps)


def _pose(value: dict[str, Any]) -> npt.NDArray[np.float64]:
    from scipy.spatial.transform import Rotation

    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(value["rotation_xyzw"]).as_matrix()
    pose[:3, 3] = value["translation_xyz"]
    return pose


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
