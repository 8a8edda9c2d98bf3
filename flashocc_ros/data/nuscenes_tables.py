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

"""The relational JSON tables of nuScenes, reduced to what occupancy training needs.

nuscenes-devkit 1.2 cannot be installed beside numpy 2, and its info files for detection are pickles, which execute code
when they are read. The tables are documented JSON, so they are read directly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from flashocc_ros.data.nuscenes_rows import Row, Tables, numbers
from flashocc_ros.errors import InputError
from flashocc_ros.labels import DETECTION_NAMES
from flashocc_ros.structures import why_no_intrinsic

Float64 = npt.NDArray[np.float64]

CAMERAS = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")
FRONT = "CAM_FRONT"
LIDAR = "LIDAR_TOP"
_MAX_VELOCITY_GAP_S = 1.5
_QUATERNION_TOLERANCE = 0.01

_DETECTION_OF_CATEGORY = {
    "movable_object.barrier": "barrier",
    "movable_object.trafficcone": "traffic_cone",
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.police_officer": "pedestrian",
    "vehicle.bicycle": "bicycle",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.car": "car",
    "vehicle.construction": "construction_vehicle",
    "vehicle.motorcycle": "motorcycle",
    "vehicle.trailer": "trailer",
    "vehicle.truck": "truck",
}

# Numbers of the official validation scenes; all other scenes of v1.0-trainval are for training.
_VAL = frozenset((
    3, *range(12, 19), 35, 36, 38, 39, *range(92, 111), 221, *range(268, 279), *range(329, 333), 344, 345, 346,
    *range(519, 525), *range(552, 566), 625, 626, 627, 629, 630, *range(632, 639), 770, 771, 775, 777, 778,
    *range(780, 785), *range(794, 801), 802, *range(904, 918), *range(919, 932), 962, 963, *range(966, 970),
    971, 972, *range(1059, 1074),
))  # fmt: skip
_MINI_VAL = frozenset([103, 916])


@dataclass(frozen=True, eq=False)
class Sensor:
    """One recording of one sensor at a key frame.

    Attributes:
        path: file.
        timestamp_us: microseconds.
        ego_from_sensor: (4, 4); global_from_ego: (4, 4) at this sensor's own time.
        intrinsics: (3, 3) pixels, zeros for a lidar.
    """

    path: Path
    timestamp_us: int
    ego_from_sensor: Float64
    global_from_ego: Float64
    intrinsics: Float64


@dataclass(frozen=True, eq=False)
class Info:
    """One key frame.

    Attributes:
        token, scene, timestamp_us: identity.
        cameras: sensors in the order asked for, that of ``CAMERAS`` by default; lidar: the lidar.
        boxes: (M, 9) float32 centre, length, width, height, yaw, vx, vy in the ego frame of CAM_FRONT, or of the first
            camera where there is none.
        box_labels: (M,) int64 detection ids. Boxes without lidar and radar points are left out.
    """

    token: str
    scene: str
    timestamp_us: int
    cameras: tuple[Sensor, ...]
    lidar: Sensor
    boxes: npt.NDArray[np.float32]
    box_labels: npt.NDArray[np.int64]


def scenes_of_split(split: str | tuple[str, ...] | list[str], present: set[str]) -> set[str]:
    """Scenes of a split (train, val, mini_train, mini_val, all, or names, in a text with commas) that are ``present``.

    Scenes that are not of nuScenes, whatever they are called, belong to the training splits.

    Raises:
        InputError: nothing is left, or a name is not present.
    """
    if isinstance(split, str) and split in ("train", "val", "mini_train", "mini_val", "all"):
        held = _MINI_VAL if split.startswith("mini") else _VAL
        validation = split.endswith("val")
        chosen = {s for s in present if split == "all" or (_number(s) in held) == validation}
    else:
        names = {name.strip() for name in split.split(",")} if isinstance(split, str) else set(split)
        unknown = sorted(names - present)
        if unknown:
            raise InputError(
                f"split {', '.join(unknown)} has no scene among the {len(present)} of this data set; give train, val, "
                "mini_train, mini_val, all or names of scenes"
            )
        chosen = names
    if not chosen:
        raise InputError(
            f"split {split!r} has no scene among the {len(present)} of this data set; give another split, or the "
            "names of scenes"
        )
    return chosen


def _number(scene: str) -> int | None:
    """Of a scene of nuScenes; None for one of another data set."""
    found = re.fullmatch(r"scene-([0-9]{4})", scene)
    return int(found[1]) if found else None


def pose(row: Row) -> Float64:
    """(4, 4) from a row with ``translation`` and ``rotation`` (w, x, y, z).

    Raises:
        InputError: they are no position and unit quaternion.
    """
    w, x, y, z = numbers(row, "rotation", 4)
    norm = float(np.linalg.norm([w, x, y, z]))
    if not abs(norm - 1) < _QUATERNION_TOLERANCE:
        raise InputError(
            f"row {row['token']} has a rotation of length {norm:.3g}, needs a unit quaternion (w, x, y, z); mend it"
        )
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat([x, y, z, w]).as_matrix()
    matrix[:3, 3] = numbers(row, "translation", 3)
    return matrix


def read_infos(
    root: Path, version: str, split: str | tuple[str, ...] | list[str], cameras: Sequence[str] = CAMERAS
) -> list[Info]:
    """All key frames of a split: drive after drive, in order of time.

    The frames of a scene stand side by side, also where scenes were recorded at the same time.

    Args:
        cameras: channels, for data sets of this layout whose cameras have other names.

    Raises:
        InputError: a table is missing or damaged, a row cannot be used, or the split is empty.
    """
    tables = Tables(Path(root) / version)
    scenes = {token: row["name"] for token, row in tables.by_token("scene").items()}
    if len(set(scenes.values())) != len(scenes):
        twice = next(name for name in scenes.values() if list(scenes.values()).count(name) > 1)
        raise InputError(f"{tables.path('scene')} has two scenes called {twice}; give them different names")
    chosen = scenes_of_split(split, set(scenes.values()))
    all_samples = tables.by_token("sample")
    scene_of = {
        token: tables.follow("sample", row, "scene_token", "scene", scenes) for token, row in all_samples.items()
    }
    samples = [row for token, row in all_samples.items() if scene_of[token] in chosen]
    recordings = _recordings(Path(root), tables, {row["token"] for row in samples}, cameras)
    front = FRONT if FRONT in cameras else cameras[0]
    begin_us: dict[str, int] = {}
    for row in samples:
        scene = scene_of[row["token"]]
        begin_us[scene] = min(row["timestamp"], begin_us.get(scene, row["timestamp"]))
    annotations = _Annotations(tables, {token: row["timestamp"] for token, row in all_samples.items()})
    infos = []
    for sample in samples:
        there = recordings[sample["token"]]
        missing = [name for name in (*cameras, LIDAR) if name not in there]
        if missing:
            raise InputError(
                f"sample {sample['token']} has no {', '.join(missing)}; the tables are incomplete, or the cameras have "
                "other names"
            )
        boxes, labels = annotations.boxes(sample["token"], there[front].global_from_ego)
        pictures = tuple(there[name] for name in cameras)
        scene = scene_of[sample["token"]]
        infos.append(Info(sample["token"], scene, sample["timestamp"], pictures, there[LIDAR], boxes, labels))
    return sorted(infos, key=lambda info: (begin_us[info.scene], info.scene, info.timestamp_us))


def _recordings(root: Path, tables: Tables, wanted: set[str], cameras: Sequence[str]) -> dict[str, dict[str, Sensor]]:
    """Cameras and lidar of the ``wanted`` samples by their channel."""
    sensors = tables.by_token("sensor")
    calibrated = tables.by_token("calibrated_sensor")
    data = [row for row in tables.rows("sample_data") if row["is_key_frame"] and row["sample_token"] in wanted]
    ego = tables.by_token("ego_pose", {row["ego_pose_token"] for row in data})
    recordings: dict[str, dict[str, Sensor]] = {token: {} for token in wanted}
    for row in data:
        calibration = tables.follow("sample_data", row, "calibrated_sensor_token", "calibrated_sensor", calibrated)
        channel = tables.follow("calibrated_sensor", calibration, "sensor_token", "sensor", sensors)["channel"]
        if channel not in (*cameras, LIDAR):
            continue
        there = recordings[row["sample_token"]]
        if channel in there:
            raise InputError(
                f"{tables.path('sample_data')}: row {row['token']} is the second {channel} of sample "
                f"{row['sample_token']}; remove one"
            )
        where = tables.follow("sample_data", row, "ego_pose_token", "ego_pose", ego)
        with named_rows(tables.path("calibrated_sensor")):
            ego_from_sensor = pose(calibration)
            matrix = np.zeros((3, 3)) if channel == LIDAR else intrinsics(calibration)
        with named_rows(tables.path("ego_pose")):
            global_from_ego = pose(where)
        there[channel] = Sensor(root / row["filename"], row["timestamp"], ego_from_sensor, global_from_ego, matrix)
    return recordings


def intrinsics(calibration: Row) -> Float64:
    """(3, 3) pixels, of a row of ``calibrated_sensor``.

    Raises:
        InputError: they are none.
    """
    rows = calibration["camera_intrinsic"]
    if len(rows) != 3 or not all(isinstance(row, list) for row in rows):
        raise InputError(f"row {calibration['token']} has camera_intrinsic {rows!r:.80}, needs 3 rows of 3 numbers")
    matrix = np.array([numbers({**calibration, "camera_intrinsic": row}, "camera_intrinsic", 3) for row in rows])
    if why := why_no_intrinsic(matrix):
        raise InputError(f"row {calibration['token']}: {why}")
    return matrix


@contextmanager
def named_rows(path: Path) -> Iterator[None]:
    """What is wrong with a row, below the name of its table."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


