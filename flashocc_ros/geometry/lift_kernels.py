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

"""The lift table in two passes over the points: which cell each falls into, then the points in the order of cells.

Compiled without contraction or reordering: a point on a cell border moves by the last bit of its position.
"""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True, inline="always")
def _cell(x, y, z, lower, cell_m, size):  # type: ignore[no-untyped-def]
    """Truncated toward zero, so that (-1, 0) is cell 0; -1 for what is outside or NaN."""
    fx, fy, fz = (x - lower[0]) / cell_m[0], (y - lower[1]) / cell_m[1], (z - lower[2]) / cell_m[2]
    cell = -1
    if -1.0 < fx < size[0] and -1.0 < fy < size[1] and -1.0 < fz < size[2]:
        cell = (np.int32(fz) * size[1] + np.int32(fy)) * size[0] + np.int32(fx)
    return cell


@nb.njit(cache=True, nogil=True)
def cells_of_points(columns, rows, depths, undo, offset, key_from_pixel, shift, bda, lower, cell_m, size, cells):  # type: ignore[no-untyped-def]
    """Fill ``cells`` (N, D, fH, fW) int32 with the flat cell (z, y, x) of every point, -1 outside the volume.

    Args:
        columns, rows, depths: frustum axes, float32, in network pixels and metres.
        undo, offset: (N, 3, 3) and (N, 3) float32, network pixel to source pixel.
        key_from_pixel, shift: (N, 3, 3) and (N, 3) float32, scaled source pixel to metres in the key ego frame.
        bda: (3, 3) float32, or (0, 0) for none.
        lower, cell_m: (3,) float32 corner and cell sizes of the volume, metres.
        size: (Dx, Dy, Dz).
    """
    for camera in range(cells.shape[0]):
        r, k = undo[camera], key_from_pixel[camera]
        for depth_index in range(len(depths)):
            depth = depths[depth_index] - offset[camera, 2]
            for row_index in range(len(rows)):
                row = rows[row_index] - offset[camera, 1]
                for column_index in range(len(columns)):
                    column = columns[column_index] - offset[camera, 0]
                    d = r[2, 0] * column + r[2, 1] * row + r[2, 2] * depth
                    u = (r[0, 0] * column + r[0, 1] * row + r[0, 2] * depth) * d
                    v = (r[1, 0] * column + r[1, 1] * row + r[1, 2] * depth) * d
                    x = k[0, 0] * u + k[0, 1] * v + k[0, 2] * d + shift[camera, 0]
                    y = k[1, 0] * u + k[1, 1] * v + k[1, 2] * d + shift[camera, 1]
                    z = k[2, 0] * u + k[2, 1] * v + k[2, 2] * d + shift[camera, 2]
                    if bda.size:
                        x, y, z = (
                            bda[0, 0] * x + bda[0, 1] * y + bda[0, 2] * z,
                            bda[1, 0] * x + bda[1, 1] * y + bda[1, 2] * z,
                            bda[2, 0] * x + bda[2, 1] * y + bda[2, 2] * z,
                        )
                    cells[camera, depth_index, row_index, column_index] = _cell(x, y, z, lower, cell_m, size)


@nb.njit(cache=True, nogil=True)
def cells_along_rays(rays, depths, shift, bda, lower, cell_m, size, cells):  # type: ignore[no-untyped-def]
    """The same for cameras whose pixels have rays of their own.

    Args:
        rays: (N, fH, fW, 3) float32, what one metre of depth is in the key ego frame, metres; NaN for none.
        depths, shift, bda, lower, cell_m, size, cells: as in ``cells_of_points``.
    """
    for camera, depth_index, row, column in np.ndindex(cells.shape):
        depth, ray = depths[depth_index], rays[camera, row, column]
        x, y, z = (
            ray[0] * depth + shift[camera, 0],
            ray[1] * depth + shift[camera, 1],
            ray[2] * depth + shift[camera, 2],
        )
        if bda.size:
            x, y, z = (
                bda[0, 0] * x + bda[0, 1] * y + bda[0, 2] * z,
                bda[1, 0] * x + bda[1, 1] * y + bda[1, 2] * z,
                bda[2, 0] * x + bda[2, 1] * y + bda[2, 2] * z,
            )
        cells[camera, depth_index, row, column] = _cell(x, y, z, lower, cell_m, size)


@nb.njit(cache=True, nogil=True)
def sort_by_cell(cells, num_cells):  # type: ignore[no-untyped-def]
    """Counting sort of ``cells`` (P,) int32, -1 left out.

    Returns:
        Points in the order of their cells, ascending within a cell; the cells that hold points; where each begins,
        with the total behind. All int32.
    """
    begin = np.zeros(num_cells + 1, np.int32)
    for cell in cells:
        if cell >= 0:
            begin[cell + 1] += 1
    filled = 0
    for cell in range(num_cells):
        filled += begin[cell + 1] > 0
        begin[cell + 1] += begin[cell]
    cell_index = np.empty(filled, np.int32)
    cell_start = np.empty(filled + 1, np.int32)
    position = 0
    for cell in range(num_cells):
        if begin[cell + 1] > begin[cell]:
            cell_index[position], cell_start[position] = cell, begin[cell]
            position += 1
    cell_start[filled] = begin[num_cells]
    points = np.empty(begin[num_cells], np.int32)
    for point in range(len(cells)):
        cell = cells[point]
        if cell >= 0:
            points[begin[cell]] = point
            begin[cell] += 1
    return points, cell_index, cell_start
