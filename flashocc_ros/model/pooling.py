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

"""Summing lifted features per voxel, differentiable."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from flashocc_ros.geometry.lift import LiftTable


def pool(depth: Tensor, context: Tensor, table: LiftTable) -> Tensor:
    """Sum of depth probability times context over the points of each cell.

    Args:
        depth: (N, D, fH, fW) probabilities.
        context: (N, C, fH, fW) features.
        table: which point falls into which cell; its ``frustum_shape`` must be depth's shape.

    Returns:
        (1, C, Dz, Dy, Dx); cells without points are zero. Gradients reach both inputs.
    """
    channels = context.shape[1]
    rows = context.permute(0, 2, 3, 1).reshape(-1, channels)
    weights = depth.reshape(-1)
    if depth.device.type == "cpu" and torch.is_grad_enabled() and (depth.requires_grad or context.requires_grad):
        grid = _PoolOnCpu.apply(weights, rows, table)
    else:
        grid = _pool(weights, rows, table)
    return grid.t().reshape(1, channels, *table.grid_shape)


def _pool(weights: Tensor, rows: Tensor, table: LiftTable) -> Tensor:
    """(cells, C) from probabilities (N * D * fH * fW,) and features (N * fH * fW, C)."""
    points, pixels, start, cells = (
        torch.from_numpy(indices).to(rows.device)
        for indices in (table.point_index, table.pixel_index, table.cell_start[:-1], table.cell_index)
    )
    summed = F.embedding_bag(pixels, rows, start, mode="sum", per_sample_weights=weights.index_select(0, points))
    return summed.new_zeros(table.num_cells, rows.shape[1]).index_copy(0, cells.long(), summed)


class _PoolOnCpu(torch.autograd.Function):
    """The same sum; torch's own gradient writes the features of millions of points to memory and takes ten times as
    long."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, rows: Tensor, table: LiftTable) -> Tensor:
        ctx.save_for_backward(weights, rows)
        ctx.table = table
        return _pool(weights, rows, table)

    @staticmethod
    def backward(ctx: Any, grid: Tensor) -> tuple[Tensor, Tensor, None]:
        from flashocc_ros.model.pool_gradient import pool_gradient

        weights, rows = ctx.saved_tensors
        table: LiftTable = ctx.table
        kind = torch.float64 if rows.dtype == torch.float64 else torch.float32
        weights_out, rows_out = torch.zeros(weights.shape, dtype=kind), torch.zeros(rows.shape, dtype=kind)
        pool_gradient(
            weights.detach().to(kind).contiguous().numpy(),
            rows.detach().to(kind).contiguous().numpy(),
            table.point_index,
            table.pixel_index,
            table.cell_index,
            table.cell_start,
            grid.to(kind).contiguous().numpy(),
            weights_out.numpy(),
            rows_out.numpy(),
        )
        return weights_out.to(weights.dtype), rows_out.to(rows.dtype), None
