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

"""What the cameras see, and what a result must show: the offline answer to the pictures of one trigger."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg

from flashocc_ros import CameraRig, Predictor
from flashocc_ros.data.synthetic import Drive, SyntheticRig, nuscenes_like_rig

PICTURES = 8
"""Consecutive triggers show different streets, so that a set of two triggers shows: one camera changes 8000 voxels."""
SIZE = (396, 704)
SPEED_MPS = 8.0
TOLERATED_VOXELS = 400
"""Of 640 000; poses interpolated at other stamps round differently."""
VARIANT = "synthetic-tiny"

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """A result that is right.

    Attributes:
        picture: number of the street that all cameras show.
        masked: cameras that are black.
        halved: cameras whose picture comes at half its size.
        moved: camera and metres that it is mounted further ahead, ("", 0) for none.
    """

    picture: int
    masked: tuple[str, ...] = ()
    halved: tuple[str, ...] = ()
    moved: tuple[str, float] = ("", 0.0)

    def to_json(self) -> dict[str, Any]:
        return {"picture": self.picture, "halved": self.halved, "moved": self.moved}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], masked: Sequence[str]) -> Scene:
        camera, metres = values["moved"]
        return cls(values["picture"], tuple(masked), tuple(values["halved"]), (camera, metres))


def rig() -> SyntheticRig:
    """Six cameras, and how long after the first each opens its shutter."""
    return nuscenes_like_rig().resized(SIZE)


def base_from_camera(moved: tuple[str, float] = ("", 0.0)) -> dict[str, npt.NDArray[np.float64]]:
    """How each camera is mounted."""
    cameras = rig().cameras
    mounts = {name: np.array(pose) for name, pose in zip(cameras.names, cameras.base_from_camera, strict=True)}
    if moved[0]:
        mounts[moved[0]][0, 3] += moved[1]
    return mounts


class Pictures:
    """The JPEG of every street and camera, kept in a file for the processes of a run."""

    def __init__(self, file: Path) -> None:
        with np.load(file, allow_pickle=False) as arrays:
            self._files = {name: arrays[name].tobytes() for name in arrays.files}

    def __call__(self, picture: int, camera: str) -> bytes:
        return self._files[f"{picture % PICTURES}/{camera}"]

    def halved(self, picture: int, camera: str) -> bytes:
        """The same at half its size."""
        return scaled(self(picture, camera), (SIZE[0] // 2, SIZE[1] // 2))

    @staticmethod
    def draw(file: Path) -> None:
        """Takes half a minute."""
        names = rig().cameras.names
        files = {}
        for number in range(PICTURES):
            seen = Drive(seed=1000 + number, duration_s=6, image_size=SIZE).pictures(3.0)
            for name, image in zip(names, seen.images, strict=True):
                jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=90)
                files[f"{number}/{name}"] = np.frombuffer(jpeg, np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, **files)
        file.write_bytes(buffer.getvalue())


def scaled(jpeg: bytes, size: tuple[int, int]) -> bytes:
    """A picture of another (height, width)."""
    import cv2

    small = cv2.resize(simplejpeg.decode_jpeg(jpeg), size[::-1])
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(small), quality=90))


class Truth:
    """The offline result of each scene, made when it is first asked for."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures, self._labels = pictures, dict[Scene, Labels]()
        self._predictor = Predictor(VARIANT)
        self._rig = rig()

    def __call__(self, scene: Scene) -> Labels:
        """Flat class ids, as ``Occupancy3D.labels``."""
        if scene not in self._labels:
            self._labels[scene] = self._predict(scene)
        return self._labels[scene]

    def _predict(self, scene: Scene) -> Labels:
        names, intrinsics = self._rig.cameras.names, np.array(self._rig.cameras.intrinsics)
        images = []
        for index, name in enumerate(names):
            if name in scene.halved:
                jpeg = self._pictures.halved(scene.picture, name)
                intrinsics[index] = np.diag([0.5, 0.5, 1.0]) @ intrinsics[index]
            else:
                jpeg = self._pictures(scene.picture, name)
            image = simplejpeg.decode_jpeg(jpeg)
            images.append(np.zeros_like(image) if name in scene.masked else image)
        mounts = base_from_camera(scene.moved)
        cameras = CameraRig(names, intrinsics, np.stack([mounts[name] for name in names]))
        poses = np.tile(np.eye(4), (len(names), 1, 1))
        poses[:, 0, 3] = SPEED_MPS * np.asarray(self._rig.delays_s)
        self._predictor.reset()
        labels = self._predictor(images, cameras, poses, 10**18, key_pose=np.eye(4)).semantics
        return np.ascontiguousarray(labels).ravel()
