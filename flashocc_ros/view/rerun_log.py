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

"""Frames as a Rerun recording (``.rrd``). Needs the extra ``[rerun]``.

Entities: ``odom/base_link`` moves with the vehicle; below it ``occupancy`` and ``truth``, each with ``voxels``,
``objects`` and ``velocities`` (arrows as long as the way in a second), and ``cameras/<name>``. The timeline ``stamp``
is the key stamp. Lengths are in metres. A layout comes with it, which people may change and keep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flashocc_ros.cameras.jpeg import jpeg_size
from flashocc_ros.errors import ConfigError
from flashocc_ros.view.frame import Layer, Shot, ViewFrame
from flashocc_ros.view.objects import objects_of
from flashocc_ros.view.pictures import WIDTH, bounded_jpeg
from flashocc_ros.view.sources import Source, written
from flashocc_ros.viz.palette import instance_row, palette
from flashocc_ros.whole_file import whole_file

BASE = "odom/base_link"
FRUSTUM_M = 1.5
EYE_M, TARGET_M = (-26.0, 0.0, 17.0), (8.0, 0.0, 0.0)
"""Where the scene is seen from at first, and what is in the middle, in the vehicle's frame."""


def write_rrd(
    source: Source,
    path: Path,
    *,
    limit: int = 0,
    picture_width: int = WIDTH,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """A recording that the Rerun viewer opens; the number of frames.

    Raises:
        ConfigError: the SDK is not installed.
        InputError: there is no frame.
        OutputError: it cannot be written; what was there stays.
    """
    try:
        import rerun as rr
    except ImportError as error:
        raise ConfigError("--rerun needs the Rerun SDK: pip install 'flashocc_ros[rerun]'") from error

    count = 0
    scenes: dict[str, None] = {}  # of any frame, in order: the first may lack a truth or a camera
    cameras: dict[str, None] = {}
    with whole_file(path) as temporary:
        recording = rr.RecordingStream("flashocc_ros", recording_id=source.title)
        recording.save(str(temporary))
        recording.log("odom", rr.ViewCoordinates.FLU, static=True)
        try:
            for frame in written(source, limit, progress):
                log(recording, frame, picture_width)
                scenes.update(dict.fromkeys(_layers(frame)))
                cameras.update(dict.fromkeys(shot.name for shot in frame.shots))
                count += 1
            recording.send_blueprint(layout(list(scenes), list(cameras)))
        finally:
            recording.flush()
            recording.disconnect()
    return count


def layout(scenes: Sequence[str], cameras: Sequence[str]) -> Any:
    """A ``rerun.blueprint.Blueprint``: each scene from behind the vehicle, beside one another, and pictures below."""
    import rerun.blueprint as rrb

    def scene(name: str) -> Any:
        hidden = [f"- $origin/{other}/**" for other in scenes if other != name]
        eye = rrb.EyeControls3D(position=EYE_M, look_target=TARGET_M)
        return rrb.Spatial3DView(origin=BASE, name=name, contents=["$origin/**", *hidden], eye_controls=eye)

    pictures = [rrb.Spatial2DView(origin=camera_path(name), name=name) for name in cameras]
    rows: list[Any] = [rrb.Horizontal(*map(scene, scenes))] if scenes else []
    rows += [rrb.Grid(*pictures, grid_columns=min(len(pictures), 6))] if pictures else []
    return rrb.Blueprint(rrb.Vertical(*rows, row_shares=[3, 1][: len(rows)]), collapse_panels=True)


def log(recording: Any, frame: ViewFrame, picture_width: int = WIDTH) -> None:
    """All that is known of a frame to a ``rerun.RecordingStream``, at its own stamp."""
    import rerun as rr

    recording.set_time("stamp", timestamp=frame.stamp_ns / 1e9)
    pose = np.eye(4) if frame.odom_from_base is None else frame.odom_from_base
    recording.log(BASE, rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
    for name, layer in _layers(frame).items():
        _layer(recording, f"{BASE}/{name}", layer, frame)
    for shot in frame.shots:
        _camera(recording, shot, picture_width)


def _layers(frame: ViewFrame) -> dict[str, Layer]:
    """What a frame has, by its entity below the vehicle."""
    both = {"occupancy": frame.prediction, "truth": frame.truth}
    return {name: layer for name, layer in both.items() if layer is not None}


def _layer(recording: Any, path: str, layer: Layer, frame: ViewFrame) -> None:
    import rerun as rr

    grid, classes = frame.grid, frame.classes
    occupied = classes.occupied(layer.semantics)
    where, labels = np.argwhere(occupied), layer.semantics[occupied]
    colors = np.round(255 * palette(classes)[1 + labels.astype(np.int64)]).astype(np.uint8)
    edge_m = [grid.resolution_m] * 3
    recording.log(
        f"{path}/voxels", rr.VoxelGridMap(where.astype(np.int32), edge_m, colors=colors, translation=grid.origin_m)
    )
    found = objects_of(layer, grid, classes)
    ids = np.array([o.id for o in found], np.int64)
    recording.log(
        f"{path}/objects",
        rr.Boxes3D(
            centers=np.array([o.center_m for o in found], np.float32).reshape(-1, 3),
            sizes=np.array([o.extent_m for o in found], np.float32).reshape(-1, 3),
            labels=[f"{classes.names[o.class_id]} {o.id}" for o in found],
            colors=np.round(255 * palette(classes)[instance_row(ids, classes)]).astype(np.uint8),
        ),
    )
    moving = [(o.center_m, o.velocity_mps) for o in found if o.moves]
    recording.log(
        f"{path}/velocities",
        rr.Arrows3D(
            origins=np.array([center for center, _ in moving], np.float32).reshape(-1, 3),
            vectors=np.array([velocity for _, velocity in moving], np.float32).reshape(-1, 3),
        ),
    )


def camera_path(name: str) -> str:
    """Entity of a camera; its name may hold anything."""
    import rerun as rr

    return f"{BASE}/cameras/{rr.escape_entity_path_part(name)}"


def _camera(recording: Any, shot: Shot, picture_width: int) -> None:
    import rerun as rr

    file, resized = bounded_jpeg(shot.picture, picture_width)
    height, width = jpeg_size(file)
    path = camera_path(shot.name)
    recording.log(path, rr.Transform3D(translation=shot.base_from_camera[:3, 3], mat3x3=shot.base_from_camera[:3, :3]))
    pinhole = rr.Pinhole(
        image_from_camera=resized @ shot.intrinsic,
        resolution=[width, height],
        camera_xyz=rr.ViewCoordinates.RDF,
        image_plane_distance=FRUSTUM_M,
    )
    recording.log(path, pinhole)
    recording.log(path, rr.EncodedImage(contents=file, media_type="image/jpeg"))
