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

"""Pooling on the CPU without torch: one pass over the sorted points, output written once, in place.

Grid rows are dealt to two or more threads that run without the interpreter lock; a row's sums stay in a small
buffer, so the channel-first output is written in runs of a whole row instead of one number per channel.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from flashocc_ros.threads import worker_count

if TYPE_CHECKING:
    from flashocc_ros.geometry.lift import LiftTable

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]


@nb.njit(
    "void(f4[::1], f4[:, ::1], i4[::1], i4[::1], i4[::1], i4[::1], i8, i8, i8, i8, i8, i8, i8, f4[::1])",
    cache=True,
    nogil=True,
    fastmath={"contract", "nsz"},
    boundscheck=False,
)
def _pool_rows(
    depth: Float32,
    context: Float32,
    point_index: Int32,
    pixel_index: Int32,
    cell_index: Int32,
    cell_start: Int32,
    first_row: int,
    stop_row: int,
    first_cell: int,
    rows_per_slice: int,
    columns: int,
    slice_stride: int,
    channel_stride: int,
    out: Float32,
) -> None:
    """Fills rows [first_row, stop_row) of the flat ``out``; a row is one y of one height slice."""
    channels = context.shape[1]
    sums = np.zeros((columns, channels), np.float32)
    cell = first_cell
    for row in range(first_row, stop_row):
        z, y = row // rows_per_slice, row % rows_per_slice
        stop_index = (row + 1) * columns
        sums[:] = 0.0
        while cell < len(cell_index) and cell_index[cell] < stop_index:
            target = sums[cell_index[cell] - row * columns]
            for position in range(cell_start[cell], cell_start[cell + 1]):
                weight = depth[point_index[position]]
                source = context[pixel_index[position]]
                for channel in range(channels):
                    target[channel] += weight * source[channel]
            cell += 1
        for channel in range(channels):
            begin = z * slice_stride + channel * channel_stride + y * columns
            for x in range(columns):
                out[begin + x] = sums[x, channel]


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(worker_count(), thread_name_prefix="flashocc-pool")


def pool(depth: Float32, context: Float32, table: LiftTable, *, volumetric: bool = False) -> Float32:
    """Depth-weighted context summed into the grid.

    Args:
        depth: (N, D, fH, fW) float32 probabilities.
        context: (N, C, fH, fW) float32.
        table: points sorted by cell.
        volumetric: keep the height axis instead of folding it into the channels.

    Returns:
        (1, Dz * C, Dy, Dx) float32 with channel = z * C + c, or (1, C, Dz, Dy, Dx) when ``volumetric``;
        axes y, x last. A fresh array.
    """
    cameras, channels, height, width = context.shape
    slices, rows, columns = table.grid_shape
    flat_depth = np.ascontiguousarray(depth, np.float32).reshape(-1)
    by_pixel = np.ascontiguousarray(
        np.asarray(context, np.float32).reshape(cameras, channels, height * width).transpose(0, 2, 1)
    ).reshape(cameras * height * width, channels)
    plane = rows * columns
    shape = (1, channels, slices, rows, columns) if volumetric else (1, slices * channels, rows, columns)
    slice_stride, channel_stride = (plane, slices * plane) if volumetric else (channels * plane, plane)
    out = np.empty(shape, np.float32)
    flat_out = out.reshape(-1)
    bounds = _balanced_rows(table, worker_count())
    first_cells = np.searchsorted(table.cell_index, bounds * columns)

    def work(part: int) -> None:
        _pool_rows(
            flat_depth,
            by_pixel,
            table.point_index,
            table.pixel_index,
            table.cell_index,
            table.cell_start,
            int(bounds[part]),
            int(bounds[part + 1]),
            int(first_cells[part]),
            rows,
            columns,
            slice_stride,
            channel_stride,
            flat_out,
        )

    list(_threads().map(work, range(len(bounds) - 1)))
    return out


def _balanced_rows(table: LiftTable, parts: int) -> npt.NDArray[np.int64]:
    """Row bounds (parts + 1,) that give every thread about the same number of points and of cells to write."""
    slices, rows_per_slice, columns = table.grid_shape
    rows = slices * rows_per_slice
    cells_before = np.searchsorted(table.cell_index, np.arange(rows + 1, dtype=np.int64) * columns)
    work_before = table.cell_start[cells_before].astype(np.int64) + columns * np.arange(rows + 1)
    targets = np.linspace(0, work_before[-1], parts + 1)
    bounds = np.searchsorted(work_before, targets)
    bounds[0], bounds[-1] = 0, rows
    return bounds
