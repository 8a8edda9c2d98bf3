"""Which frustum point falls into which voxel: the table that drives pooling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from flashocc_ros.geometry.frustum import frustum_axes
from flashocc_ros.variants import Variant

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

    Order of operations and precision follow the reference, because points on cell borders move by rounding: undo the
    picture transform, scale by depth, ``R inv(K)``, translate, apply ``bda``, all in float32. The index is truncated
    toward zero, so values in (-1, 0) land in cell 0: with one height slice of 6.4 m, points down to z > -7.4 m are
    kept. A floor would give another network.
    """
    # Numba takes half a second to load, which a parameter check that only needs the grid should not wait for.
    from flashocc_ros.geometry.lift_kernels import cells_of_points, sort_by_cell

    intrinsics32, post_rot32, post_tran32, bda32 = (
        np.asarray(value, np.float32) for value in (intrinsics, post_rot, post_tran, bda)
    )
    pose = np.asarray(camera_to_key, np.float64).astype(np.float32)
    if np.array_equal(bda32, np.eye(3, dtype=np.float32)):
        bda32 = np.empty((0, 0), np.float32)
    size = (SIZE_XY, SIZE_XY, variant.lift_z_bins)
    feature_height, feature_width = variant.feature_size
    shape = (pose.shape[0], variant.depth.count, feature_height, feature_width)
    cells = np.empty(shape, np.int32)
    cells_of_points(
        *frustum_axes(variant),
        np.linalg.inv(post_rot32),
        np.ascontiguousarray(post_tran32),
        pose[:, :3, :3] @ np.linalg.inv(intrinsics32),
        np.ascontiguousarray(pose[:, :3, 3]),
        np.ascontiguousarray(bda32),
        LOWER_M,
        np.array((CELL_XY_M, CELL_XY_M, HEIGHT_M / variant.lift_z_bins), np.float32),
        size,
        cells,
    )
    points, cell_index, cell_start = sort_by_cell(cells.reshape(-1), size[0] * size[1] * size[2])
    return LiftTable(points, cell_index, cell_start, size[::-1], shape)
