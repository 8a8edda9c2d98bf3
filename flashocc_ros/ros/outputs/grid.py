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

"""A 2D cost map as ``nav_msgs/OccupancyGrid``, as the static layer of nav2 reads one (``config/nav2_costmap.yaml``)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import Point, Pose, Quaternion
from nav_msgs.msg import MapMetaData, OccupancyGrid
from std_msgs.msg import Header

from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.structures import Occupancy, VoxelGrid

UNKNOWN = -1


@dataclass(frozen=True)
class CollapseRule:
    """How a column of voxels becomes one cell.

    The cost of a cell is the highest cost among its flat voxels (ground, at any height) and its other voxels whose
    centre lies in the height band: a branch above the band does not block the way.

    Attributes:
        class_costs: 0 (free) to 100 (lethal) by class id.
        min_height_m: lower end of the band, base frame.
        max_height_m: upper end of the band, base frame.
        empty_is_unknown: a column without any voxel counts as unknown (-1); otherwise as free (0).
    """

    class_costs: Sequence[int]
    min_height_m: float
    max_height_m: float
    empty_is_unknown: bool = True


def to_grid(occupancy: Occupancy, header: Header, rule: CollapseRule) -> OccupancyGrid:
    """Message whose x axis runs along columns (width) and y axis along rows (height)."""
    grid = occupancy.grid
    cells = collapse(occupancy.semantics, grid, rule, occupancy.classes)
    origin_x, origin_y, _ = grid.origin_m
    return OccupancyGrid(
        header=header,
        info=MapMetaData(
            map_load_time=header.stamp,
            resolution=grid.resolution_m,
            width=grid.size[0],
            height=grid.size[1],
            origin=Pose(position=Point(x=origin_x, y=origin_y, z=0.0), orientation=Quaternion(w=1.0)),
        ),
        data=array("b", np.ascontiguousarray(cells.T).tobytes()),
    )


def collapse(
    semantics: npt.NDArray[np.uint8], grid: VoxelGrid, rule: CollapseRule, classes: ClassTable = OCC3D
) -> npt.NDArray[np.int8]:
    """Costs (X, Y) int8 of voxels (X, Y, Z) uint8: 0 to 100, or -1 where nothing is known."""
    costs = np.zeros(256, np.int8)
    costs[: len(rule.class_costs)] = rule.class_costs
    costs[classes.free] = 0
    flat_costs = np.zeros(256, np.int8)
    flat_costs[list(classes.flat)] = costs[list(classes.flat)]

    heights_m = grid.origin_m[2] + (np.arange(grid.size[2]) + 0.5) * grid.resolution_m
    in_band = (heights_m >= rule.min_height_m) & (heights_m <= rule.max_height_m)
    # Class and band select a table, so one look-up per voxel is enough.
    tables = np.where(in_band[:, None], costs, flat_costs)
    layers = np.moveaxis(semantics, 2, 0)
    cells = np.zeros(semantics.shape[:2], np.int8)
    seen = np.zeros(semantics.shape[:2], bool)
    for layer, table in zip(layers, tables, strict=True):
        np.maximum(cells, table[layer], out=cells)
        seen |= classes.occupied(layer)
    if rule.empty_is_unknown:
        cells[~seen] = UNKNOWN
    return cells
