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

"""Camera sets from a folder of pictures and one calibration file (`cameras.calibration_file`), without recordings.

Without ``image`` entries there the pictures are a sequence: ``<camera>/<stamp in nanoseconds>.jpg`` (or .png) below the
folder, any names with a list of stamps, or a video (`data.folder_files`), and ``poses.csv`` (optional; header
``stamp_ns,x,y,z,qx,qy,qz,qw``) holds the vehicle's poses in a fixed frame, which are interpolated at the pictures'
stamps. Sets are formed as the node does (docs/synchronisation.md), as if each picture had arrived at its stamp.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.calibration_file import CalibratedCamera, read_calibration
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.findings import CameraFindings, Say
from flashocc_ros.cameras.images import ImageDecoder, rectified_image
from flashocc_ros.cameras.playback import MIN_TRIGGERS, synchronised, why_no_set
from flashocc_ros.cameras.rectify import Fisheye, Rectifier
from flashocc_ros.cameras.sync import AnchorSynchronizer
from flashocc_ros.cameras.transforms import UNIT_TOLERANCE, OutsideTime, StampedTransform, TransformTree
from flashocc_ros.data.folder_files import PictureFile, stamped
from flashocc_ros.data.video_file import VideoFrame
from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.geometry.rigid import normalized
from flashocc_ros.regular_file import regular_size
from flashocc_ros.structures import CameraRig

logger = logging.getLogger(__name__)

FIXED, BASE = "map", "base"
"""Frames of the vehicle's poses."""

MAX_PICTURE_BYTES = 1 << 29
"""The largest picture that is decoded has less in 16 bits."""


class ImageFolder:
    """The camera sets of a folder, in time order.

    Args:
        folder: holds the pictures.
        calibration: the YAML file; ``calibration.yaml`` in the folder when None.
        fisheye: what becomes of wide lenses, see `cameras.rectify`; None takes the calibration's own word.

    Raises:
        ConfigError: the calibration is missing or holds something else.
        InputError: a camera has no picture, or no complete set exists.
    """

    def __init__(
        self, folder: str | Path, calibration: str | Path | None = None, fisheye: Fisheye | None = None
    ) -> None:
        for name, path in (("folder", folder), ("calibration", calibration or "")):
            if not isinstance(path, str | Path):
                raise ConfigError(f"{name} is {path!r:.60}, needs a path")
        self.folder = Path(folder)
        read = read_calibration(Path(calibration) if calibration else self.folder / "calibration.yaml")
        self._cameras, fisheye, self._rate_hz = read.cameras, fisheye or read.fisheye, read.rate_hz
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
        self._readers = [
            _Reader(name, camera, self._findings.of(name), fisheye) for name, camera in self._cameras.items()
        ]
        self._sets = self._one_set() if with_image else self._sequence()

    def __len__(self) -> int:
        return len(self._sets)

    def __iter__(self) -> Iterator[CameraSet]:
        for paths, poses, stamps_ns in self._sets:
            read = [reader(path) for reader, path in zip(self._readers, paths, strict=True)]
            self._findings.tell()
            models = [reader.model for reader in self._readers]
            rig = replace(self.rig, intrinsics=np.stack([matrix for _, matrix in read]), models=models)
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
        found = {name: stamped(self.folder, name, self._rate_hz) for name in self._cameras}
        counts = {name: len(pictures) for name, pictures in found.items()}
        if self._rate_hz and len(set(counts.values())) > 1:
            told = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise InputError(
                f"{self.folder}: rate_hz takes the pictures of all cameras together, but their numbers differ "
                f"({told}); remove those without a partner, or give stamps"
            )
        files = [(stamp_ns, name, p) for name, pictures in found.items() for stamp_ns, p in pictures.items()]
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
        if triggers > complete:
            learning = f"learning the delays of the cameras takes {MIN_TRIGGERS} triggers"
            why = learning if triggers < MIN_TRIGGERS else "they lack a picture of a camera"
            logger.warning("%s: %d of %d triggers gave no set: %s", self.folder, triggers - complete, triggers, why)
        if complete > len(sets):
            logger.warning("%s: poses.csv does not cover %d of %d sets", self.folder, complete - len(sets), complete)
        return sets


class _Reader:
    """Decodes and undistorts the pictures of one camera, as the node does its images."""

    def __init__(self, name: str, camera: CalibratedCamera, say: Say, fisheye: Fisheye) -> None:
        self._decoder = ImageDecoder(name, camera.bit_depth, say)
        self._rectifier = Rectifier(name, say=say, fisheye=fisheye)
        self._rectifier.update(camera.lens())
        self.model = self._rectifier.model

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
