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

"""Frames of many drives by number, for training and evaluation.

Pictures go the way a recording's do: drawn at the published size, JPEG, the antialiased bicubic resize of
``preprocess``. A network trained here therefore sees in a bag what it saw in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from flashocc_ros.data.synthetic.drive import Drive, KeyFrame
from flashocc_ros.data.synthetic.rig import SyntheticRig
from flashocc_ros.data.synthetic.world import Boxes
from flashocc_ros.errors import InputError
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid

MAX_BOXES = 192


@dataclass(frozen=True, eq=False)
class NetworkFrame:
    """A ``KeyFrame`` at network size: what training samples are made of.

    Attributes:
        images: (N, h, w, 3) uint8 RGB, resized and cropped as the network takes them.
        depth_m: (N, h, w) float32 z-depth, 0 in the sky; labels_2d: (N, h, w) uint8 classes.
        odom_from_base: (N, 4, 4) float64 at each shutter; the first is the key pose.
        stamp_ns: key stamp.
        semantics: (X, Y, Z) uint8; mask_camera, mask_lidar: the same shape, bool.
        boxes: (B, 9) float32 centre, size (length, width, height), yaw, velocity in the key base frame.
        box_labels: (B,) uint8 occupancy classes; box_voxels: (B,) int32 number of voxels that a camera sees.
        instances: (X, Y, Z) int32 or None where a cache was written without.
        seed, index: drive and key frame.
    """

    images: npt.NDArray[np.uint8]
    depth_m: npt.NDArray[np.float32]
    labels_2d: npt.NDArray[np.uint8]
    odom_from_base: npt.NDArray[np.float64]
    stamp_ns: int
    semantics: npt.NDArray[np.uint8]
    mask_camera: npt.NDArray[np.bool_]
    mask_lidar: npt.NDArray[np.bool_]
    boxes: npt.NDArray[np.float32]
    box_labels: npt.NDArray[np.uint8]
    box_voxels: npt.NDArray[np.int32]
    instances: npt.NDArray[np.int32] | None
    seed: int
    index: int


class SyntheticDataset:
    """``frames_per_seed`` consecutive key frames (0.5 s apart) of every seed, drawn when asked for.

    Frame ``i`` belongs to ``seeds[i // frames_per_seed]``; the frame before it in time is ``previous(i)``.
    A later ``first_frame`` shows another place of a longer drive.

    Args:
        seeds: drives.
        size: (h, w) of the network's picture; w must divide the published width.
        frames_per_seed: 1 or more.
        first_frame: key frames left out at the start of every drive.
        rig: cameras with their published picture size; default nuScenes-like, 396x704.
        jpeg: quality range of the JPEG step, None for none.
        threads: cameras drawn at a time.
        grid: of the truth.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        size: tuple[int, int] = (176, 352),
        frames_per_seed: int = 4,
        rig: SyntheticRig | None = None,
        source_size: tuple[int, int] = (396, 704),
        jpeg: tuple[int, int] | None = (80, 95),
        threads: int = 1,
        first_frame: int = 0,
        grid: VoxelGrid = OCC3D_GRID,
    ) -> None:
        if source_size[1] % size[1]:
            raise InputError(f"network width {size[1]} px must divide the picture width {source_size[1]} px")
        self.factor = source_size[1] // size[1]
        self.crop_top_px = source_size[0] // self.factor - size[0]
        if self.crop_top_px < 0:
            raise InputError(
                f"network height {size[0]} px exceeds the {source_size[0] // self.factor} px of the picture"
            )
        self.seeds, self.size, self.frames_per_seed = list(seeds), size, frames_per_seed
        self.source_size, self.jpeg, self.first_frame, self.grid = source_size, jpeg, first_frame, grid
        # A few rows more than needed keep the resize filter's upper edge out of the picture.
        self._extra_rows = min(2, self.crop_top_px)
        top = (self.crop_top_px - self._extra_rows) * self.factor

        @lru_cache(maxsize=2)
        def drive(seed: int) -> Drive:
            duration_s = 0.5 * (first_frame + frames_per_seed) + 0.5
            return Drive(seed, duration_s, rig, source_size, top, threads=threads, grid=grid)

        self._drive = drive

    def __len__(self) -> int:
        return len(self.seeds) * self.frames_per_seed

    def previous(self, index: int) -> int | None:
        """Number of the key frame 0.5 s before, None at the start of a drive."""
        return index - 1 if index % self.frames_per_seed else None

    @property
    def full_rig(self) -> SyntheticRig:
        """Cameras of the published pictures; network pixel = source pixel / ``factor`` - (0, ``crop_top_px``)."""
        return self._drive(self.seeds[0]).full_rig

    def frame(self, index: int) -> NetworkFrame:
        seed, k = self.seeds[index // self.frames_per_seed], index % self.frames_per_seed
        return self._reduce(self._drive(seed).key_frame(self.first_frame + k))

    def pair(self, index: int) -> tuple[NetworkFrame, NetworkFrame]:
        """Frame and the one before it (itself at the start of a drive)."""
        key, before = self.frame(index), self.previous(index)
        return key, key if before is None else self.frame(before)

    def _reduce(self, key: KeyFrame) -> NetworkFrame:
        images = np.stack([self._network_picture(key, i) for i in range(len(key.images))])
        step, skip = self.factor, self._extra_rows
        boxes, labels, voxels = _boxes(key, self.grid)
        return NetworkFrame(
            images,
            key.depth[:, ::step, ::step][:, skip:],
            key.labels_2d[:, ::step, ::step][:, skip:],
            key.odom_from_base,
            key.stamp_ns,
            key.semantics,
            key.mask_camera > 0,
            key.mask_lidar > 0,
            boxes,
            labels,
            voxels,
            key.instances,
            key.seed,
            key.index,
        )

    def _network_picture(self, key: KeyFrame, camera: int) -> npt.NDArray[np.uint8]:
        image = key.images[camera]
        if self.jpeg is not None:
            rng = np.random.default_rng([key.seed, key.index, camera])
            quality = int(rng.integers(self.jpeg[0], self.jpeg[1] + 1))
            image = simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(image, quality=quality, colorspace="RGB"))
        height, width = image.shape[0] // self.factor, image.shape[1] // self.factor
        small = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(small)[self._extra_rows :]


def _boxes(
    key: KeyFrame, grid: VoxelGrid
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    b: Boxes = key.boxes
    seen = np.bincount(key.instances[key.mask_camera > 0], minlength=int(b.instance.max(initial=0)) + 1)
    voxels = seen[b.instance]
    lower, upper = np.array(grid.origin_m[:2]), np.array(grid.upper_m[:2])
    inside = np.flatnonzero(((lower < b.center[:, :2]) & (b.center[:, :2] < upper)).all(1))
    inside = inside[np.argsort(-voxels[inside], kind="stable")][:MAX_BOXES]
    rows = np.concatenate([b.center, b.size, b.yaw[:, None], b.velocity], 1)[inside].astype(np.float32)
    return rows, b.label[inside], voxels[inside].astype(np.int32)
