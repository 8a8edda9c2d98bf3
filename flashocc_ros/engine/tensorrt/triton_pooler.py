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

"""Pooling on NVIDIA GPUs: one Triton program per cell sums its points, no atomics, no order left to chance."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashocc_ros.engine.tensorrt.device_table import DeviceTable


@triton.jit
def _sum_cells(  # type: ignore[no-untyped-def]
    depth,
    context,
    point_index,
    cell_start,
    out,
    channels,
    points_per_camera,
    pixels_per_camera,
    plane,
    slice_stride,
    channel_stride,
    BLOCK: tl.constexpr,
):
    """One cell: ``out[channel] = sum of depth[point] * context[pixel, channel]``, sums in float32; 0 without points."""
    cell = tl.program_id(0)
    begin = tl.load(cell_start + cell)
    end = tl.load(cell_start + cell + 1)
    channel = tl.arange(0, BLOCK)
    inside = channel < channels
    total = tl.zeros((BLOCK,), tl.float32)
    for position in range(begin, end):
        point = tl.load(point_index + position)
        pixel = point // points_per_camera * pixels_per_camera + point % pixels_per_camera
        weight = tl.load(depth + point).to(tl.float32)
        feature = tl.load(context + pixel * channels + channel, mask=inside, other=0.0)
        total += weight * feature.to(tl.float32)
    target = (cell // plane) * slice_stride + cell % plane + channel * channel_stride
    tl.store(out + target, total, mask=inside)


def pool(depth: Tensor, context: Tensor, table: DeviceTable, *, volumetric: bool = False) -> Tensor:
    """Depth-weighted context summed into the grid, float32; shapes as ``numba_pooler.pool``.

    Empty cells are written too: how many there are is not known here without waiting for the device.
    """
    channels = context.shape[1]
    _, depths, height, width = table.frustum_shape
    slices, rows, columns = table.grid_shape
    plane = rows * columns
    shape = (1, channels, slices, rows, columns) if volumetric else (1, slices * channels, rows, columns)
    slice_stride, channel_stride = (plane, slices * plane) if volumetric else (channels * plane, plane)
    out = torch.empty(shape, dtype=torch.float32, device=context.device)
    _sum_cells[(slices * plane,)](
        depth.contiguous(),
        context.permute(0, 2, 3, 1).contiguous(),
        table.point_index,
        table.cell_start,
        out,
        channels,
        depths * height * width,
        height * width,
        plane,
        slice_stride,
        channel_stride,
        BLOCK=triton.next_power_of_2(channels),
        num_warps=1 if channels <= 64 else 2,
    )
    return out
