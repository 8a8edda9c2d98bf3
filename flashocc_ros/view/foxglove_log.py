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

"""Frames as Foxglove messages: one MCAP file, or whoever is connected to a server.

Needs the extra ``[foxglove]``. Lengths are in metres; the result is in ``base_link``, which moves in ``odom``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.transform import Rotation

from flashocc_ros.cameras.jpeg import jpeg_size
from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import ClassTable
from flashocc_ros.point_files import voxel_points
from flashocc_ros.structures import Float64, Instance, VoxelGrid
from flashocc_ros.view.frame import Layer, Shot, ViewFrame
from flashocc_ros.view.objects import objects_of
from flashocc_ros.view.pictures import WIDTH, bounded_jpeg
from flashocc_ros.view.sources import Source, written
from flashocc_ros.viz.palette import instance_row, palette
from flashocc_ros.whole_file import whole_file

if TYPE_CHECKING:
    from foxglove import messages

ODOM, BASE = "odom", "base_link"
BOX_OPACITY = 0.25
NAME_HEIGHT_M = 0.6
ARROW_SHAFT_M, ARROW_HEAD_M = 0.25, 0.8


class FoxgloveLog:
    """Logs frames to a context: `foxglove.open_mcap` and `foxglove.start_server` take it from there.

    Topics: ``/tf``; ``/occupancy/voxels`` (VoxelGrid, a byte of class per voxel, free ones too), ``/occupancy/points``
    (PointCloud in the colours of the classes), ``/occupancy/objects`` (SceneUpdate) and the same below ``/truth``;
    ``/cameras/<name>/image`` and ``/cameras/<name>/calibration``.

    Args:
        context: None is a new one.

    Raises:
        ConfigError: the SDK is not installed.
    """

    def __init__(self, context: Any = None, picture_width: int = WIDTH) -> None:
        try:
            import foxglove
            from foxglove import channels
        except ImportError as error:
            raise ConfigError("Foxglove needs its SDK: pip install 'flashocc_ros[foxglove]'") from error
        self.context = foxglove.Context() if context is None else context
        self._kinds = channels
        self._width = picture_width
        self._channels: dict[str, Any] = {}

    def log(self, frame: ViewFrame, log_ns: int | None = None) -> None:
        """All that is known of a frame, logged at its own stamp or at ``log_ns``."""
        stamp_ns = frame.stamp_ns if log_ns is None else log_ns
        for topic, message in messages_of(frame, stamp_ns, self._width):
            kind = type(message).__name__
            if topic not in self._channels:
                self._channels[topic] = getattr(self._kinds, f"{kind}Channel")(topic, context=self.context)
            self._channels[topic].log(message, log_time=stamp_ns)


def write_mcap(
    source: Source,
    path: Path,
    *,
    limit: int = 0,
    picture_width: int = WIDTH,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """A recording of Foxglove messages; the number of frames.

    Raises:
        ConfigError: the SDK is not installed.
        InputError: there is no frame.
        OutputError: it cannot be written; what was there stays.
    """
    log = FoxgloveLog(picture_width=picture_width)
    import foxglove

    count = 0
    with whole_file(path) as temporary, foxglove.open_mcap(temporary, allow_overwrite=True, context=log.context):
        for frame in written(source, limit, progress):
            log.log(frame)
            count += 1
    return count


def messages_of(frame: ViewFrame, stamp_ns: int, picture_width: int = WIDTH) -> Iterator[tuple[str, Any]]:
    """Topic and message of everything in a frame."""
    from foxglove import messages as m

    time = m.Timestamp(sec=stamp_ns // 10**9, nsec=stamp_ns % 10**9)
    pose = np.eye(4) if frame.odom_from_base is None else frame.odom_from_base
    yield "/tf", _transform(time, ODOM, BASE, pose)
    for name, layer in (("occupancy", frame.prediction), ("truth", frame.truth)):
        if layer is not None:
            yield f"/{name}/voxels", _voxels(time, layer, frame.grid)
            yield f"/{name}/points", _points(time, layer, frame)
            yield f"/{name}/objects", _objects(time, layer, frame)
    for shot in frame.shots:
        yield from _camera(time, shot, picture_width)


def _transform(time: Any, parent: str, child: str, pose: Float64) -> messages.FrameTransform:
    from foxglove import messages as m

    x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat().tolist()
    place = dict(zip("xyz", pose[:3, 3].tolist(), strict=True))
    return m.FrameTransform(
        timestamp=time,
        parent_frame_id=parent,
        child_frame_id=child,
        translation=m.Vector3(**place),
        rotation=m.Quaternion(x=x, y=y, z=z, w=w),
    )


def _pose(center_m: tuple[float, float, float], turned: Rotation | None = None) -> messages.Pose:
    from foxglove import messages as m

    x, y, z = map(float, center_m)
    i, j, k, w = (0.0, 0.0, 0.0, 1.0) if turned is None else turned.as_quat().tolist()
    return m.Pose(position=m.Vector3(x=x, y=y, z=z), orientation=m.Quaternion(x=i, y=j, z=k, w=w))


def _voxels(time: Any, layer: Layer, grid: VoxelGrid) -> messages.VoxelGrid:
    from foxglove import messages as m

    size_x, size_y, _ = grid.size
    edge = float(grid.resolution_m)
    return m.VoxelGrid(
        timestamp=time,
        frame_id=BASE,
        pose=_pose(grid.origin_m),
        row_count=size_y,
        column_count=size_x,
        cell_size=m.Vector3(x=edge, y=edge, z=edge),
        slice_stride=size_x * size_y,
        row_stride=size_x,
        cell_stride=1,
        fields=[m.PackedElementField(name="class", offset=0, type=m.PackedElementFieldNumericType.Uint8)],
        data=np.ascontiguousarray(layer.semantics.transpose(2, 1, 0).astype(np.uint8, copy=False)).tobytes(),
    )


def _points(time: Any, layer: Layer, frame: ViewFrame) -> messages.PointCloud:
    from foxglove import messages as m

    points = voxel_points(layer.semantics, layer.instances, frame.grid, frame.classes)
    kinds = m.PackedElementFieldNumericType
    packed = np.empty(len(points), [("xyz", "<f4", 3), ("rgba", "u1", 4), ("class", "u1")])
    packed["xyz"] = np.stack([points[axis] for axis in "xyz"], 1)
    packed["rgba"] = np.round(255 * np.insert(palette(frame.classes)[1 + points["class_id"]], 3, 1.0, 1))
    packed["class"] = points["class_id"]
    fields = [m.PackedElementField(name=n, offset=4 * k, type=kinds.Float32) for k, n in enumerate("xyz")]
    colors = ("red", "green", "blue", "alpha", "class")
    fields += [m.PackedElementField(name=n, offset=12 + k, type=kinds.Uint8) for k, n in enumerate(colors)]
    return m.PointCloud(
        timestamp=time,
        frame_id=BASE,
        pose=_pose((0.0, 0.0, 0.0)),
        point_stride=packed.itemsize,
        fields=fields,
        data=packed.tobytes(),
    )


def _objects(time: Any, layer: Layer, frame: ViewFrame) -> messages.SceneUpdate:
    from foxglove import messages as m

    return m.SceneUpdate(
        deletions=[m.SceneEntityDeletion(timestamp=time, type=m.SceneEntityDeletionType.All)],
        entities=[_entity(time, found, frame.classes) for found in objects_of(layer, frame.grid, frame.classes)],
    )


def _entity(time: Any, found: Instance, classes: ClassTable) -> messages.SceneEntity:
    from foxglove import messages as m

    r, g, b = palette(classes)[instance_row(np.array(found.id), classes)].tolist()
    x, y, z = found.center_m
    length, width, height = map(float, found.extent_m)
    name = f"{classes.names[found.class_id]} {found.id}"
    metadata = {"class": classes.names[found.class_id], "score": f"{found.score:.2f}"}
    if found.velocity_mps is not None:
        metadata |= {"velocity_mps": " ".join(f"{v:.2f}" for v in found.velocity_mps)}
        metadata |= {"velocity_std_mps": f"{found.velocity_std_mps:.2f}"}
    return m.SceneEntity(
        timestamp=time,
        frame_id=BASE,
        id=str(found.id),
        metadata=[m.KeyValuePair(key=key, value=value) for key, value in metadata.items()],
        arrows=[_arrow(found)] if found.moves else [],
        cubes=[
            m.CubePrimitive(
                pose=_pose(found.center_m),
                size=m.Vector3(x=length, y=width, z=height),
                color=m.Color(r=r, g=g, b=b, a=BOX_OPACITY),
            )
        ],
        texts=[
            m.TextPrimitive(
                pose=_pose((x, y, z + height / 2 + NAME_HEIGHT_M)),
                billboard=True,
                font_size=NAME_HEIGHT_M,
                color=m.Color(r=1.0, g=1.0, b=1.0, a=1.0),
                text=name,
            )
        ],
    )


def _arrow(found: Instance) -> messages.ArrowPrimitive:
    """From the centre as far as the object comes in a second."""
    from foxglove import messages as m

    assert found.velocity_mps is not None
    x, y, z = found.velocity_mps
    length = math.hypot(x, y, z)
    along = Rotation.from_euler("ZY", [math.atan2(y, x), -math.atan2(z, math.hypot(x, y))])
    return m.ArrowPrimitive(
        pose=_pose(found.center_m, along),
        shaft_length=max(length - ARROW_HEAD_M, 0.0),
        shaft_diameter=ARROW_SHAFT_M,
        head_length=min(ARROW_HEAD_M, length),
        head_diameter=2.5 * ARROW_SHAFT_M,
        color=m.Color(r=1.0, g=1.0, b=1.0, a=1.0),
    )


def _camera(time: Any, shot: Shot, picture_width: int) -> Iterator[tuple[str, Any]]:
    from foxglove import messages as m

    file, resized = bounded_jpeg(shot.picture, picture_width)
    matrix = resized @ shot.intrinsic
    height, width = jpeg_size(file)
    frame = f"cameras/{shot.name}"
    yield "/tf", _transform(time, BASE, frame, shot.base_from_camera)
    yield (
        f"/cameras/{shot.name}/image",
        m.CompressedImage(timestamp=time, frame_id=frame, data=file, format="jpeg"),
    )
    yield (
        f"/cameras/{shot.name}/calibration",
        m.CameraCalibration(
            timestamp=time,
            frame_id=frame,
            width=width,
            height=height,
            K=matrix.ravel().tolist(),
            R=np.eye(3).ravel().tolist(),
            P=np.insert(matrix, 3, 0.0, 1).ravel().tolist(),
        ),
    )
