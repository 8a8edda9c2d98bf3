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

"""Training samples of nuScenes with Occ3D labels, with the published augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from flashocc_ros.data.nuscenes_files import read_picture, read_points
from flashocc_ros.data.nuscenes_tables import CAMERAS, Info, Sensor, read_infos
from flashocc_ros.data.occ3d import load_occupancy
from flashocc_ros.errors import InputError
from flashocc_ros.geometry import Geometry
from flashocc_ros.labels import IGNORE, OCC_FROM_DETECTION
from flashocc_ros.structures import OCC3D_GRID
from flashocc_ros.training.sample import Sample, mirror_bev
from flashocc_ros.variants import Variant

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_RESIZE = (-0.06, 0.11)
_ROTATE_DEG = (-5.4, 5.4)
_DEPTH_RANGE_M = (1.0, 45.0)


@dataclass(frozen=True)
class ImageAugmentation:
    """How one camera's picture becomes network input: scale, crop, mirror, rotate, in this order.

    Attributes:
        size: (H, W) of the result in pixels.
        scaled: (width, height) after scaling.
        scale: factor; left, top: first column and row of the crop (may be negative: black).
        flip: left-right; rotate_deg: about the centre of the crop.
    """

    size: tuple[int, int]
    scaled: tuple[int, int]
    scale: float
    left: int
    top: int
    flip: bool = False
    rotate_deg: float = 0.0

    @classmethod
    def draw(cls, source: tuple[int, int], size: tuple[int, int], rng: np.random.Generator | None) -> ImageAugmentation:
        """Published test-time transform of a (width, height) picture; with ``rng`` the training-time one."""
        height, width = size
        scale = width / source[0]
        if rng is not None:
            scale += rng.uniform(*_RESIZE)
        scaled = (int(source[0] * scale), int(source[1] * scale))
        spare = max(0, scaled[0] - width)
        top = scaled[1] - height
        if rng is None:
            return cls(size, scaled, scale, spare // 2, top)
        left = int(rng.uniform(0, spare))
        return cls(size, scaled, scale, left, top, bool(rng.random() < 0.5), float(rng.uniform(*_ROTATE_DEG)))

    def apply(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8."""
        height, width = self.size
        image = image.resize(self.scaled).crop((self.left, self.top, self.left + width, self.top + height))
        if self.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.rotate_deg:
            image = image.rotate(self.rotate_deg)
        return np.asarray(image)

    @property
    def homography(self) -> tuple[Float64, Float64]:
        """post_rot (3, 3) and post_tran (3,): network pixel = post_rot @ source pixel + post_tran."""
        height, width = self.size
        linear, shift = np.eye(2) * self.scale, -np.array([self.left, self.top], np.float64)
        if self.flip:
            mirror = np.diag([-1.0, 1.0])
            linear, shift = mirror @ linear, mirror @ shift + (width, 0)
        angle = np.deg2rad(self.rotate_deg)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        middle = np.array([width, height]) / 2
        linear, shift = turn @ linear, turn @ (shift - middle) + middle
        post_rot, post_tran = np.eye(3), np.zeros(3)
        post_rot[:2, :2], post_tran[:2] = linear, shift
        return post_rot, post_tran


def lidar_depth(lidar: Sensor, camera: Sensor, post_rot: Float64, post_tran: Float64, size: tuple[int, int]) -> Float32:
    """(H, W) metres of the nearest lidar point per network pixel, 0 = none; every sensor at its own ego pose."""
    points = read_points(lidar.path)
    to_camera = (
        np.linalg.inv(camera.global_from_ego @ camera.ego_from_sensor) @ lidar.global_from_ego @ lidar.ego_from_sensor
    )
    points = points @ to_camera[:3, :3].T + to_camera[:3, 3]
    depth = points[:, 2]
    front = (depth >= _DEPTH_RANGE_M[0]) & (depth < _DEPTH_RANGE_M[1])
    points, depth = points[front], depth[front]
    pixels = (points / depth[:, None]) @ camera.intrinsics.T
    pixels = np.round(pixels @ post_rot.T + post_tran).astype(np.int64)
    height, width = size
    inside = (pixels[:, 0] >= 0) & (pixels[:, 0] < width) & (pixels[:, 1] >= 0) & (pixels[:, 1] < height)
    order = np.argsort(-depth[inside], kind="stable")
    pixels, depth = pixels[inside][order], depth[inside][order]
    result = np.zeros(size, np.float32)
    result[pixels[:, 1], pixels[:, 0]] = depth  # the nearest is written last
    return result


