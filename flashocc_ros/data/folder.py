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

"""Camera sets from a folder of pictures and one calibration file, for prediction without recordings.

``calibration.yaml``::

    cameras:
      front:                                  # names in the order the network is given them
        K: [[1266.4, 0, 816.3], [0, 1266.4, 491.5], [0, 0, 1]]     # pixels
        D: [0, 0, 0, 0, 0]                    # optional: distortion (k1, k2, p1, p2, k3, ...), of the
        distortion_model: plumb_bob           # optional: model as in CameraInfo, e.g. equidistant for a fisheye
        width: 1600                           # optional: size of the pictures K is for; smaller ones scale it
        height: 900
        bit_depth: 12                         # optional: bits in use, of pictures of 16 bits that use fewer
        T_base_cam:                           # camera optical frame (z forward, x right) to base (x forward, z up)
          translation_xyz: [1.72, 0.0, 1.49]  # metres
          rotation_xyzw: [-0.5, 0.5, -0.5, 0.5]
        image: front.jpg                      # one set only: its picture,
        timestamp_us: 1533201470412460        # optional: when it was taken,
        T_map_base_at_image: {translation_xyz: [0, 0, 0], rotation_xyzw: [0, 0, 0, 1]}   # optional: vehicle pose then

Without ``image`` entries the pictures are a sequence: ``<camera>/<stamp in nanoseconds>.jpg`` (or .png) below the
folder, any names with a list of stamps, or a video (`data.folder_files`), and ``poses.csv`` (optional; header
``stamp_ns,x,y,z,qx,qy,qz,qw``) holds the vehicle's poses in a fixed frame, which are interpolated at the pictures'
stamps. Sets are formed as the node does (docs/synchronisation.md), as if each picture had arrived at its stamp.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from scipy.spatial.transform import Rotation

from flashocc_ros.bags import bounded_yaml
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.findings import CameraFindings, Say
from flashocc_ros.cameras.images import ImageDecoder, check_bit_depth, rectified_image
from flashocc_ros.cameras.playback import synchronised, why_no_set
from flashocc_ros.cameras.rectify import Lens, Rectifier
from flashocc_ros.cameras.sync import AnchorSynchronizer
from flashocc_ros.cameras.transforms import UNIT_TOLERANCE, OutsideTime, StampedTransform, TransformTree
from flashocc_ros.data.folder_files import MAX_STAMP_NS, PictureFile, stamped
from flashocc_ros.data.video_file import VideoFrame
from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.geometry.rigid import Quaternion, normalized
from flashocc_ros.regular_file import regular_size
from flashocc_ros.structures import CameraRig

logger = logging.getLogger(__name__)

FIXED, BASE = "map", "base"
"""Frames of the vehicle's poses."""

MAX_CALIBRATION_BYTES = 1 << 20
MAX_PICTURE_BYTES = 1 << 29
"""The largest picture that is decoded has less in 16 bits."""


def _unit(rotation_xyzw: Quaternion) -> Quaternion:
    norm = math.hypot(*rotation_xyzw)
    if not abs(norm - 1) < UNIT_TOLERANCE:
        raise ValueError(f"a quaternion of length {norm:.3g}, which must be 1")
    return rotation_xyzw


