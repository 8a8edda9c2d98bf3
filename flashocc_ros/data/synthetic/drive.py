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

"""Drives through a world: pictures of all cameras and the truth, frame by frame or at random."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from flashocc_ros.camera_model import PINHOLE, CameraModel
from flashocc_ros.data.synthetic.materials import GLOW
from flashocc_ros.data.synthetic.raster import (
    SHADOW_CELL_M,
    SHADOW_CELLS,
    draw_shadows,
    draw_solids,
    draw_solids_by_rays,
)
from flashocc_ros.data.synthetic.rig import SyntheticRig, nuscenes_like_rig
from flashocc_ros.data.synthetic.shade import shade_camera
from flashocc_ros.data.synthetic.solids import Solids
from flashocc_ros.data.synthetic.truth import camera_mask, lidar_mask, voxel_labels
from flashocc_ros.data.synthetic.world import Boxes, World
from flashocc_ros.errors import ConfigError
from flashocc_ros.geometry.camera_models import rays_of_pixels
from flashocc_ros.labels import CLASS_NAMES
from flashocc_ros.structures import OCC3D_GRID, CameraRig, VoxelGrid

Float64 = npt.NDArray[np.float64]
KEY_INTERVAL_S = 0.5
START_NS = 1_700_000_000_000_000_000


REACH_M, LARGEST_M = 62.0, 5.0
"""Solids around the vehicle that count: so far, or the farthest corner of the grid and half a large one more."""
MAX_LAYERS = 60
"""Bits of a whole number that tell what a column hides."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """What the N cameras of one frame see.

    Attributes:
        images: N RGB pictures (H, W, 3) uint8.
        depth: (N, H, W) float32 z-depth in metres, along the ray where the camera's model has it so; 0 in the sky.
        labels_2d: (N, H, W) uint8 occupancy classes, 17 in the sky.
        instances_2d: (N, H, W) int32 ids as in ``KeyFrame.instances``.
        odom_from_base: (N, 4, 4) float64, vehicle pose when each shutter opened.
        stamps_ns: N stamps.
    """

    images: list[npt.NDArray[np.uint8]]
    depth: npt.NDArray[np.float32]
    labels_2d: npt.NDArray[np.uint8]
    instances_2d: npt.NDArray[np.int32]
    odom_from_base: Float64
    stamps_ns: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Truth:
    """The voxel grid of one key frame, base frame at the key stamp.

    Attributes:
        semantics: (X, Y, Z) uint8 classes; instances: the same shape, int32 ids of things, 0 elsewhere.
        mask_camera, mask_lidar: (X, Y, Z) uint8, 1 where seen; cameras count with their full pictures.
        boxes: countable things around the vehicle.
    """

    semantics: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.int32]
    mask_camera: npt.NDArray[np.uint8]
    mask_lidar: npt.NDArray[np.uint8]
    boxes: Boxes


@dataclass(frozen=True, eq=False)
class KeyFrame:
    """One frame with its truth, as nuScenes annotates them; fields as in ``Pictures`` and ``Truth``.

    Attributes:
        rig: cameras with the intrinsics of these pictures (cropped and resized as they are).
        stamp_ns: key stamp = stamp of camera 0.
        key_pose: (4, 4) odom from base at the key stamp.
        seed, index: which drive, which key frame of it.
    """

    images: list[npt.NDArray[np.uint8]]
    rig: CameraRig
    odom_from_base: Float64
    stamp_ns: int
    stamps_ns: tuple[int, ...]
    key_pose: Float64
    semantics: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.int32]
    mask_camera: npt.NDArray[np.uint8]
    mask_lidar: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.float32]
    labels_2d: npt.NDArray[np.uint8]
    instances_2d: npt.NDArray[np.int32]
    boxes: Boxes
    seed: int
    index: int


class Drive:
    """A drive of ``duration_s`` through the world of ``seed``; the same arguments give the same bytes.

    Iterating yields a ``KeyFrame`` every ``interval_s`` (0.5 s, like nuScenes key frames).

    Args:
        seed: 0 or more; seeds below 1000 are for training, others are held out.
        duration_s: more than 0, at most 600.
        rig: the cameras; default six nuScenes-like ones.
        image_size: (height, width) of the full pictures; default 396x704.
        crop_top_px: rows left out at the top of each picture, as a network's input crop does.
        threads: how many cameras are drawn at a time.
        grid: of the truth; at most 60 voxels high.
    """

    def __init__(
        self,
        seed: int,
        duration_s: float = 20.0,
        rig: SyntheticRig | None = None,
        image_size: tuple[int, int] | None = None,
        crop_top_px: int = 0,
        interval_s: float = KEY_INTERVAL_S,
        threads: int = 2,
        grid: VoxelGrid = OCC3D_GRID,
    ) -> None:
        if seed < 0:
            raise ConfigError(f"seed {seed} must be 0 or more")
        if not 0 < duration_s <= 600:
            raise ConfigError(f"duration {duration_s:g} s must be more than 0 and at most 600 s")
        if grid.size[2] > MAX_LAYERS:
            raise ConfigError(f"the truth of the synthetic world has at most {MAX_LAYERS} layers, not {grid.size[2]}")
        source = rig or nuscenes_like_rig()
        size = image_size or ((396, 704) if rig is None else source.image_size)
        if not 0 <= crop_top_px < size[0]:
            raise ConfigError(f"crop of {crop_top_px} rows must leave a part of the {size[0]} rows of a picture")
        self.seed, self.duration_s, self.interval_s, self.threads = seed, duration_s, interval_s, threads
        self.grid = grid
        corners = np.abs([grid.origin_m[:2], grid.upper_m[:2]]).max(axis=0)
        self._radius_m = max(REACH_M, float(np.hypot(*corners)) + LARGEST_M)
        self.full_rig = source.resized(size)
        self.rig = self.full_rig.cropped(crop_top_px)
        self.world = World(seed, duration_s)

    def __len__(self) -> int:
        return int(np.floor(self.duration_s / self.interval_s + 1e-9))

    def __iter__(self) -> Iterator[KeyFrame]:
        for index in range(len(self)):
            yield self.key_frame(index)

    def stamp_ns(self, t: float) -> int:
        """Stamp of a time of this drive (seconds after its start)."""
        return START_NS + round(t * 1e9)

    def key_frame(self, index: int) -> KeyFrame:
        """Key frame ``index``, in any order."""
        if not 0 <= index < len(self):
            raise IndexError(f"key frame {index} of a drive with {len(self)}")
        t = index * self.interval_s
        pictures, truth = self.pictures(t, noise_seed=index), self.truth(t)
        return KeyFrame(
            rig=self.rig.cameras,
            stamp_ns=pictures.stamps_ns[0],
            key_pose=pictures.odom_from_base[0],
            seed=self.seed,
            index=index,
            **vars(pictures),
            **vars(truth),
        )

    def key_time(self, t: float) -> float:
        """Time of the key stamp (camera 0) of the frame that starts at ``t``."""
        return t + float(self.rig.delays_s[0])

    def truth(self, t: float) -> Truth:
        """Voxels and masks of the frame that starts at ``t`` seconds."""
        t = self.key_time(t)
        pose = self.world.ego_pose(t)
        base_from_world: Float64 = np.linalg.inv(pose).astype(np.float64, copy=False)
        solids, _ = self.world.solids(t, pose[:3, 3], self._radius_m)
        grid = self.grid
        semantics, instances = voxel_labels(solids.moved(base_from_world), self.world.street.ground, pose, grid)
        seen = camera_mask(semantics, self.full_rig.cameras, self.full_rig.image_size, grid)
        boxes = self.world.boxes(t, base_from_world, self._radius_m - 2.0)
        return Truth(semantics, instances, seen, lidar_mask(semantics, grid), boxes)

    def pictures(self, t: float, noise_seed: int = 0) -> Pictures:
        """All cameras of the frame that starts at ``t`` seconds."""
        rig = self.rig
        count, (height, width) = len(rig.delays_s), rig.image_size
        rgb = np.empty((count, height, width, 3), np.uint8)
        depth = np.full((count, height, width), 1e9, np.float32)
        labels, ids = np.empty(depth.shape, np.uint8), np.empty(depth.shape, np.int32)
        times = [t + float(delay) for delay in rig.delays_s]
        poses = np.stack([self.world.ego_pose(time) for time in times])
        shadows = self._shadows(times[0], poses[0])

        def draw(i: int) -> None:
            pose = poses[i]
            world_from_camera = pose @ rig.cameras.base_from_camera[i]
            solids, _ = self.world.solids(times[i], pose[:3, 3])
            index = np.full((height, width), -1, np.int32)
            origin, rotation = world_from_camera[:3, 3].copy(), np.ascontiguousarray(world_from_camera[:3, :3])
            rays = self._rays(i)
            if rays is None:
                draw_solids(solids, origin, rotation, rig.cameras.intrinsics[i], depth[i], index)
            else:
                draw_solids_by_rays(solids, origin, rotation, rays, depth[i], index)
            head = np.concatenate([(pose @ [3.6, 0.0, 0.8, 1.0])[:3], pose[:3, :3] @ [0.985, 0.0, -0.17]])
            noise = (self.seed * 7919 + noise_seed * 131 + i * 17) & 0x7FFFFFFF
            surroundings = self.world.street.ground, self.world.light, _lamps(solids), head, *shadows
            camera = origin, rotation, rig.cameras.intrinsics[i]
            shade_camera(
                solids,
                *surroundings,
                *camera,
                self.seed & 0xFFFF,
                noise,
                depth[i],
                index,
                rgb[i],
                labels[i],
                ids[i],
                rays,
            )

        if self.threads > 1:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(draw, range(count)))
        else:
            for i in range(count):
                draw(i)
        stamps = tuple(self.stamp_ns(time) for time in times)
        return Pictures(list(rgb), depth, labels, ids, poses, stamps)

    def _rays(self, camera: int) -> npt.NDArray[np.float32] | None:
        """(H, W, 3) of a lens, zeros for pixels outside its image circle; None of a pinhole."""
        cameras, (height, width) = self.rig.cameras, self.rig.image_size
        model, intrinsic = cameras.models[camera], cameras.intrinsics[camera]
        if model == PINHOLE:
            return None
        return _lens_rays(model, tuple(map(float, intrinsic.ravel())), height, width)

    def _shadows(self, t: float, pose: Float64) -> tuple[Float64, npt.NDArray[np.float32]]:
        tops = np.zeros((SHADOW_CELLS, SHADOW_CELLS), np.float32)
        solids, _ = self.world.solids(t, pose[:3, 3])
        z_low = pose[2, 3] - 3.0
        corner = pose[:2, 3] - 0.5 * SHADOW_CELLS * SHADOW_CELL_M
        sun = self.world.light.sun
        corner = corner - sun[:2] / sun[2] * 3.0  # the map lies 3 m below the street
        draw_shadows(solids, sun, corner[0], corner[1], z_low, tops)
        return np.array([corner[0], corner[1], z_low]), tops


@lru_cache(maxsize=8)
def _lens_rays(model: CameraModel, intrinsic: tuple[float, ...], height: int, width: int) -> npt.NDArray[np.float32]:
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float64)
    rays = rays_of_pixels(model, np.reshape(intrinsic, (3, 3)), pixels)
    return np.nan_to_num(rays).astype(np.float32)


def _lamps(solids: Solids) -> Float64:
    """Middles of street lamps, (L, 3) metres."""
    lit = (solids.material == GLOW) & (solids.label == CLASS_NAMES.index("manmade")) & (solids.half[:, 1] > 0.25)
    return solids.center[lit].astype(np.float64)