class NuScenesSource:
    """Training samples.

    Args:
        root: folder that holds ``<version>/``, ``samples/`` and ``gts/`` (Occ3D).
        split: see ``nuscenes_tables.scenes_of_split``.
        augment: published image and BEV augmentation.
        cameras: channels; those of nuScenes by default.
    """

    def __init__(
        self,
        root: Path,
        version: str,
        split: str | list[str],
        variant: Variant,
        augment: bool = True,
        cameras: Sequence[str] = CAMERAS,
    ) -> None:
        self.root, self.variant, self.augment = Path(root), variant, augment
        if variant.grid != OCC3D_GRID:
            raise InputError(f"{root} holds labels of {OCC3D_GRID}, {variant.name} predicts {variant.grid}")
        self.infos = read_infos(self.root, version, split, cameras)
        classes = variant.classes
        own = np.array(classes.from_occ3d(), np.uint8)
        self._own = np.where(own < len(classes), own, np.uint8(IGNORE))
        of_class = {c: channel for channel, c in enumerate(classes.detections)}
        self._channel = np.array([of_class.get(int(self._own[c]), -1) for c in OCC_FROM_DETECTION])

    def __len__(self) -> int:
        return len(self.infos)

    def available(self, step: int) -> int:
        """All samples, at every step."""
        return len(self.infos)

    def neighbours(self, index: int) -> list[int]:
        """Key frame and the previous ones the variant takes; those of another scene are replaced by the key frame."""
        key = self.infos[index]
        earlier = [max(index - k, 0) for k in range(1, self.variant.num_input_frames)]
        return [index, *(i if self.infos[i].scene == key.scene else index for i in earlier)]

    def sample(self, index: int, rng: np.random.Generator | None) -> Sample:
        """Sample ``index``, augmented with ``rng``; previous frames reuse each camera's changes of the key frame.

        Raises:
            InputError: a picture, the lidar points or the labels are missing or damaged.
        """
        rng = rng if self.augment else None
        key = self.infos[index]
        frames = [self.infos[i] for i in self.neighbours(index)]
        size = self.variant.input_size
        key_pictures = [read_picture(camera.path) for camera in key.cameras]
        augmentations = [ImageAugmentation.draw(picture.size, size, rng) for picture in key_pictures]

        def network_images(frame: Info) -> npt.NDArray[np.uint8]:
            pictures = key_pictures if frame is key else (read_picture(camera.path) for camera in frame.cameras)
            return np.stack([a.apply(picture) for picture, a in zip(pictures, augmentations, strict=True)])

        images = np.stack([network_images(frame) for frame in frames])
        transforms = [a.homography for a in augmentations]
        post_rot, post_tran = (np.stack([t[k] for t in transforms]) for k in (0, 1))
        semantics, mask, _, _ = load_occupancy(self.root / "gts", key)
        channel = self._channel[key.box_labels]
        flips = (False, False) if rng is None else (bool(rng.random() < 0.5), bool(rng.random() < 0.5))
        semantics, mask, boxes, bda = mirror_bev(self._own[semantics], mask, key.boxes[channel >= 0], *flips)
        shape = (len(frames), len(key.cameras))
        geometry = Geometry(
            sensor2ego=np.stack([[c.ego_from_sensor for c in f.cameras] for f in frames]),
            ego2global=np.stack([[c.global_from_ego for c in f.cameras] for f in frames]),
            intrinsics=np.stack([[c.intrinsics for c in f.cameras] for f in frames]),
            post_rot=np.broadcast_to(post_rot, (*shape, 3, 3)),
            post_tran=np.broadcast_to(post_tran, (*shape, 3)),
            bda=bda,
        )
        depth = None
        if self.variant.depth_loss_weight:
            depth = np.stack(
                [
                    lidar_depth(key.lidar, c, r, t, size)
                    for c, r, t in zip(key.cameras, post_rot, post_tran, strict=True)
                ]
            )
        return Sample(images, geometry, semantics, mask, depth, None, boxes, channel[channel >= 0])
