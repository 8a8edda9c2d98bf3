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

"""Occupied voxels as ``sensor_msgs/PointCloud2``: what RViz, Foxglove, Rerun and nav2 read."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from flashocc_ros.bags.ids import message_ids
from flashocc_ros.point_files import POINT_DTYPE
from flashocc_ros.ros.fallback import point_cloud2
from flashocc_ros.structures import Occupancy

_KINDS = {"f4": PointField.FLOAT32, "u1": PointField.UINT8, "u4": PointField.UINT32}
FIELDS = [
    PointField(name=name, offset=offset, datatype=_KINDS[dtype.str[1:]], count=1)
    for name, (dtype, offset, *_) in (POINT_DTYPE.fields or {}).items()
]


def to_points(occupancy: Occupancy, header: Header) -> PointCloud2:
    """Message with the centre of every voxel that is not free, metres in the frame of ``header``.

    ``class_id`` is the class, ``instance_id`` the object's id or 0 where there is none.
    """
    points = occupancy.points()
    points["instance_id"] = message_ids(points["instance_id"].view(np.int32), occupancy.classes)
    # An empty array is what `create_cloud` does not take on every release.
    cloud = point_cloud2.create_cloud(header, FIELDS, points) if len(points) else _empty(header)
    cloud.is_dense = True
    return cloud


def _empty(header: Header) -> PointCloud2:
    return PointCloud2(header=header, height=1, fields=FIELDS, point_step=POINT_DTYPE.itemsize)
