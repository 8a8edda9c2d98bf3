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

"""The objects of a panoptic result as ``vision_msgs/Detection3DArray``; importable where that package is installed."""

from __future__ import annotations

from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Quaternion, Vector3
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox3D, Detection3D, Detection3DArray, ObjectHypothesis, ObjectHypothesisWithPose

from flashocc_ros.bags.ids import message_ids
from flashocc_ros.labels import ClassTable
from flashocc_ros.structures import Instance, Occupancy


def to_detections(occupancy: Occupancy, header: Header) -> Detection3DArray:
    """Message with one detection per instance, best score first; metres, boxes along the axes of ``header``'s frame.

    ``id`` is that of ``instances`` as text, ``class_id`` the name of the class. Covariances are zero: unknown.
    """
    return Detection3DArray(
        header=header, detections=[_to_detection(i, header, occupancy.classes) for i in occupancy.centers]
    )


def _to_detection(instance: Instance, header: Header, classes: ClassTable) -> Detection3D:
    x, y, z = (float(v) for v in instance.center_m)
    extent_x, extent_y, extent_z = (float(v) for v in instance.extent_m)
    center = Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(w=1.0))
    hypothesis = ObjectHypothesis(class_id=classes.names[instance.class_id], score=float(instance.score))
    return Detection3D(
        header=header,
        results=[ObjectHypothesisWithPose(hypothesis=hypothesis, pose=PoseWithCovariance(pose=center))],
        bbox=BoundingBox3D(center=center, size=Vector3(x=extent_x, y=extent_y, z=extent_z)),
        id=str(message_ids(int(instance.id), classes)),
    )
