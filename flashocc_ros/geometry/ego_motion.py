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

"""Moving a past bird's-eye map under the vehicle's present position."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flashocc_ros.voxel_grid import OCC3D_GRID, VoxelGrid


def bev_warp_grid(
    key_from_previous: npt.ArrayLike, bda: npt.ArrayLike | None = None, grid: VoxelGrid = OCC3D_GRID
) -> npt.NDArray[np.float32]:
    """Where each cell of the key map lies in a previous map.

    Args:
        key_from_previous: (4, 4) float64, key ego frame from the previous ego frame, metres.
        bda: (3, 3) augmentation both maps were lifted with, identity when None.
        grid: of the network; gives the cells of its maps.

    Returns:
        (Dy, Dx, 2) float32, rows y, columns x, last axis (x, y) normalised to [-1, 1] from first to last cell:
        the argument of ``grid_sample(align_corners=True, padding_mode="zeros")``. The motion is projected to the
        ground plane; cell i sits at its lower edge.
    """
    rows, columns = grid.map_size
    x, y = np.arange(columns, dtype=np.float64)[None, :], np.arange(rows, dtype=np.float64)[:, None]
    cell_from_cell = previous_cell_from_cell(key_from_previous, bda, grid)
    source = np.stack([t[0] * x + t[1] * y + t[2] for t in cell_from_cell], axis=-1)
    return (source / np.array((columns - 1, rows - 1), np.float64) * 2 - 1).astype(np.float32)


def previous_cell_from_cell(
    key_from_previous: npt.ArrayLike, bda: npt.ArrayLike | None = None, grid: VoxelGrid = OCC3D_GRID
) -> npt.NDArray[np.float64]:
    """(2, 3) float64: index (x, y, 1) of a cell of the key map to the index, with fractions, in the previous map."""
    augmentation = np.eye(4)
    if bda is not None:
        augmentation[:3, :3] = np.asarray(bda, np.float64)
    pose = np.asarray(key_from_previous, np.float64)
    previous_from_key = augmentation @ np.linalg.inv(pose) @ np.linalg.inv(augmentation)
    planar = previous_from_key[np.ix_((0, 1, 3), (0, 1, 3))]
    x_m, y_m, _ = grid.origin_m
    metres_from_cell = np.array([[grid.resolution_m, 0, x_m], [0, grid.resolution_m, y_m], [0, 0, 1]])
    cell_from_cell: npt.NDArray[np.float64] = np.linalg.inv(metres_from_cell) @ planar @ metres_from_cell
    return cell_from_cell[:2]