class _Annotations:
    """Boxes per sample in a vehicle frame, with velocities from the neighbouring key frames."""

    def __init__(self, tables: Tables, stamps_us: dict[str, int]) -> None:
        self.tables, self.stamps_us = tables, stamps_us
        categories = tables.by_token("category")
        self.category = {
            token: tables.follow("instance", row, "category_token", "category", categories)["name"]
            for token, row in tables.by_token("instance").items()
        }
        self.rows = tables.by_token("sample_annotation")
        self.of_sample: dict[str, list[Row]] = {}
        for row in self.rows.values():
            tables.follow("sample_annotation", row, "sample_token", "sample", stamps_us)
            self.of_sample.setdefault(row["sample_token"], []).append(row)

    def boxes(self, sample: str, global_from_ego: Float64) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        with named_rows(self.tables.path("sample_annotation")):
            return self._boxes(sample, np.asarray(np.linalg.inv(global_from_ego)))

    def _boxes(self, sample: str, ego_from_global: Float64) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        boxes, labels = [], []
        for row in self.of_sample.get(sample, []):
            category = self.tables.follow("sample_annotation", row, "instance_token", "instance", self.category)
            name = _DETECTION_OF_CATEGORY.get(category)
            if name is None or row["num_lidar_pts"] + row["num_radar_pts"] == 0:
                continue
            box = ego_from_global @ pose(row)
            width, length, height = size = numbers(row, "size", 3)
            if min(size) <= 0:
                raise InputError(f"row {row['token']} has size {size}, needs lengths above 0 m; mend it")
            velocity = ego_from_global[:3, :3] @ self._velocity(row)
            yaw = np.arctan2(box[1, 0], box[0, 0])
            boxes.append([*box[:3, 3], length, width, height, yaw, *velocity[:2]])
            labels.append(DETECTION_NAMES.index(name))
        return np.array(boxes, np.float32).reshape(-1, 9), np.array(labels, np.int64)

    def _velocity(self, row: Row) -> Float64:
        """Global metres per second from the previous to the next annotation, zero where they are too far apart."""
        first, last = (
            self.tables.follow("sample_annotation", row, side, "sample_annotation", self.rows) if row[side] else row
            for side in ("prev", "next")
        )
        seconds = (self.stamps_us[last["sample_token"]] - self.stamps_us[first["sample_token"]]) / 1e6
        both_sides = first is not row and last is not row
        if seconds <= 0 or seconds > _MAX_VELOCITY_GAP_S * (2 if both_sides else 1):
            return np.zeros(3)
        return (np.array(numbers(last, "translation", 3)) - np.array(numbers(first, "translation", 3))) / seconds
