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

"""Pooling as plain tensor algebra of fixed size, for a single graph that needs no plugin and no scatter.

Points of a cell are dealt to rows of 16; a batched product sums each row, a second gather sums the rows of fuller
cells, a last gather spreads the sums over the grid. TensorRT rejects a scatter with an add reduction and a running sum
loses 1e-4, so the sums are a tree of depth two. Unused places point at a zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flashocc_ros.errors import EngineError

if TYPE_CHECKING:
    from torch import Tensor

    from flashocc_ros.geometry.lift import LiftTable

Int32 = npt.NDArray[np.int32]

ROW_POINTS = (16, 64, 4)
"""Row lengths to choose from; the first suits one height slice, long rows fine frustums, short ones 3D volumes."""


@dataclass(frozen=True)
class TreeSizes:
    """Fixed sizes of the tables inside a fused graph.

    Attributes:
        rows: rows of points.
        tall_cells: cells that need more than one row.
        rows_per_cell: rows one cell may need.
        row_points: points per row.
    """

    rows: int
    tall_cells: int
    rows_per_cell: int = 16
    row_points: int = ROW_POINTS[0]

    @classmethod
    def fitting(cls, table: LiftTable, margin: float = 1.25) -> TreeSizes:
        """The sizes that hold ``table`` with the least memory, with a margin for other calibrations."""
        counts = np.diff(table.cell_start)

        def roomy(value: int, step: int) -> int:
            return math.ceil(max(value, 1) * margin / step) * step

        def sizes(row_points: int) -> TreeSizes:
            rows = -(-counts // row_points)
            most = roomy(int(rows.max(initial=1)), 4)
            return cls(roomy(int(rows.sum()), 256), roomy(int((rows > 1).sum()), 256), most, row_points)

        return min(map(sizes, ROW_POINTS), key=lambda s: s.rows * s.row_points + s.tall_cells * s.rows_per_cell)


@dataclass(frozen=True)
class TreeTable:
    """Inputs of the fused graph.

    Attributes:
        row_point: (rows, row_points) int32 index into the flat depth, its length where unused.
        row_pixel: (rows, row_points) int32 index into the feature pixels, 0 where unused.
        cell_row: (tall_cells, rows_per_cell) int32 index into the row sums, ``rows`` where unused.
        cell_source: (num_cells,) int32 index into the row sums, one zero, then the sums of tall cells.
    """

    row_point: Int32
    row_pixel: Int32
    cell_row: Int32
    cell_source: Int32

    def as_inputs(self) -> dict[str, Int32]:
        """Arrays by the names of the graph's inputs."""
        return {name: getattr(self, name) for name in INPUT_NAMES}


INPUT_NAMES = ("row_point", "row_pixel", "cell_row", "cell_source")


def tree_table(table: LiftTable, sizes: TreeSizes, calibration: str = "in use") -> TreeTable:
    """Deals the points of a lift table to rows.

    Args:
        table: points sorted by cell.
        sizes: what the graph was exported with.
        calibration: named in the error.

    Raises:
        EngineError: the calibration needs larger tables than the graph has; no point is ever dropped.
    """
    counts = np.diff(table.cell_start)
    rows_of_cell = -(-counts // sizes.row_points)
    tall = np.flatnonzero(rows_of_cell > 1)
    for need, limit, what in (
        (int(rows_of_cell.sum()), sizes.rows, f"rows of {sizes.row_points} points"),
        (len(tall), sizes.tall_cells, f"cells with more than {sizes.row_points} points"),
        (int(rows_of_cell.max(initial=0)), sizes.rows_per_cell, "rows in its fullest cell"),
    ):
        if need > limit:
            raise EngineError(
                f"the calibration {calibration} needs {need} {what}, the fused graph was exported for {limit}; "
                "export it again with --fused on this calibration, or use the two-graph export, which has no limit"
            )
    first_row = np.concatenate(([0], np.cumsum(rows_of_cell)))
    within = np.arange(len(table.point_index)) - np.repeat(table.cell_start[:-1], counts)
    row = np.repeat(first_row[:-1], counts) + within // sizes.row_points
    slot = within % sizes.row_points

    row_point = np.full((sizes.rows, sizes.row_points), table.num_points_total, np.int32)
    row_pixel = np.zeros((sizes.rows, sizes.row_points), np.int32)
    row_point[row, slot] = table.point_index
    row_pixel[row, slot] = table.pixel_index

    cell_row = np.full((sizes.tall_cells, sizes.rows_per_cell), sizes.rows, np.int32)
    steps = np.arange(sizes.rows_per_cell)
    cell_row[: len(tall)] = np.where(steps < rows_of_cell[tall, None], first_row[:-1][tall, None] + steps, sizes.rows)
    source = first_row[:-1].astype(np.int32)
    source[tall] = sizes.rows + 1 + np.arange(len(tall))
    cell_source = np.full(table.num_cells, sizes.rows, np.int32)
    cell_source[table.cell_index] = source
    return TreeTable(row_point, row_pixel, cell_row, cell_source)


def pool(
    depth: Tensor,
    context: Tensor,
    row_point: Tensor,
    row_pixel: Tensor,
    cell_row: Tensor,
    cell_source: Tensor,
    *,
    grid_shape: tuple[int, int, int],
    volumetric: bool = False,
) -> Tensor:
    """The subgraph itself, written with exportable torch operators; shapes as ``numba_pooler.pool``."""
    import torch

    from flashocc_ros.engine.poolers.torch_pooler import channels_first

    channels = context.shape[1]
    by_pixel = context.permute(0, 2, 3, 1).reshape(-1, channels)
    padded_depth = torch.cat([depth.reshape(-1), depth.new_zeros(1)])
    weights = padded_depth[row_point].unsqueeze(1)
    row_sum = torch.matmul(weights, by_pixel[row_pixel]).squeeze(1)
    row_sum = torch.cat([row_sum, row_sum.new_zeros(1, channels)])
    tall_sum = row_sum[cell_row].sum(1)
    grid = torch.cat([row_sum, tall_sum])[cell_source]
    return channels_first(grid, grid_shape, volumetric)
