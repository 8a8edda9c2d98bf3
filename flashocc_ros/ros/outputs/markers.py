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

"""Visible voxels and objects, with name and velocity, as ``visualization_msgs/MarkerArray``, already serialised.

Thousands of points as Python objects cost hundreds of milliseconds, so only the few small markers are built as
messages. The two long arrays of the cube list are spliced as bytes into their serialised form (CDR, little endian, the
alignment counted from behind the 4-byte encapsulation header).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from rclpy.serialization import serialize_message
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from flashocc_ros.bags.ids import message_ids
from flashocc_ros.labels import ClassTable
from flashocc_ros.structures import Instance, Occupancy

_ENCAPSULATION_BYTES = 4
NAME_CONTRAST = 7.0
"""Least contrast of a name with the ground of RViz, as WCAG 2 asks of text that everybody can read."""
ARROW_M = 0.25
"""Diameter of the shaft."""
RVIZ_GROUND = (48, 48, 48)
"""Its default colour; the shipped configuration is darker."""


def to_markers(occupancy: Occupancy, header: Header, alpha: float = 1.0, max_names: int = 1000) -> bytes:
    """A serialised MarkerArray for ``Publisher.publish(bytes)``: DELETEALL, names and arrows of the nearest objects,
    the cubes."""
    frame = serialize_message(MarkerArray(markers=small_markers(occupancy, header, max_names)))
    centers_m, colors = surface_cubes(occupancy, alpha)
    return _splice(bytes(frame), centers_m, colors) if len(centers_m) else bytes(frame)


def small_markers(occupancy: Occupancy, header: Header, max_names: int = 1000) -> list[Marker]:
    """All markers; the last one is the cube list, without its points and colours.

    RViz clears every namespace only when DELETEALL names none, and refuses an array that holds a pair of namespace and
    id twice, whatever the actions are.
    """
    clear = Marker(header=header, action=Marker.DELETEALL)
    named = [i for i in occupancy.centers if i.voxel_count > 0]
    nearest = sorted(named, key=lambda i: i.center_m[0] ** 2 + i.center_m[1] ** 2)[:max_names]
    names = [_name_marker(i, header, occupancy.classes) for i in nearest]
    arrows = [_arrow(i, header) for i in nearest if i.moves]
    edge_m = occupancy.grid.resolution_m
    cubes = Marker(
        header=header,
        ns="occupancy",
        id=0,
        type=Marker.CUBE_LIST,
        action=Marker.ADD,
        pose=Pose(orientation=Quaternion(w=1.0)),
        scale=Vector3(x=edge_m, y=edge_m, z=edge_m),
        color=ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0),
    )
    return [clear, *names, *arrows, cubes]


def surface_cubes(occupancy: Occupancy, alpha: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """Centres (M, 3) in metres and colours (M, 4) of the occupied voxels that a viewer can see."""
    flat = np.flatnonzero(surface(occupancy.classes.occupied(occupancy.semantics)))
    indices = np.stack(np.unravel_index(flat, occupancy.grid.size), axis=1)
    colors = np.empty((flat.size, 4), np.float32)
    colors[:, :3] = (np.array(occupancy.classes.colors_rgb, np.float32) / 255)[occupancy.semantics.ravel()[flat]]
    colors[:, 3] = alpha
    return occupancy.grid.centers_m(indices), colors


def surface(occupied: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Occupied voxels with a free face neighbour or at the border of the grid; (X, Y, Z) bool in and out."""
    inside = np.zeros_like(occupied)
    inner = occupied[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        for shift in (slice(None, -2), slice(2, None)):
            window = [slice(1, -1)] * 3
            window[axis] = shift
            inner &= occupied[tuple(window)]
    inside[1:-1, 1:-1, 1:-1] = inner
    return occupied & ~inside


def _name_marker(instance: Instance, header: Header, classes: ClassTable) -> Marker:
    x, y, z = (float(v) for v in instance.center_m)
    identifier = message_ids(int(instance.id), classes)
    red, green, blue = name_color(classes.colors_rgb[instance.class_id])
    return Marker(
        header=header,
        ns="instances",
        id=int(instance.id),  # not folded into sixteen bits: no two of a result are alike
        type=Marker.TEXT_VIEW_FACING,
        action=Marker.ADD,
        pose=Pose(position=Point(x=x, y=y, z=z + instance.extent_m[2] / 2 + 0.8), orientation=Quaternion(w=1.0)),
        scale=Vector3(z=0.8),
        color=ColorRGBA(r=red, g=green, b=blue, a=1.0),
        text=f"{classes.names[instance.class_id]} {identifier}",
    )


def _arrow(instance: Instance, header: Header) -> Marker:
    """From the top of an object as far as it comes in a second."""
    assert instance.velocity_mps is not None
    x, y, z = (float(v) for v in instance.center_m)
    top = z + instance.extent_m[2] / 2
    along_x, along_y, along_z = instance.velocity_mps
    return Marker(
        header=header,
        ns="velocities",
        id=int(instance.id),
        type=Marker.ARROW,
        action=Marker.ADD,
        pose=Pose(orientation=Quaternion(w=1.0)),
        points=[Point(x=x, y=y, z=top), Point(x=x + along_x, y=y + along_y, z=top + along_z)],
        scale=Vector3(x=ARROW_M, y=3 * ARROW_M, z=4 * ARROW_M),
        color=ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0),
    )


@lru_cache(maxsize=256)
def name_color(color_rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    """Red, green, blue from 0 to 1: a colour brightened as far as reading it on dark ground takes."""
    color = tuple(float(v) / 255 for v in color_rgb)
    for white in np.linspace(0, 1, 51).tolist():
        red, green, blue = (v + white * (1 - v) for v in color)
        if contrast((red, green, blue), tuple(v / 255 for v in RVIZ_GROUND)) >= NAME_CONTRAST:
            break
    return red, green, blue


def contrast(color: Sequence[float], ground: Sequence[float]) -> float:
    """Contrast of two sRGB colours (0 to 1), from 1 to 21 (WCAG 2.1, relative luminance)."""
    light, dark = sorted((_luminance(color), _luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: Sequence[float]) -> float:
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@lru_cache(maxsize=1)
def _bytes_behind_colors() -> int:
    """Bytes that follow ``colors`` in a serialised Marker; found by looking where one known colour goes.

    Padding bytes are left uninitialised by the serialiser, so comparing two serialised markers would not do.
    """
    known = np.array([0.1, 0.2, 0.3, 0.4], "<f4")
    color = ColorRGBA(**dict(zip("rgba", known.tolist(), strict=True)))
    frame = bytes(serialize_message(MarkerArray(markers=[Marker(colors=[color])])))
    return len(frame) - (frame.index(known.tobytes()) + known.nbytes)


def _splice(frame: bytes, centers_m: npt.NDArray[np.float64], colors: npt.NDArray[np.float32]) -> bytes:
    """Give the last marker of a serialised array, a cube list without points and colours, its two arrays."""
    tail_at = len(frame) - _bytes_behind_colors()
    head = frame[: tail_at - 8]  # ends before the two empty lengths
    count = np.uint32(len(centers_m)).astype("<u4").tobytes()
    padding = bytes(-(len(head) + 4 - _ENCAPSULATION_BYTES) % 8)  # doubles are aligned to 8 bytes
    points = np.ascontiguousarray(centers_m, "<f8").tobytes()
    colors_rgba = np.ascontiguousarray(colors, "<f4").tobytes()
    return b"".join((head, count, padding, points, count, colors_rgba, frame[tail_at:]))
