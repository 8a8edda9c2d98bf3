"""Occupied voxels as ``sensor_msgs/PointCloud2``: what RViz, Foxglove, Rerun and nav2 read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from flashocc_ros.labels import COLORS_RGB, FIRST_INSTANCE_ID, FREE
from flashocc_ros.ros.fallback import point_cloud2
from flashocc_ros.ros.outputs.ids import message_ids
from flashocc_ros.structures import Occupancy

_FIELDS = {
    "x": (0, PointField.FLOAT32),
    "y": (4, PointField.FLOAT32),
    "z": (8, PointField.FLOAT32),
    "rgb": (12, PointField.FLOAT32),
    "class_id": (16, PointField.UINT8),
    "instance_id": (20, PointField.UINT32),
}
FIELDS = [PointField(name=name, offset=at, datatype=kind, count=1) for name, (at, kind) in _FIELDS.items()]

POINT_DTYPE = point_cloud2.dtype_from_fields(FIELDS)
"""Layout of one point, 24 bytes; the bits of ``rgb`` are 0x00RRGGBB, as PCL and RViz expect."""

_PACKED_RGB = (COLORS_RGB.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)).view(np.float32)


def to_points(occupancy: Occupancy, header: Header) -> PointCloud2:
    """Message with the centre of every voxel that is not free, metres in the frame of ``header``.

    ``class_id`` is the class, ``instance_id`` the object's id or 0 where there is none.
    """
    points = voxel_points(occupancy)
    # An empty array is what `create_cloud` does not take on every release.
    cloud = point_cloud2.create_cloud(header, FIELDS, points) if len(points) else _empty(header)
    cloud.is_dense = True
    return cloud


def _empty(header: Header) -> PointCloud2:
    return PointCloud2(header=header, height=1, fields=FIELDS, point_step=POINT_DTYPE.itemsize)


def voxel_points(occupancy: Occupancy) -> npt.NDArray[np.void]:
    """Occupied voxels as a structured array of ``POINT_DTYPE``."""
    flat = np.flatnonzero(occupancy.semantics != FREE)
    labels = occupancy.semantics.ravel()[flat]
    points = np.zeros(flat.size, POINT_DTYPE)
    for name, index, origin_m in zip(
        "xyz", np.unravel_index(flat, occupancy.grid.size), occupancy.grid.origin_m, strict=True
    ):
        points[name] = (index + 0.5) * occupancy.grid.resolution_m + origin_m
    points["rgb"] = _PACKED_RGB[labels]
    points["class_id"] = labels
    if occupancy.instances is not None:
        ids = message_ids(occupancy.instances.ravel()[flat])
        points["instance_id"] = np.where(ids >= FIRST_INSTANCE_ID, ids, 0)
    return points
