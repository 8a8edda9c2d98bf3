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

"""All voxels as ``nav2_msgs/VoxelGrid``, as nav2 shows its own; importable where that package is installed."""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import Point32, Vector3
from nav2_msgs.msg import VoxelGrid
from std_msgs.msg import Header

from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.structures import Occupancy

MAX_HEIGHT = 16
"""Voxels of a column that the message has bits for."""
UNKNOWN_COLUMN = 0x0000_FFFF


def to_voxel_grid(occupancy: Occupancy, header: Header, empty_is_unknown: bool = True) -> VoxelGrid:
    """Message whose occupied voxels, the ground among them, are marked; ``origin`` is the corner of the first voxel."""
    grid = occupancy.grid
    size_x, size_y, size_z = grid.size
    origin_x, origin_y, origin_z = grid.origin_m
    columns = to_columns(occupancy.semantics, empty_is_unknown, occupancy.classes)
    return VoxelGrid(
        header=header,
        data=array("I", np.ascontiguousarray(columns.T).tobytes()),
        origin=Point32(x=origin_x, y=origin_y, z=origin_z),
        resolutions=Vector3(x=grid.resolution_m, y=grid.resolution_m, z=grid.resolution_m),
        size_x=size_x,
        size_y=size_y,
        size_z=min(size_z, MAX_HEIGHT),
    )


def to_columns(
    semantics: npt.NDArray[np.uint8], empty_is_unknown: bool, classes: ClassTable = OCC3D
) -> npt.NDArray[np.uint32]:
    """One number (X, Y) for each column of voxels (X, Y, Z); those above the sixteenth are left out.

    Source of the layout: nav2_voxel_grid. Bits z and 16 + z are those of voxel z: both set where it is occupied, only
    the lower one where it is unknown, none where it is free. With ``empty_is_unknown`` a column without any occupied
    voxel is unknown as a whole, as it is in ``grid``.
    """
    occupied = np.zeros((*semantics.shape[:2], MAX_HEIGHT), bool)
    occupied[:, :, : min(semantics.shape[2], MAX_HEIGHT)] = classes.occupied(semantics)[:, :, :MAX_HEIGHT]
    halves = np.packbits(occupied, axis=2, bitorder="little").view("<u2")[:, :, 0].astype(np.uint32)
    columns = halves << np.uint32(16) | halves
    if empty_is_unknown:
        columns[halves == 0] = UNKNOWN_COLUMN
    return columns
