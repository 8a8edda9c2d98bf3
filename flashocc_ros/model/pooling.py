"""Summing lifted features per voxel, differentiable."""

from __future__ import annotations

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
    points = torch.from_numpy(table.point_index).to(depth.device)
    pixels = torch.from_numpy(table.pixel_index).to(depth.device)
    start = torch.from_numpy(table.cell_start[:-1]).to(depth.device)
    rows = context.permute(0, 2, 3, 1).reshape(-1, channels)
    weights = depth.reshape(-1).index_select(0, points)
    summed = F.embedding_bag(pixels, rows, start, mode="sum", per_sample_weights=weights)
    grid = summed.new_zeros(table.num_cells, channels)
    grid = grid.index_copy(0, torch.from_numpy(table.cell_index).long().to(depth.device), summed)
    return grid.t().reshape(1, channels, *table.grid_shape)
