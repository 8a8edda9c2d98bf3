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

"""Lift tables and sampling grids made on the device, for a vehicle that moves: a few numbers go up, nothing comes back.

The arithmetic is that of ``geometry``, operation by operation in the same order and precision, one elementwise kernel
per operation, so that nothing contracts a product and a sum: the tables are equal to the host's to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from flashocc_ros.engine.tensorrt.device_table import DeviceTable, to_device
from flashocc_ros.engine.tensorrt.stream import DeviceStream, pinned
from flashocc_ros.geometry.ego_motion import previous_cell_from_cell
from flashocc_ros.geometry.frustum import frustum_axes
from flashocc_ros.geometry.lift import (
    cell_sizes_m,
    frustum_shape,
    grid_size,
    lift_numbers,
    lift_table,
    lower_m,
)
from flashocc_ros.geometry.stereo import MIN_DEPTH_M, OUTSIDE, STEREO_STRIDE, pixel_scale, stereo_numbers

if TYPE_CHECKING:
    from flashocc_ros.geometry import Geometry
    from flashocc_ros.variants import Variant


NUMBERS = 3 * 9 + 2 * 3
"""Of one camera that decide its part of a lift table: three matrices, two vectors."""


class DeviceGeometry:
    """Makes tables and grids of one variant on one device; call it inside ``stream``."""

    def __init__(self, variant: Variant, device: torch.device, stream: DeviceStream) -> None:
        self._variant, self._device, self._stream = variant, device, stream
        self._lifts: dict[int, _Lift] = {}
        self._rows, self._columns = (torch.arange(n, dtype=torch.float64, device=device) for n in variant.map_size)
        # On the device: a quotient by a number of the host is computed as a product with its inverse there.
        last = [[[len(self._columns) - 1]], [[len(self._rows) - 1]]]
        self._last = torch.tensor(last, dtype=torch.float64, device=device)
        self._stereo_axes = [torch.tensor(axis, device=device) for axis in frustum_axes(variant, STEREO_STRIDE)]

    def lift_table(self, geometry: Geometry) -> DeviceTable:
        """``geometry.lift.lift_table``; a new table each time. Rays of lenses are followed on the host."""
        if not geometry.pinhole:
            return to_device(lift_table(self._variant, geometry), self._device)
        cameras = geometry.num_cameras
        if cameras not in self._lifts:
            self._lifts[cameras] = _Lift(self._variant, cameras, self._device, self._stream)
        return self._lifts[cameras](geometry)

    def warp_grids(self, key_from_previous: Sequence[npt.NDArray[np.float64]]) -> Tensor:
        """(H, Dy, Dx, 2) float32: ``geometry.ego_motion.bev_warp_grid`` of every motion."""
        affine = np.stack([previous_cell_from_cell(pose, grid=self._variant.grid) for pose in key_from_previous])
        t = pinned(affine, self._device)[..., None, None]
        x, y = self._columns[None, None, None, :], self._rows[None, None, :, None]
        source = t[:, :, 0] * x + t[:, :, 1] * y + t[:, :, 2]
        return (source / self._last * 2 - 1).to(torch.float32).permute(0, 2, 3, 1).contiguous()

    def stereo_grid(self, geometry: Geometry) -> Tensor:
        """``geometry.stereo.stereo_grid``: (N, D, H/4, W/4, 2) float32."""
        numbers = stereo_numbers(geometry)
        undo, offset, ray_from_pixel, shift, k, rot = split(
            pinned(
                packed(
                    numbers.undo,
                    numbers.offset,
                    numbers.ray_from_pixel,
                    numbers.shift,
                    numbers.intrinsics,
                    numbers.post_rot,
                ),
                self._device,
            ),
            "mvmvmm",
        )
        columns, rows, depths = self._stereo_axes
        u = columns[None, None, None, :] - offset[:, 0]
        v = rows[None, None, :, None] - offset[:, 1]
        u, v = (undo[:, row, 0] * u + undo[:, row, 1] * v for row in range(2))
        depth = depths[None, :, None, None]
        x, y, z = (
            (ray_from_pixel[:, row, 0] * u + ray_from_pixel[:, row, 1] * v + ray_from_pixel[:, row, 2]) * depth
            + shift[:, row]
            for row in range(3)
        )
        behind = z < MIN_DEPTH_M
        z = z.masked_fill(behind, 1.0)
        x, y = x / z, y / z
        x, y = k[:, 0, 0] * x + k[:, 0, 1] * y + k[:, 0, 2], k[:, 1, 1] * y + k[:, 1, 2]
        scale = pixel_scale(self._variant)
        pixels = [rot[:, axis, 0] * x + rot[:, axis, 1] * y + offset[:, axis] for axis in range(2)]
        grid = [(p * float(s) - 1).masked_fill(behind, float(OUTSIDE)) for p, s in zip(pixels, scale, strict=True)]
        return torch.stack(grid, dim=-1)


class _Lift:
    """The table of one number of cameras, from buffers that stay where they are, so that a CUDA graph replays it."""

    def __init__(self, variant: Variant, cameras: int, device: torch.device, stream: DeviceStream) -> None:
        self._shape, size = frustum_shape(variant, cameras), grid_size(variant)
        self._grid_shape, self._cells = size[::-1], size[0] * size[1] * size[2]
        self._axes = [torch.tensor(axis, device=device) for axis in frustum_axes(variant)]
        self._size, self._lower = size, lower_m(variant).tolist()
        self._cell_m = torch.tensor(cell_sizes_m(variant), device=device)
        self._bounds = torch.arange(self._cells + 1, dtype=torch.int32, device=device)
        self._numbers = torch.zeros(cameras, NUMBERS, device=device)
        points = cameras * self._shape[1] * self._shape[2] * self._shape[3]
        self._point = torch.zeros(points, dtype=torch.int32, device=device)
        self._start = torch.zeros(self._cells + 1, dtype=torch.int32, device=device)
        self._device, self._stream = device, stream
        self._replay: Callable[[], None] | None = None

    def __call__(self, geometry: Geometry) -> DeviceTable:
        n = lift_numbers(geometry)
        numbers = packed(n.undo, n.offset, n.key_from_pixel, n.shift, np.broadcast_to(n.bda, n.undo.shape))
        self._numbers.copy_(pinned(numbers, self._device))
        if self._replay is None:
            self._replay = self._stream.captured(self._work)
        self._replay()
        return DeviceTable(self._point.clone(), self._start.clone(), self._grid_shape, self._shape)

    def _work(self) -> None:
        """Cells of all points, points outside behind the last one, then a stable sort: ascending within a cell."""
        cells = self._cell_of_points()
        ordered, point = torch.sort(cells.reshape(-1), stable=True)
        self._point.copy_(point)
        self._start.copy_(torch.searchsorted(ordered, self._bounds, out_int32=True))

    def _cell_of_points(self) -> Tensor:
        """(N, D, fH, fW) int32; see ``geometry.lift_kernels.cells_of_points``."""
        r, offset, k, shift, bda = split(self._numbers, "mvmvm")
        columns, rows, depths = self._axes
        depth = depths[None, :, None, None] - offset[:, 2]
        row = rows[None, None, :, None] - offset[:, 1]
        column = columns[None, None, None, :] - offset[:, 0]
        d = r[:, 2, 0] * column + r[:, 2, 1] * row + r[:, 2, 2] * depth
        u = (r[:, 0, 0] * column + r[:, 0, 1] * row + r[:, 0, 2] * depth) * d
        v = (r[:, 1, 0] * column + r[:, 1, 1] * row + r[:, 1, 2] * depth) * d
        q = [k[:, i, 0] * u + k[:, i, 1] * v + k[:, i, 2] * d + shift[:, i] for i in range(3)]
        q = [bda[:, i, 0] * q[0] + bda[:, i, 1] * q[1] + bda[:, i, 2] * q[2] for i in range(3)]
        x, y, z = ((value - lower) / step for value, lower, step in zip(q, self._lower, self._cell_m, strict=True))
        inside = torch.ones_like(x, dtype=torch.bool)
        for value, size in zip((x, y, z), self._size, strict=True):
            inside &= (value > -1.0) & (value < size)
        x, y, z = (value.to(torch.int32) for value in (x, y, z))
        # Not torch.where: it would bring the number over from the host, which waits, and which no graph takes.
        return ((z * self._size[1] + y) * self._size[0] + x).masked_fill(~inside, self._cells)


def packed(*parts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(N, numbers): matrices (N, 3, 3) and vectors (N, 3) side by side, for one upload."""
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def split(numbers: Tensor, kinds: str) -> list[Tensor]:
    """Undo ``packed``: "m" a matrix (N, 3, 3, 1, 1, 1), "v" a vector (N, 3, 1, 1, 1), to be used with (N, D, h, w)."""
    shapes = [(3, 3) if kind == "m" else (3,) for kind in kinds]
    pieces = numbers.split([math.prod(shape) for shape in shapes], dim=1)
    return [piece.reshape(-1, *shape, 1, 1, 1) for piece, shape in zip(pieces, shapes, strict=True)]
