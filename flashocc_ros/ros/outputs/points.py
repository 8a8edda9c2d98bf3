"""Occupied voxels as ``sensor_msgs/PointCloud2``: what RViz, Foxglove, Rerun and nav2 read."""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from flashocc_ros.labels import COLORS_RGB, FIRST_INSTANCE_ID, FREE
from flashocc_ros.ros.outputs.ids import message_ids
from flashocc_ros.structures import Occupancy

_OFFSETS = {"x": 0, "y": 4, "z": 8, "rgb": 12, "class_id": 16, "instance_id": 20}
_FORMATS = {"x": "<f4", "y": "<f4", "z": "<f4", "rgb": "<u4", "class_id": "u1", "instance_id": "<u4"}
_FIELD_TYPES = {
    "x": PointField.FLOAT32,
    "y": PointField.FLOAT32,
    "z": PointField.FLOAT32,
    "rgb": PointField.FLOAT32,
    "class_id": PointField.UINT8,
    "instance_id": PointField.UINT32,
}

POINT_DTYPE = np.dtype(
    {
        "names": list(_FORMATS),
        "formats": list(_FORMATS.values()),
        "offsets": list(_OFFSETS.values()),
        "itemsize": 24,
    }
)
"""Layout of one point; ``rgb`` is declared FLOAT32 in the message and holds 0x00RRGGBB, as PCL and RViz expect."""

FIELDS = [PointField(name=n, offset=_OFFSETS[n], datatype=kind, count=1) for n, kind in _FIELD_TYPES.items()]

_PACKED_RGB = COLORS_RGB.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)


def to_points(occupancy: Occupancy, header: Header) -> PointCloud2:
    """Message with the centre of every voxel that is not free, metres in the frame of ``header``.

    ``class_id`` is the class, ``instance_id`` the object's id or 0 where there is none.
    """
    points = voxel_points(occupancy)
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=FIELDS,
        is_bigendian=False,
        point_step=POINT_DTYPE.itemsize,
        row_step=POINT_DTYPE.itemsize * len(points),
        data=array("B", points.tobytes()),
        is_dense=True,
    )


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
