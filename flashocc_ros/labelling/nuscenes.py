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

"""Scenes of nuScenes to label: sweeps, annotated boxes, and classes of points where lidarseg is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.data.nuscenes_files import read_lidar
from flashocc_ros.data.nuscenes_rows import Row, Tables, numbers
from flashocc_ros.data.nuscenes_tables import CAMERAS, LIDAR, Info, pose, read_infos
from flashocc_ros.errors import InputError
from flashocc_ros.labelling.boxes import BoxFrame
from flashocc_ros.labelling.class_ids import ids_of_occ3d
from flashocc_ros.labelling.clouds import UNKNOWN_CLASS, Cloud
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.stream import Event, Key
from flashocc_ros.labelling.sweeps import make_sweep
from flashocc_ros.labels import CLASS_NAMES, ClassTable
from flashocc_ros.structures import CameraRig

_CLASSES = {
    "noise": None, "vehicle.ego": None,
    "movable_object.barrier": "barrier", "movable_object.trafficcone": "traffic_cone",
    "vehicle.bicycle": "bicycle", "vehicle.bus": "bus", "vehicle.car": "car",
    "vehicle.construction": "construction_vehicle", "vehicle.motorcycle": "motorcycle", "vehicle.trailer": "trailer",
    "vehicle.truck": "truck", "human.pedestrian.adult": "pedestrian", "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian", "human.pedestrian.police_officer": "pedestrian",
    "flat.driveable_surface": "driveable_surface", "flat.other": "other_flat", "flat.sidewalk": "sidewalk",
    "flat.terrain": "terrain", "static.manmade": "manmade", "static.vegetation": "vegetation",
}  # fmt: skip
"""Class of each category, or of what it begins with; all others are ``others``, None is no class."""
_NO_RETURN_M = 0.5
"""Rays without return are stored as points at the lidar itself."""


def class_of_category(name: str) -> int:
    """Id of ``OCC3D``, 255 for none."""
    found = next((value for key, value in _CLASSES.items() if name == key or name.startswith(key + ".")), "others")
    return UNKNOWN_CLASS if found is None else CLASS_NAMES.index(found)


@dataclass
class Scene:
    """One scene; see `run.DriveSource`."""

    name: str
    root: Path
    version: str
    settings: Settings
    infos: list[Info]
    rows: list[tuple[Row, Row, Row]]
    boxes: list[BoxFrame]
    segments: dict[str, Path]
    class_table: npt.NDArray[np.uint8]
    report: Callable[[str], object]
    remarks: list[str] = field(default_factory=list)
    has_boxes: bool = True

    @property
    def by_class(self) -> bool:
        return bool(self.segments)

    @property
    def start_ns(self) -> int:
        return self.infos[0].timestamp_us * 1000

    @property
    def seconds(self) -> float:
        return (self.infos[-1].timestamp_us - self.infos[0].timestamp_us) / 1e6

    def say(self, sentence: str) -> None:
        if sentence not in self.remarks:
            self.remarks.append(sentence)
            self.report(f"{self.name}: {sentence}")

    def described(self) -> dict[str, Any]:
        """For a manifest."""
        return {"nuscenes": self.version, "scene": self.name, "sweeps": len(self.rows), "lidarseg": len(self.segments)}

    def token_of(self, key: Key) -> str:
        """Of the sample."""
        return str(next(info.token for info in self.infos if info.lidar.timestamp_us * 1000 == key.stamp_ns))

    def events(self) -> Iterator[Event]:
        """Sweeps, boxes and key frames in the order of time."""
        order: list[tuple[int, int, Any]] = [(frame.stamp_ns, 0, frame) for frame in self.boxes]
        order += [(info.lidar.timestamp_us * 1000, 1, info) for info in self.infos]
        order += [(rows[0]["timestamp"] * 1000, 2, rows) for rows in self.rows]
        self.say("points have no time of their own: sweeps are taken as they were stored, without de-skewing")
        for stamp_ns, kind, item in sorted(order, key=lambda entry: entry[:2]):
            if kind == 0:
                yield item
            elif kind == 1:
                yield Key(stamp_ns, item.lidar.global_from_ego, _cameras(item))
            else:
                yield self._sweep(stamp_ns, *item)

    def _sweep(self, stamp_ns: int, data: Row, ego: Row, calibration: Row) -> Event:
        values = read_lidar(self.root / data["filename"])
        classes = None
        if data["token"] in self.segments:
            raw = _read_segments(self.segments[data["token"]], len(values))
            classes = self.class_table[raw]
        points = values[:, :3].copy()
        points[np.linalg.norm(points, axis=1) < _NO_RETURN_M] = np.nan
        rings = int(values[:, 4].max(initial=0)) + 1
        shape = (len(values) // rings, rings)
        organised = rings > 1 and len(values) % rings == 0
        organised = organised and bool((values[:, 4].reshape(shape) == np.arange(rings)).all())
        fixed_from_lidar, mounting = pose(ego) @ pose(calibration), pose(calibration)
        cloud = Cloud(points, None, classes, shape if organised else None)
        settings = self.settings
        sweep, _ = make_sweep(
            cloud, stamp_ns, lambda _: fixed_from_lidar.copy(), mounting, settings.own_box_m, settings.range_m
        )
        return sweep


def read_scenes(
    root: Path, version: str, split: str | tuple[str, ...], settings: Settings, report: Callable[[str], object]
) -> list[Scene]:
    """All scenes of a split, in order.

    Raises:
        InputError: tables are missing or damaged, the split is empty, or there are no sweeps between key frames.
    """
    infos = read_infos(root, version, split)
    tables = Tables(Path(root) / version)
    lidar_rows = _lidar_rows(tables, {info.token for info in infos})
    boxes = _Boxes(tables, settings.classes)
    segments, class_table = _segments(Path(root), tables, settings.classes)
    scenes = []
    for name in dict.fromkeys(info.scene for info in infos):
        mine = sorted((info for info in infos if info.scene == name), key=lambda info: info.lidar.timestamp_us)
        rows = [row for info in mine for row in lidar_rows.get(info.token, ())]
        scene = Scene(
            name, Path(root), version, settings, mine, rows, [boxes.frame(info) for info in mine],
            {row[0]["token"]: segments[row[0]["token"]] for row in rows if row[0]["token"] in segments}, class_table,
            report,
        )  # fmt: skip
        if len(rows) == len(mine):
            scene.say(
                "no sweeps between key frames: labels are as sparse as one sweep in half a second; unpack sweeps/"
            )
        scenes.append(scene)
    return scenes


def _lidar_rows(tables: Tables, samples: set[str]) -> dict[str, list[tuple[Row, Row, Row]]]:
    """Rows of sample_data, ego_pose and calibrated_sensor of the lidar, by sample."""
    sensors = tables.by_token("sensor")
    calibrated = tables.by_token("calibrated_sensor")
    lidars = {
        token
        for token, row in calibrated.items()
        if tables.follow("calibrated_sensor", row, "sensor_token", "sensor", sensors)["channel"] == LIDAR
    }
    data = [
        row
        for row in tables.rows("sample_data")
        if row["calibrated_sensor_token"] in lidars and row["sample_token"] in samples
    ]
    ego = tables.by_token("ego_pose", {row["ego_pose_token"] for row in data})
    found: dict[str, list[tuple[Row, Row, Row]]] = {}
    for row in sorted(data, key=lambda row: row["timestamp"]):
        where = tables.follow("sample_data", row, "ego_pose_token", "ego_pose", ego)
        found.setdefault(row["sample_token"], []).append((row, where, calibrated[row["calibrated_sensor_token"]]))
    return found


class _Boxes:
    """Annotations as boxes with numbers."""

    def __init__(self, tables: Tables, classes: ClassTable) -> None:
        ids = ids_of_occ3d(classes, UNKNOWN_CLASS)
        categories = tables.by_token("category")
        instances = tables.by_token("instance")
        self._class = {
            token: ids[class_of_category(str(_category(tables, row, categories)["name"]))]
            for token, row in instances.items()
        }
        self._number = {token: number for number, token in enumerate(instances, 1)}
        self._rows: dict[str, list[Row]] = {}
        for row in tables.rows("sample_annotation"):
            tables.follow("sample_annotation", row, "instance_token", "instance", self._number)
            self._rows.setdefault(row["sample_token"], []).append(row)

    def frame(self, info: Info) -> BoxFrame:
        rows = [r for r in self._rows.get(info.token, []) if self._class[r["instance_token"]] != UNKNOWN_CLASS]
        sizes = np.array([numbers(row, "size", 3) for row in rows], np.float64).reshape(-1, 3)[:, [1, 0, 2]]
        if (sizes <= 0).any():
            raise InputError(f"sample {info.token} has a box of size {sizes.min():g} m, needs more than 0; mend it")
        return BoxFrame(
            info.timestamp_us * 1000,
            np.array([self._number[row["instance_token"]] for row in rows], np.int64),
            np.array([self._class[row["instance_token"]] for row in rows], np.uint8),
            np.array([pose(row) for row in rows], np.float64).reshape(-1, 4, 4),
            sizes,
        )


def _category(tables: Tables, instance: Row, categories: dict[str, Row]) -> Row:
    return tables.follow("instance", instance, "category_token", "category", categories)


def _segments(root: Path, tables: Tables, classes: ClassTable) -> tuple[dict[str, Path], npt.NDArray[np.uint8]]:
    """Files of lidarseg by token of sample_data, and class ids by its numbers; empty where it is not there."""
    table, ids = np.full(256, UNKNOWN_CLASS, np.uint8), ids_of_occ3d(classes, UNKNOWN_CLASS)
    if not tables.path("lidarseg").is_file():
        return {}, table
    for row in tables.rows("category"):
        index = row.get("index")
        if isinstance(index, int) and 0 <= index < 256:
            table[index] = ids[class_of_category(row["name"])]
    return {row["sample_data_token"]: root / row["filename"] for row in tables.rows("lidarseg")}, table


def _read_segments(path: Path, count: int) -> npt.NDArray[np.uint8]:
    try:
        found = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; unpack lidarseg/ again") from error
    if len(found) != count:
        raise InputError(f"{path} holds {len(found)} classes for {count} points; unpack lidarseg/ again")
    return found


def _cameras(info: Info) -> CameraSet:
    try:
        images = [camera.path.read_bytes() for camera in info.cameras]
    except OSError as error:
        raise InputError(f"cannot read {error.filename}: {error.strerror}; unpack samples/ again") from error
    rig = CameraRig(
        CAMERAS, np.stack([c.intrinsics for c in info.cameras]), np.stack([c.ego_from_sensor for c in info.cameras])
    )
    return CameraSet(
        images,
        rig,
        np.stack([camera.global_from_ego for camera in info.cameras]),
        info.lidar.timestamp_us * 1000,
        np.array([camera.timestamp_us * 1000 for camera in info.cameras], np.int64),
        info.lidar.global_from_ego,
    )
