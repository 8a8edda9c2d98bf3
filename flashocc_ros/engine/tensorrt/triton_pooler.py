"""Pooling on NVIDIA GPUs: one Triton program per occupied cell sums its points, no atomics, no order left to chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

if TYPE_CHECKING:
    from flashocc_ros.geometry.lift import LiftTable


@triton.jit
def _sum_cells(  # type: ignore[no-untyped-def]
    depth,
    context,
    point_index,
    pixel_index,
    cell_index,
    cell_start,
    out,
    channels,
    plane,
    slice_stride,
    channel_stride,
    BLOCK: tl.constexpr,
):
    """One cell: ``out[channel] = sum of depth[point] * context[pixel, channel]``, sums in float32."""
    cell = tl.program_id(0)
    begin = tl.load(cell_start + cell)
    end = tl.load(cell_start + cell + 1)
    channel = tl.arange(0, BLOCK)
    inside = channel < channels
    total = tl.zeros((BLOCK,), tl.float32)
    for position in range(begin, end):
        weight = tl.load(depth + tl.load(point_index + position)).to(tl.float32)
        feature = tl.load(context + tl.load(pixel_index + position) * channels + channel, mask=inside, other=0.0)
        total += weight * feature.to(tl.float32)
    where = tl.load(cell_index + cell)
    target = (where // plane) * slice_stride + where % plane + channel * channel_stride
    tl.store(out + target, total, mask=inside)


@dataclass(frozen=True)
class TritonTable:
    """A lift table on a device, int32; see ``geometry.lift.LiftTable`` for the arrays."""

    point_index: Tensor
    pixel_index: Tensor
    cell_index: Tensor
    cell_start: Tensor
    grid_shape: tuple[int, int, int]


def to_device(table: LiftTable, device: torch.device | str) -> TritonTable:
    """Copy the table to ``device``."""
    arrays = (table.point_index, table.pixel_index, table.cell_index, table.cell_start)
    point, pixel, cell, start = (torch.from_numpy(array).to(device, torch.int32) for array in arrays)
    return TritonTable(point, pixel, cell, start, table.grid_shape)


def pool(depth: Tensor, context: Tensor, table: TritonTable, *, volumetric: bool = False) -> Tensor:
    """Depth-weighted context summed into the grid, float32; shapes as ``numba_pooler.pool``."""
    channels = context.shape[1]
    slices, rows, columns = table.grid_shape
    plane = rows * columns
    shape = (1, channels, slices, rows, columns) if volumetric else (1, slices * channels, rows, columns)
    slice_stride, channel_stride = (plane, slices * plane) if volumetric else (channels * plane, plane)
    out = torch.zeros(shape, dtype=torch.float32, device=context.device)
    cells = table.cell_index.numel()
    if cells:
        by_pixel = context.permute(0, 2, 3, 1).contiguous()
        _sum_cells[(cells,)](
            depth.contiguous(),
            by_pixel,
            table.point_index,
            table.pixel_index,
            table.cell_index,
            table.cell_start,
            out,
            channels,
            plane,
            slice_stride,
            channel_stride,
            BLOCK=triton.next_power_of_2(channels),
        )
    return out