class _Pose(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    translation_xyz: tuple[float, float, float]
    rotation_xyzw: Annotated[Quaternion, AfterValidator(_unit)]

    def matrix(self) -> npt.NDArray[np.float64]:
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_quat(self.rotation_xyzw).as_matrix()
        pose[:3, 3] = self.translation_xyz
        return pose


_Row = tuple[float, float, float]


def _only_none(remark: object) -> object:
    """The example frames remark that their pictures have no distortion; this is no place for coefficients."""
    if not isinstance(remark, str) or not remark.startswith("none"):
        raise ValueError("may only say 'none ...'; write coefficients as D, with their distortion_model")
    return remark


class _Camera(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    K: tuple[_Row, _Row, _Row]
    D: list[float] = Field(default_factory=list, max_length=14)
    distortion_model: str = "plumb_bob"
    distortion: Annotated[str, BeforeValidator(_only_none)] = "none"
    width: int = Field(0, ge=0)
    height: int = Field(0, ge=0)
    bit_depth: Annotated[int, AfterValidator(check_bit_depth)] = 0
    T_base_cam: _Pose
    image: str | None = None
    timestamp_us: Annotated[int, Field(ge=0, le=MAX_STAMP_NS // 1000)] | None = None
    T_map_base_at_image: _Pose | None = None

    def lens(self) -> Lens:
        return Lens(self.K, self.D, self.distortion_model, self.width, self.height)


class _Calibration(BaseModel):
    model_config = ConfigDict(extra="ignore")

    cameras: dict[str, _Camera] = Field(min_length=1)


class ImageFolder:
    """The camera sets of a folder, in time order.

    Args:
        folder: holds the pictures.
        calibration: the YAML file; ``calibration.yaml`` in the folder when None.

    Raises:
        ConfigError: the calibration is missing or holds something else.
        InputError: a camera has no picture, or no complete set exists.
    """

    def __init__(self, folder: str | Path, calibration: str | Path | None = None) -> None:
        for name, path in (("folder", folder), ("calibration", calibration or "")):
            if not isinstance(path, str | Path):
                raise ConfigError(f"{name} is {path!r:.60}, needs a path")
        self.folder = Path(folder)
        self._cameras = _read_calibration(Path(calibration) if calibration else self.folder / "calibration.yaml")
        self.rig = CameraRig(
            tuple(self._cameras),
            np.array([c.K for c in self._cameras.values()]),
            np.stack([c.T_base_cam.matrix() for c in self._cameras.values()]),
        )
        with_image = [name for name, camera in self._cameras.items() if camera.image is not None]
        if with_image and len(with_image) != len(self._cameras):
            missing = sorted(set(self._cameras) - set(with_image))
            raise ConfigError(f"calibration: cameras {missing} have no image entry, others have; give all or none")
        self._findings = CameraFindings()
        self._readers = [_Reader(name, camera, self._findings.of(name)) for name, camera in self._cameras.items()]
        self._sets = self._one_set() if with_image else self._sequence()

    def __len__(self) -> int:
        return len(self._sets)

    def __iter__(self) -> Iterator[CameraSet]:
        for paths, poses, stamps_ns in self._sets:
            read = [reader(path) for reader, path in zip(self._readers, paths, strict=True)]
            self._findings.tell()
            rig = CameraRig(self.rig.names, np.stack([matrix for _, matrix in read]), self.rig.base_from_camera)
            yield CameraSet([image for image, _ in read], rig, poses, int(stamps_ns[0]), stamps_ns)

    def _one_set(self) -> list[tuple[list[PictureFile], npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
        cameras = self._cameras.values()
        poses = [c.T_map_base_at_image for c in cameras]
        if all(pose is None for pose in poses):
            matrices = np.tile(np.eye(4), (len(poses), 1, 1))
        elif any(pose is None for pose in poses):
            raise ConfigError("calibration: some cameras have T_map_base_at_image, others do not; give all or none")
        else:
            matrices = np.stack([pose.matrix() for pose in poses if pose is not None])
        paths: list[PictureFile] = [self.folder / str(c.image) for c in cameras]
        stamps_ns = np.array([1000 * (c.timestamp_us or 0) for c in cameras], np.int64)
        return [(paths, matrices, stamps_ns)]

    def _sequence(self) -> list[tuple[list[PictureFile], npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
        files = [(stamp_ns, name, p) for name in self._cameras for stamp_ns, p in stamped(self.folder, name).items()]
        files.sort(key=lambda file: file[:2])
        sync: AnchorSynchronizer[PictureFile] = AnchorSynchronizer(tuple(self._cameras))
        track = _read_poses(self.folder / "poses.csv")
        sets, complete = [], 0
        for images in synchronised(sync, ((name, stamp_ns, p, stamp_ns) for stamp_ns, name, p in files)):
            complete += 1
            count = len(images.items)
            poses = np.tile(np.eye(4), (count, 1, 1))
            if track is not None:
                try:
                    poses = np.stack([track.lookup(FIXED, BASE, stamp_ns) for stamp_ns in images.stamps_ns])
                except OutsideTime:
                    continue
            sets.append(([p for p in images.items if p is not None], poses, np.array(images.stamps_ns, np.int64)))
        if not complete:
            raise InputError(
                f"{self.folder} holds no complete set of its {len(self._cameras)} cameras: {why_no_set(sync)}"
            )
        if not sets:
            raise InputError(f"{self.folder}: poses.csv covers none of its {complete} complete sets; extend it")
        triggers = sync.counters[sync.anchor].received
        if triggers > len(sets):
            logger.warning(
                "%s: %d of %d sets are incomplete or outside poses.csv", self.folder, triggers - len(sets), triggers
            )
        return sets


class _Reader:
    """Decodes and undistorts the pictures of one camera, as the node does its images."""

    def __init__(self, name: str, camera: _Camera, say: Say) -> None:
        self._decoder, self._rectifier = ImageDecoder(name, camera.bit_depth, say), Rectifier(name, say=say)
        self._rectifier.update(camera.lens())

    def __call__(self, path: PictureFile) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
        if isinstance(path, VideoFrame):
            self._rectifier.prepare(path.video.size)
            return self._rectifier(path.read())
        try:
            if (size := regular_size(path)) > MAX_PICTURE_BYTES:
                raise ValueError(f"it is {size / 1e6:.0f} MB long, the limit is {MAX_PICTURE_BYTES / 1e6:.0f} MB")
            data = path.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: too long, or a null byte in the name
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"picture {path} cannot be read: {reason}; correct the calibration's image") from error
        try:
            return rectified_image(self._decoder, self._rectifier, data)
        except InputError as error:
            raise type(error)(f"{path}: {error}") from error


def _read_calibration(path: Path) -> dict[str, _Camera]:
    try:
        size = regular_size(path)
        if size > MAX_CALIBRATION_BYTES:
            raise ConfigError(
                f"calibration {path} is {size / 1e6:.1f} MB long, the limit is {MAX_CALIBRATION_BYTES / 1e6:g} MB; "
                "it needs a few lines per camera"
            )
        loaded = bounded_yaml.load(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"calibration {path} cannot be read: {error.strerror}; a folder of pictures holds their calibration, a "
            "recording .mcap or .db3 files"
        ) from error
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"calibration {path} cannot be used: {error}; write plain YAML") from error
    try:
        return _Calibration.model_validate(loaded).cameras
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "top level"
        if first["input"] is None:
            raise ConfigError(f"calibration {path}, {where}: it is still empty; fill it in") from error
        raise ConfigError(f"calibration {path}, {where}: {first['msg'].removeprefix('Value error, ')}") from error


def _read_poses(path: Path) -> TransformTree | None:
    """The vehicle's poses over time: ``FIXED`` from ``BASE``; None without the file."""
    if not path.is_file():
        logger.warning("%s does not exist: the vehicle is taken to stand still", path)
        return None
    try:
        if len(path.read_text().splitlines()) < 3:
            raise ValueError("it has less than two of them")
        stamps_ns = np.loadtxt(path, np.int64, delimiter=",", skiprows=1, usecols=0, ndmin=1)
        numbers = np.loadtxt(path, np.float64, delimiter=",", skiprows=1, usecols=range(1, 8), ndmin=2)
    except ValueError as error:
        raise InputError(f"{path} needs rows stamp_ns,x,y,z,qx,qy,qz,qw below a header: {error}") from error
    if len(stamps_ns) < 2 or (np.diff(stamps_ns) <= 0).any():
        raise InputError(f"{path} needs at least two poses with rising stamps, has {len(stamps_ns)}")
    norms = np.linalg.norm(numbers[:, 3:], axis=1)
    wrong = ~np.isfinite(numbers).all(axis=1) | ~(np.abs(norms - 1) < UNIT_TOLERANCE)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"{path}: the pose at {stamps_ns[row]} ns is no position and unit quaternion; mend it")
    track = TransformTree(cache_s=math.inf)
    for stamp_ns, (x, y, z, *rotation) in zip(stamps_ns.tolist(), numbers.tolist(), strict=True):
        track.insert(StampedTransform(FIXED, BASE, stamp_ns, ((x, y, z), normalized(rotation))), static=False)
    return track
