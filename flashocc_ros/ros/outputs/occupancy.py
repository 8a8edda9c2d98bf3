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

"""The dense result as ``flashocc_ros/Occupancy3D``."""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import Point
from std_msgs.msg import Header

from flashocc_ros.bags.ids import message_ids
from flashocc_ros.msg import Occupancy3D
from flashocc_ros.structures import Occupancy


def to_occupancy(occupancy: Occupancy, header: Header) -> Occupancy3D:
    """Message with labels (and instance ids when the variant is panoptic) in C order of (x, y, z)."""
    grid = occupancy.grid
    size_x, size_y, size_z = grid.size
    message = Occupancy3D(
        header=header,
        resolution=grid.resolution_m,
        origin=Point(x=grid.origin_m[0], y=grid.origin_m[1], z=grid.origin_m[2]),
        size_x=size_x,
        size_y=size_y,
        size_z=size_z,
        class_table=occupancy.classes.name,
        class_table_version=occupancy.classes.version,
        masked_cameras=list(occupancy.masked_cameras),
    )
    message.labels = _as_array("B", occupancy.semantics.astype(np.uint8, copy=False))
    if occupancy.instances is not None:
        message.instances = _as_array("H", message_ids(occupancy.instances, occupancy.classes))
    return message


def _as_array(typecode: str, values: npt.NDArray[np.generic]) -> array[int]:
    buffer = array(typecode)
    buffer.frombytes(np.ascontiguousarray(values).data.cast("B"))
    return buffer
