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

"""Occupied voxels as points, and the two files every point cloud viewer opens: PLY and PCD, both binary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.voxel_grid import VoxelGrid
from flashocc_ros.whole_file import write_whole

POINT_DTYPE = np.dtype(
    {
        "names": ["x", "y", "z", "rgb", "class_id", "instance_id"],
        "formats": ["<f4", "<f4", "<f4", "<f4", "u1", "<u4"],
        "offsets": [0, 4, 8, 12, 16, 20],
        "itemsize": 24,
    }
)
"""One point: metres; the bits of ``rgb`` are 0x00RRGGBB, as PCL and RViz expect; 0 is no instance."""


def voxel_points(
    semantics: npt.NDArray[np.uint8],
    instances: npt.NDArray[np.int32] | None,
    grid: VoxelGrid,
    classes: ClassTable = OCC3D,
) -> npt.NDArray[np.void]:
    """Centres of the voxels that are not free, (M,) of ``POINT_DTYPE``, in the base frame.

    Args:
        semantics: (X, Y, Z) uint8 class ids.
        instances: (X, Y, Z), ids past those of the classes are objects; None where there are none.
        grid: where the voxels lie.
        classes: what the ids mean.
    """
    flat = np.flatnonzero(semantics != classes.free)
    labels = semantics.ravel()[flat]
    points = np.zeros(flat.size, POINT_DTYPE)
    for name, index, lower_m in zip("xyz", np.unravel_index(flat, semantics.shape), grid.origin_m, strict=True):
        points[name] = (index + 0.5) * grid.resolution_m + lower_m
    packed = np.array(classes.colors_rgb, np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    points["rgb"] = packed.view(np.float32)[labels]
    points["class_id"] = labels
    if instances is not None:
        ids = instances.ravel()[flat]
        points["instance_id"] = np.where(ids >= classes.first_instance_id, ids, 0)
    return points


def write_ply(path: Path, points: npt.NDArray[np.void]) -> None:
    """PLY with x y z [m], red green blue, class_id and instance_id of (M,) ``POINT_DTYPE``.

    Raises:
        OutputError: it cannot be written.
    """
    vertex = np.zeros(
        len(points),
        [("xyz", "<f4", 3), ("rgb", "u1", 3), ("class_id", "u1"), ("instance_id", "<i4")],
    )
    vertex["xyz"] = np.stack([points[axis] for axis in "xyz"], 1)
    vertex["rgb"] = points["rgb"].copy().view(np.uint8).reshape(-1, 4)[:, 2::-1]
    vertex["class_id"] = points["class_id"]
    vertex["instance_id"] = points["instance_id"]
    properties = [("float", axis) for axis in "xyz"]
    properties += [("uchar", channel) for channel in ("red", "green", "blue", "class_id")]
    properties += [("int", "instance_id")]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    header += [f"property {kind} {name}" for kind, name in properties] + ["end_header", ""]
    write_whole(path, "\n".join(header).encode() + vertex.tobytes())


def write_pcd(path: Path, points: npt.NDArray[np.void]) -> None:
    """PCD 0.7 with x y z [m], packed rgb, class_id and instance_id of (M,) ``POINT_DTYPE``.

    Raises:
        OutputError: it cannot be written.
    """
    packed = np.zeros(len(points), [(name, POINT_DTYPE[name]) for name in POINT_DTYPE.names or ()])
    for name in packed.dtype.names or ():
        packed[name] = points[name]
    kinds = {"f": "F", "u": "U"}
    fields = [(name, packed.dtype[name]) for name in packed.dtype.names or ()]
    header = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        "FIELDS " + " ".join(name for name, _ in fields),
        "SIZE " + " ".join(str(kind.itemsize) for _, kind in fields),
        "TYPE " + " ".join(kinds[kind.kind] for _, kind in fields),
        "COUNT " + " ".join("1" for _ in fields),
        f"WIDTH {len(points)}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {len(points)}",
        "DATA binary",
        "",
    ]
    write_whole(path, "\n".join(header).encode() + packed.tobytes())
