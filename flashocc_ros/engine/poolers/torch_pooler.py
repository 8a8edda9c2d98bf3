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

"""Pooling with torch on any device: ``embedding_bag`` for speed, ``index_add`` as the reference of all poolers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    from flashocc_ros.geometry.lift import LiftTable


@dataclass(frozen=True)
class TorchTable:
    """A lift table on a device.

    Attributes:
        point: (P,) int64 index into the flat (N, D, fH, fW) depth, sorted by cell.
        pixel: (P,) int64 index into the (N * fH * fW) feature pixels.
        cell: (K,) int64 flat cell of each run of points.
        start: (K,) int64 first point of each run.
        cell_of_point: (P,) int64.
        grid_shape: (Dz, Dy, Dx).
    """

    point: Tensor
    pixel: Tensor
    cell: Tensor
    start: Tensor
    cell_of_point: Tensor
    grid_shape: tuple[int, int, int]


def to_device(table: LiftTable, device: torch.device | str = "cpu") -> TorchTable:
    """The table as int64 tensors."""

    def tensor(array: npt.NDArray[np.int32]) -> Tensor:
        return torch.from_numpy(array).to(device, torch.int64)

    counts = np.diff(table.cell_start)
    return TorchTable(
        point=tensor(table.point_index),
        pixel=tensor(table.pixel_index),
        cell=tensor(table.cell_index),
        start=tensor(table.cell_start[:-1]),
        cell_of_point=tensor(np.repeat(table.cell_index, counts)),
        grid_shape=table.grid_shape,
    )


def pool(depth: Tensor, context: Tensor, table: TorchTable, *, volumetric: bool = False) -> Tensor:
    """Depth-weighted context summed into the grid; shapes as ``numba_pooler.pool``."""
    by_pixel = context.permute(0, 2, 3, 1).reshape(-1, context.shape[1])
    bags = torch.nn.functional.embedding_bag(
        table.pixel, by_pixel, table.start, mode="sum", per_sample_weights=depth.reshape(-1)[table.point]
    )
    grid = by_pixel.new_zeros(math.prod(table.grid_shape), by_pixel.shape[1])
    grid[table.cell] = bags
    return channels_first(grid, table.grid_shape, volumetric)


def pool_index_add(depth: Tensor, context: Tensor, table: TorchTable, *, volumetric: bool = False) -> Tensor:
    """The definition, term by term; shapes as ``numba_pooler.pool``."""
    by_pixel = context.permute(0, 2, 3, 1).reshape(-1, context.shape[1])
    weighted = by_pixel[table.pixel] * depth.reshape(-1)[table.point][:, None]
    grid = by_pixel.new_zeros(math.prod(table.grid_shape), by_pixel.shape[1])
    return channels_first(grid.index_add_(0, table.cell_of_point, weighted), table.grid_shape, volumetric)


def channels_first(grid: Tensor, grid_shape: tuple[int, int, int], volumetric: bool) -> Tensor:
    """(cells, C) to (1, Dz * C, Dy, Dx), or to (1, C, Dz, Dy, Dx) when ``volumetric``."""
    slices, rows, columns = grid_shape
    channels = grid.shape[1]
    grid = grid.reshape(slices, rows, columns, channels)
    if volumetric:
        return grid.permute(3, 0, 1, 2).unsqueeze(0)
    return grid.permute(0, 3, 1, 2).reshape(1, slices * channels, rows, columns)
