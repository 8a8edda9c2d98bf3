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

"""Which frustum point falls into which voxel: the table that drives pooling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from flashocc_ros.camera_model import PINHOLE, CameraModel
from flashocc_ros.geometry.camera_models import rays_of_pixels
from flashocc_ros.geometry.frames import Geometry
from flashocc_ros.geometry.frustum import frustum_axes
from flashocc_ros.ranges import MAX_CAMERAS
from flashocc_ros.variants import Variant

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class LiftTable:
    """Kept frustum points sorted by the cell they fall into.

    Attributes:
        point_index: (P,) int32 flat index into (N, D, fH, fW), grouped by cell, ascending within a cell.
        cell_index: (K,) int32 flat index into (Dz, Dy, Dx) of the K cells that hold points, ascending.
        cell_start: (K + 1,) int32; points of cell k are ``point_index[cell_start[k]:cell_start[k + 1]]``.
        grid_shape: (Dz, Dy, Dx).
        frustum_shape: (N, D, fH, fW).
    """

    point_index: Int32
    cell_index: Int32
    cell_start: Int32
    grid_shape: tuple[int, int, int]
    frustum_shape: tuple[int, int, int, int]

    @property
    def num_cells(self) -> int:
        """Cells of the whole grid, empty ones included."""
        return self.grid_shape[0] * self.grid_shape[1] * self.grid_shape[2]

    @property
    def num_points_total(self) -> int:
        """Frustum points before any was dropped."""
        cameras, depths, height, width = self.frustum_shape
        return cameras * depths * height * width

    @cached_property
    def pixel_index(self) -> Int32:
        """(P,) int32 flat index into (N, fH, fW) of the feature each point carries."""
        _, depths, height, width = self.frustum_shape
        camera_and_depth, cell = np.divmod(self.point_index, np.int32(height * width))
        return (camera_and_depth // np.int32(depths)) * np.int32(height * width) + cell


@dataclass(frozen=True, eq=False)
class LiftNumbers:
    """What decides a lift table, all float32: whoever computes with them in this order gets the same table to the bit.

    Per point, with u, v, d of ``frustum_axes``: ``p = undo @ ((u, v, d) - offset)``, then
    ``q = key_from_pixel @ (p0 * p2, p1 * p2, p2) + shift``, then ``bda @ q``, metres in the key ego frame.

    Attributes:
        undo, offset: (N, 3, 3) and (N, 3), network pixel to source pixel.
        key_from_pixel, shift: (N, 3, 3) and (N, 3), scaled source pixel to metres in the key ego frame.
        bda: (3, 3) augmentation.
    """

    undo: Float32
    offset: Float32
    key_from_pixel: Float32
    shift: Float32
    bda: Float32


def lift_numbers(geometry: Geometry, frame: int = 0) -> LiftNumbers:
    """Poses are composed in float64 and used in float32, as in the reference."""
    pose, intrinsics, post_rot, post_tran, bda = (
        value.astype(np.float32)
        for value in (
            geometry.camera_to_key(frame),
            geometry.intrinsics[frame],
            geometry.post_rot[frame],
            geometry.post_tran[frame],
            geometry.bda,
        )
    )
    key_from_pixel = pose[:, :3, :3] @ np.linalg.inv(intrinsics)
    return LiftNumbers(np.linalg.inv(post_rot), post_tran, key_from_pixel, np.ascontiguousarray(pose[:, :3, 3]), bda)


def grid_size(variant: Variant) -> tuple[int, int, int]:
    """(Dx, Dy, Dz) cells of the pooled volume."""
    size_x, size_y, _ = variant.grid.size
    return size_x, size_y, variant.lift_z_bins


def lower_m(variant: Variant) -> Float32:
    """(3,) lower corner of the volume in the key ego frame."""
    return np.array(variant.grid.origin_m, np.float32)


def cell_sizes_m(variant: Variant) -> Float32:
    """(3,) along x, y, z."""
    grid = variant.grid
    return np.array((grid.resolution_m, grid.resolution_m, grid.extent_m[2] / variant.lift_z_bins), np.float32)


def frustum_shape(variant: Variant, cameras: int) -> tuple[int, int, int, int]:
    """(N, D, fH, fW)."""
    return cameras, variant.depth.count, *variant.feature_size


def lift_table(variant: Variant, geometry: Geometry, frame: int = 0) -> LiftTable:
    """Assign every frustum point of the N cameras of ``frame`` to a voxel of the volume, in the key ego frame.

    Order of operations and precision follow the reference, because points on cell borders move by rounding: poses are
    composed in float64; then, all in float32, undo the picture transform, scale by depth, ``R inv(K)``, translate,
    apply ``bda``. The index is truncated toward zero, so values in (-1, 0) land in cell 0: with one height slice of
    6.4 m, points down to z > -7.4 m are kept. A floor would give another network.

    Points of a camera that is no pinhole lie at the bins' depths along the rays of its pixels: distance along the ray
    for equidistant ones, z for rational ones (``CameraModel.along_ray``).
    """
    # Numba takes half a second to load, which a parameter check that only needs the grid should not wait for.
    from flashocc_ros.geometry.lift_kernels import cells_along_rays, cells_of_points, sort_by_cell

    numbers = lift_numbers(geometry, frame)
    bda = np.empty((0, 0), np.float32) if np.array_equal(numbers.bda, np.eye(3)) else numbers.bda
    size, shape = grid_size(variant), frustum_shape(variant, len(numbers.undo))
    grid = bda, lower_m(variant), cell_sizes_m(variant), size
    columns, rows, depths = frustum_axes(variant)
    cells = np.empty(shape, np.int32)
    straight = np.array([model == PINHOLE for model in geometry.models])
    # whole array where all are pinholes: a part of it is a copy
    part = cells if straight.all() else np.empty((int(straight.sum()), *shape[1:]), np.int32)
    undo, offset, key_from_pixel, shift = (
        n[straight] for n in (numbers.undo, numbers.offset, numbers.key_from_pixel, numbers.shift)
    )
    cells_of_points(columns, rows, depths, undo, offset, key_from_pixel, shift, *grid, part)
    if part is not cells:
        cells[straight] = part
        bent = np.flatnonzero(~straight)
        part = np.empty((len(bent), *shape[1:]), np.int32)
        rays = np.stack([key_rays(variant, geometry, frame, camera) for camera in bent.tolist()])
        cells_along_rays(rays, depths, numbers.shift[bent], *grid, part)
        cells[bent] = part
    points, cell_index, cell_start = sort_by_cell(cells.reshape(-1), size[0] * size[1] * size[2])
    return LiftTable(points, cell_index, cell_start, size[::-1], shape)


def key_rays(variant: Variant, geometry: Geometry, frame: int, camera: int) -> Float32:
    """What one metre of depth is in the key ego frame, for the cells of a camera: (fH, fW, 3) float32, NaN for none."""
    place = (a[frame, camera] for a in (geometry.intrinsics, geometry.post_rot, geometry.post_tran))
    rays = _cell_rays(variant, geometry.models[camera], *(tuple(a.ravel().tolist()) for a in place))
    return (rays @ geometry.camera_to_key(frame)[camera][:3, :3].T).astype(np.float32)


@lru_cache(maxsize=2 * MAX_CAMERAS)
def _cell_rays(
    variant: Variant,
    model: CameraModel,
    intrinsic: tuple[float, ...],
    post_rot: tuple[float, ...],
    post_tran: tuple[float, ...],
) -> Float64:
    """(fH, fW, 3) in the optical frame; kept, as a vehicle that moves asks for every set, and lenses do not move.

    A network pixel is led back to the picture it was cut from, and from there along its own ray.
    """
    columns, rows, _ = frustum_axes(variant)
    network = np.stack(np.meshgrid(columns, rows), -1).astype(np.float64)
    undo = np.linalg.inv(np.reshape(post_rot, (3, 3))[:2, :2])
    return rays_of_pixels(model, np.reshape(intrinsic, (3, 3)), (network - post_tran[:2]) @ undo.T)
