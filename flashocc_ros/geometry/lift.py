"""Which frustum point falls into which voxel: the table that drives pooling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from flashocc_ros.geometry.frustum import frustum_axes
from flashocc_ros.model.variants import Variant

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]

LOWER_M = np.array((-40.0, -40.0, -1.0), np.float32)
"""Lower corner of the volume in the key ego frame."""
CELL_XY_M = 0.4
HEIGHT_M = 6.4
SIZE_XY = 200


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


def frustum_points(
    variant: Variant,
    camera_to_key: Float64,
    intrinsics: npt.ArrayLike,
    post_rot: npt.ArrayLike,
    post_tran: npt.ArrayLike,
    bda: npt.ArrayLike,
) -> tuple[Float32, Float32, Float32]:
    """Positions x, y, z of all frustum points in the key ego frame, metres, each (N, D, fH, fW) float32.

    Order of operations and precision follow the reference, because points on cell borders move by rounding:
    undo the picture transform, scale by depth, ``R inv(K)``, translate, apply ``bda``.
    """
    columns, rows, depths = frustum_axes(variant)
    intrinsics32, post_rot32, post_tran32, bda32 = (
        np.asarray(value, np.float32) for value in (intrinsics, post_rot, post_tran, bda)
    )
    pose = np.asarray(camera_to_key, np.float64).astype(np.float32)
    undo = np.linalg.inv(post_rot32)[:, :, :, None, None, None]
    key_from_pixel = (pose[:, :3, :3] @ np.linalg.inv(intrinsics32))[:, :, :, None, None, None]
    offset = post_tran32[:, :, None, None, None]
    shift = pose[:, :3, 3][:, :, None, None, None]

    u = columns[None, None, None, :] - offset[:, 0]
    v = rows[None, None, :, None] - offset[:, 1]
    d = depths[None, :, None, None] - offset[:, 2]
    u, v, d = (undo[:, row, 0] * u + undo[:, row, 1] * v + undo[:, row, 2] * d for row in range(3))
    u, v = u * d, v * d
    x, y, z = (
        key_from_pixel[:, row, 0] * u + key_from_pixel[:, row, 1] * v + key_from_pixel[:, row, 2] * d + shift[:, row]
        for row in range(3)
    )
    if not np.array_equal(bda32, np.eye(3, dtype=np.float32)):
        x, y, z = (bda32[row, 0] * x + bda32[row, 1] * y + bda32[row, 2] * z for row in range(3))
    return x, y, z


def lift_table(
    variant: Variant,
    camera_to_key: Float64,
    intrinsics: npt.ArrayLike,
    post_rot: npt.ArrayLike,
    post_tran: npt.ArrayLike,
    bda: npt.ArrayLike,
) -> LiftTable:
    """Assign every frustum point of N cameras to a voxel of the variant's pooled volume.

    Args:
        camera_to_key: (N, 4, 4) float64 camera optical frame to key ego frame, metres.
        intrinsics: (N, 3, 3) pixels of the source picture.
        post_rot: (N, 3, 3) and
        post_tran: (N, 3) source pixel to network pixel.
        bda: (3, 3) augmentation of the key ego frame, identity at inference.

    The index is truncated toward zero, so values in (-1, 0) land in cell 0: with one height slice of 6.4 m, points
    down to z > -7.4 m are kept. A floor would give another network.
    """
    x, y, z = frustum_points(variant, camera_to_key, intrinsics, post_rot, post_tran, bda)
    z_bins = variant.lift_z_bins
    ix = ((x - LOWER_M[0]) / np.float32(CELL_XY_M)).astype(np.int32)
    iy = ((y - LOWER_M[1]) / np.float32(CELL_XY_M)).astype(np.int32)
    iz = ((z - LOWER_M[2]) / np.float32(HEIGHT_M / z_bins)).astype(np.int32)
    kept = (ix >= 0) & (ix < SIZE_XY) & (iy >= 0) & (iy < SIZE_XY) & (iz >= 0) & (iz < z_bins)
    points = np.flatnonzero(kept).astype(np.int32)
    cells = ((iz * SIZE_XY + iy) * SIZE_XY + ix)[kept]

    order = _stable_order(cells)
    cells = cells[order]
    is_first = np.ones(cells.size, bool)
    is_first[1:] = cells[1:] != cells[:-1]
    start = np.flatnonzero(is_first).astype(np.int32)
    feature_height, feature_width = variant.feature_size
    return LiftTable(
        point_index=points[order],
        cell_index=cells[start],
        cell_start=np.append(start, np.int32(cells.size)),
        grid_shape=(z_bins, SIZE_XY, SIZE_XY),
        frustum_shape=(ix.shape[0], variant.depth.count, feature_height, feature_width),
    )


def _stable_order(cells: Int32) -> npt.NDArray[np.intp]:
    """Stable sort order of non-negative ints; 16-bit halves make numpy use its radix sort, ten times faster here."""
    order = np.argsort(cells.astype(np.uint16), kind="stable")
    high = (cells >> 16).astype(np.uint16)
    return order[np.argsort(high[order], kind="stable")] if high.any() else order
