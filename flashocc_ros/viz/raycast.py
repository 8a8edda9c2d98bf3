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

"""A small ray caster for voxel grids: sun with shadows, ambient occlusion at cube corners, antialiasing.

All coordinates inside are voxel units: voxel (i, j, k) fills the unit cube above (i, j, k).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from flashocc_ros.structures import VoxelGrid
from flashocc_ros.viz.kernels import cast

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

SUN = np.array([-0.42, 0.55, 0.95]) / np.linalg.norm([-0.42, 0.55, 0.95])
"""Direction towards the sun, base frame: from behind left, so that faces towards a chase camera are lit."""

_NOTHING = np.zeros((0, 6), np.float32)


@dataclass(frozen=True)
class View:
    """Rays of a picture, in metres, base frame: pixel (u, v) starts at ``origin + u du + v dv``.

    Its direction is ``direction + u ddu + v ddv``. A pinhole camera has one origin, a map view one direction.

    Attributes:
        size: (width, height) in pixels.
        near_m, far_m: part of the ray that is drawn.
    """

    size: tuple[int, int]
    origin: tuple[Float64, Float64, Float64]
    direction: tuple[Float64, Float64, Float64]
    near_m: float = 0.0
    far_m: float = 1e3

    @staticmethod
    def pinhole(
        intrinsic: Float64, base_from_camera: Float64, size: tuple[int, int], near_m: float = 0.0, far_m: float = 1e3
    ) -> View:
        """Rays of a pinhole camera; ``intrinsic`` (3, 3) in pixels of a picture of ``size``."""
        unproject = base_from_camera[:3, :3] @ np.linalg.inv(intrinsic)
        zero = np.zeros(3)
        direction = (unproject[:, 2], unproject[:, 0], unproject[:, 1])
        return View(size, (base_from_camera[:3, 3].copy(), zero, zero), direction, near_m, far_m)

    @staticmethod
    def look_at(eye_m: npt.ArrayLike, target_m: npt.ArrayLike, field_of_view_deg: float, size: tuple[int, int]) -> View:
        """Rays of a virtual camera at ``eye_m`` that looks to ``target_m``; the field of view is the horizontal one."""
        eye = np.asarray(eye_m, np.float64)
        forward = np.asarray(target_m, np.float64) - eye
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], 1)
        pose[:3, 3] = eye
        focal = size[0] / 2 / math.tan(math.radians(field_of_view_deg) / 2)
        return View.pinhole(np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1]]), pose, size)

    @staticmethod
    def from_above(grid: VoxelGrid, size: tuple[int, int]) -> View:
        """Parallel rays straight down over the whole grid; forward is up, left is left."""
        span = np.array(grid.size) * grid.resolution_m
        top = np.asarray(grid.origin_m) + span
        zero = np.zeros(3)
        right, down = np.array([0, -span[1] / size[0], 0]), np.array([-span[0] / size[1], 0, 0])
        # whole numbers are pixel centres, half a pixel within the border of the grid
        origin = (top + np.array([0.0, 0.0, 1.0]) + (right + down) / 2, right, down)
        return View(size, origin, (np.array([0.0, 0.0, -1.0]), zero, zero))


@dataclass(frozen=True)
class Picture:
    """What a view shows.

    Attributes:
        rgb: (H, W, 3) float32 in [0, 1], the mean over the covered part of each pixel; zeros where nothing is hit.
        coverage: (H, W) float32 in [0, 1], part of the pixel that shows a voxel.
        distance_m: (H, W) float32, distance along the ray in metres; infinite where nothing is hit.
        paint: (H, W) uint16, value of the voxel at the pixel's last sample; 0 where nothing is hit.
    """

    rgb: Float32
    coverage: Float32
    distance_m: Float32
    paint: npt.NDArray[np.uint16]


def render(
    paint: npt.NDArray[np.uint16],
    palette: Float32,
    grid: VoxelGrid,
    view: View,
    *,
    antialias: bool = True,
    shadows: bool = True,
    edges: float = 0.25,
    boxes_m: Float32 = _NOTHING,
    free_distance: npt.NDArray[np.uint8] | None = None,
) -> Picture:
    """Draw the voxels that ``view`` sees.

    Args:
        paint: (X, Y, Z) uint16, row of ``palette`` for each voxel; 0 is empty.
        palette: (K, 3) float32 RGB in [0, 1]; row 0 colours ``boxes_m``.
        grid: where the voxels lie.
        antialias: more rays where a pixel shows an outline.
        shadows: trace a ray to the sun from every hit.
        edges: darkness of the voxel borders in [0, 1].
        boxes_m: (B, 6) smooth boxes (lower corner, upper corner), metres, base frame; the vehicle itself.
        free_distance: result of ``free_distances(paint)`` when several views of one grid are drawn.
    """
    if free_distance is None:
        free_distance = free_distances(paint)
    offset, scale = np.asarray(grid.origin_m), 1.0 / grid.resolution_m
    origin = np.stack([(view.origin[0] - offset) * scale, view.origin[1] * scale, view.origin[2] * scale])
    boxes = ((np.asarray(boxes_m, np.float64).reshape(-1, 2, 3) - offset) * scale).reshape(-1, 6)
    width, height = view.size
    rgb, coverage, distance, hit = cast(
        np.ascontiguousarray(paint),
        free_distance,
        np.ascontiguousarray(palette, np.float32),
        origin,
        np.stack(view.direction) * 1.0,
        width,
        height,
        antialias,
        view.near_m * scale,
        view.far_m * scale,
        SUN,
        shadows,
        edges,
        boxes,
    )
    return Picture(rgb, coverage, distance * np.float32(grid.resolution_m), hit)


def free_distances(paint: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """Chessboard distance of each voxel to the next painted one, (X, Y, Z) uint8: how far a ray may jump."""
    if not paint.any():
        return np.full(paint.shape, 255, np.uint8)
    return np.minimum(ndimage.distance_transform_cdt(paint == 0, metric="chessboard"), 255).astype(np.uint8)
