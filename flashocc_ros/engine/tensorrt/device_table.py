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

"""A lift table on a device, made there or copied there, and pooling with it in torch's own operators.

Nothing about it depends on how many points fall into the grid: sizes are those of the frustum and of the grid, so
making and using one never waits for the device.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from flashocc_ros.engine.poolers.torch_pooler import channels_first
from flashocc_ros.geometry.lift import LiftTable


@dataclass(frozen=True, eq=False)
class DeviceTable:
    """Frustum points in the order of their cells, int32.

    Attributes:
        point_index: flat index into (N, D, fH, fW), ascending within a cell. Behind the last cell's points may follow
            those that fall outside the grid.
        cell_start: (cells + 1,); points of cell k are ``point_index[cell_start[k]:cell_start[k + 1]]``, also of empty
            ones.
        grid_shape: (Dz, Dy, Dx).
        frustum_shape: (N, D, fH, fW).
    """

    point_index: Tensor
    cell_start: Tensor
    grid_shape: tuple[int, int, int]
    frustum_shape: tuple[int, int, int, int]


def to_device(table: LiftTable, device: torch.device | str) -> DeviceTable:
    """A table made on the host."""
    counts = np.zeros(table.num_cells + 1, np.int32)
    counts[table.cell_index + 1] = np.diff(table.cell_start)
    start = np.cumsum(counts, dtype=np.int32)
    point, start_there = (torch.from_numpy(array).to(device) for array in (table.point_index, start))
    return DeviceTable(point, start_there, table.grid_shape, table.frustum_shape)


def pool(depth: Tensor, context: Tensor, table: DeviceTable, *, volumetric: bool = False) -> Tensor:
    """Depth-weighted context summed into the grid, float32; shapes as ``numba_pooler.pool``."""
    _, depths, height, width = table.frustum_shape
    by_pixel = context.permute(0, 2, 3, 1).reshape(-1, context.shape[1]).float()
    point = table.point_index
    pixel = point // (depths * height * width) * (height * width) + point % (height * width)
    # One more bag takes the points outside the grid; it is left out again.
    bags = functional.embedding_bag(
        pixel, by_pixel, table.cell_start, mode="sum", per_sample_weights=depth.reshape(-1)[point].float()
    )
    return channels_first(bags[: math.prod(table.grid_shape)], table.grid_shape, volumetric)


def pooler_for(device: torch.device) -> ModuleType:
    """The module whose ``pool`` to call: the Triton kernel on a GPU that has Triton, else torch's own operators."""
    name = (
        "triton_pooler" if device.type == "cuda" and importlib.util.find_spec("triton") is not None else "device_table"
    )
    return importlib.import_module(f"flashocc_ros.engine.tensorrt.{name}")
