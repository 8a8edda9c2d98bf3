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

"""The objects of a panoptic result as ``flashocc_ros/PanopticInstanceArray``."""

from __future__ import annotations

from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import Header

from flashocc_ros.bags.ids import message_ids
from flashocc_ros.labels import ClassTable
from flashocc_ros.msg import PanopticInstance, PanopticInstanceArray
from flashocc_ros.structures import Instance, Occupancy


def to_instances(occupancy: Occupancy, header: Header) -> PanopticInstanceArray:
    """Message with one entry per instance, best score first; metres, frame of ``header``. NaN is unknown."""
    return PanopticInstanceArray(
        header=header, instances=[_to_instance(i, occupancy.classes) for i in occupancy.centers]
    )


def _to_instance(instance: Instance, classes: ClassTable) -> PanopticInstance:
    x, y, z = (float(v) for v in instance.center_m)
    extent_x, extent_y, extent_z = (float(v) for v in instance.extent_m)
    velocity_x, velocity_y, velocity_z, deviation = instance.velocity_numbers
    return PanopticInstance(
        id=message_ids(int(instance.id), classes),
        class_id=int(instance.class_id),
        score=float(instance.score),
        center=Point(x=x, y=y, z=z),
        extent=Vector3(x=extent_x, y=extent_y, z=extent_z),
        voxel_count=int(instance.voxel_count),
        velocity=Vector3(x=velocity_x, y=velocity_y, z=velocity_z),
        velocity_std=deviation,
    )
