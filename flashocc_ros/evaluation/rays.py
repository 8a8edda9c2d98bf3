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

"""The simulated lidar of RayIoU: fixed ray directions and the first occupied voxel along each of them."""

from __future__ import annotations

import math
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt

from flashocc_ros.errors import InputError
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_MAX_STEPS = 1001
MAX_ORIGINS = 8
ORIGIN_MARGIN_M = 1.0
"""Origins nearer to the border of the grid do not count."""


@lru_cache(maxsize=1)
def ray_directions() -> Float32:
    """(14040, 3) float32 unit vectors: 39 pitches (outer) times 360 azimuths of one degree (inner)."""
    pitches = [-(math.pi / 2 - math.atan(k + 1)) for k in range(10)]
    while pitches[-1] < 0.21:
        pitches.append(pitches[-1] + (pitches[-1] - pitches[-2]))
    pitch, azimuth = np.array(pitches)[:, None], np.deg2rad(np.arange(360))[None]
    rays = np.stack([np.cos(pitch) * np.cos(azimuth), np.cos(pitch) * np.sin(azimuth), np.sin(pitch) + 0 * azimuth], -1)
    rays = rays.reshape(-1, 3).astype(np.float32)
    rays.setflags(write=False)
    return rays


def select_origins(origins: npt.ArrayLike, grid: VoxelGrid = OCC3D_GRID) -> Float32:
    """Origins of a scene in the key ego frame (T, 3): those inside the grid, at most 8 spread evenly over time."""
    kept = np.asarray(origins, np.float32).reshape(-1, 3)
    lower, upper = np.array(grid.origin_m[:2]) + ORIGIN_MARGIN_M, np.array(grid.upper_m[:2]) - ORIGIN_MARGIN_M
    kept = kept[((lower < kept[:, :2]) & (kept[:, :2] < upper)).all(1)]
    if len(kept) > MAX_ORIGINS:
        kept = kept[np.round(np.linspace(0, len(kept) - 1, MAX_ORIGINS)).astype(np.int64)]
    return kept


def cast(
    semantics: npt.NDArray[np.uint8],
    origins: npt.ArrayLike,
    grid: VoxelGrid = OCC3D_GRID,
    classes: ClassTable = OCC3D,
) -> tuple[npt.NDArray[np.int64], Float64]:
    """Follow all rays from all origins.

    Args:
        semantics: (X, Y, Z) class ids, or ``classes.ignore``, which stops a ray like anything that is not free.
        origins: (T, 3) metres, base frame.
        grid, classes: where the voxels lie and what their ids mean.

    Returns:
        Flat voxel index (T * 14040,) of the first occupied voxel, or of the last one inside the grid, and the distance
        in metres at which the ray leaves it. Rays that miss the grid give voxel 0 and minus the edge of a voxel.

    Raises:
        InputError: another shape, or a class that does not exist.
    """
    origins = np.asarray(origins, np.float32).reshape(-1, 3)
    if tuple(semantics.shape) != grid.size:
        raise InputError(f"semantics have shape {semantics.shape}, needs {grid.size}")
    wrong = np.setdiff1d(semantics, [*range(len(classes)), classes.ignore])
    if wrong.size:
        raise InputError(
            f"semantics hold class {wrong[0]}, must be 0..{len(classes) - 1}; map your own classes to them"
        )
    lower = np.array(grid.origin_m, np.float32)
    step = np.float32(grid.resolution_m)
    starts = (origins - lower) / step
    ends = (origins[:, None] + ray_directions()[None] - lower) / step
    voxel, distance = _march(
        np.ascontiguousarray(semantics, np.uint8), starts.astype(np.float64), ends.astype(np.float64), classes.free
    )
    return voxel.reshape(-1), distance.reshape(-1).astype(np.float32).astype(np.float64) * grid.resolution_m


@numba.njit(cache=True, nogil=True)
def _march(semantics, starts, ends, free):  # type: ignore[no-untyped-def]
    """Amanatides-Woo in voxel units and float64; ties go to z, then y."""
    size_x, size_y, size_z = semantics.shape
    count, rays = ends.shape[0], ends.shape[1]
    voxel = np.zeros((count, rays), np.int64)
    distance = np.full((count, rays), -1.0)
    for t in range(count):
        ox, oy, oz = starts[t, 0], starts[t, 1], starts[t, 2]
        for r in range(rays):
            dx, dy, dz = ends[t, r, 0] - ox, ends[t, r, 1] - oy, ends[t, r, 2] - oz
            norm = math.sqrt(dx * dx + dy * dy + dz * dz)
            dx, dy, dz = dx / norm, dy / norm, dz / norm
            ix, iy, iz = int(ox), int(oy), int(oz)
            step_x = 1 if dx >= 0 else -1
            step_y = 1 if dy >= 0 else -1
            step_z = 1 if dz >= 0 else -1
            next_x = (ix + (1 if step_x > 0 else 0) - ox) / dx if dx != 0 else np.inf
            next_y = (iy + (1 if step_y > 0 else 0) - oy) / dy if dy != 0 else np.inf
            next_z = (iz + (1 if step_z > 0 else 0) - oz) / dz if dz != 0 else np.inf
            delta_x = step_x / dx if dx != 0 else np.inf
            delta_y = step_y / dy if dy != 0 else np.inf
            delta_z = step_z / dz if dz != 0 else np.inf
            entered = False
            for _ in range(_MAX_STEPS):
                inside = 0 <= ix < size_x and 0 <= iy < size_y and 0 <= iz < size_z
                if not inside and entered:
                    break
                x, y, z = ix, iy, iz
                if next_x < next_y and next_x < next_z:
                    leave = next_x
                    ix += step_x
                    next_x += delta_x
                elif not next_x < next_y and next_y < next_z:
                    leave = next_y
                    iy += step_y
                    next_y += delta_y
                else:
                    leave = next_z
                    iz += step_z
                    next_z += delta_z
                if inside:
                    entered = True
                    voxel[t, r] = (x * size_y + y) * size_z + z
                    distance[t, r] = leave
                    if semantics[x, y, z] != free:
                        break
    return voxel, distance


def rendered(values: npt.NDArray[np.generic], voxel: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Values of an (X, Y, Z) grid at flat voxel indices."""
    return values.reshape(-1)[voxel].astype(np.int64)
