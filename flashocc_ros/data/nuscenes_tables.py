"""The relational JSON tables of nuScenes, reduced to what occupancy training needs.

nuscenes-devkit 1.2 cannot be installed beside numpy 2, and its info files for detection are pickles, which execute code
when they are read. The tables are documented JSON, so they are read directly.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from flashocc_ros.errors import InputError
from flashocc_ros.labels import DETECTION_NAMES

Float64 = npt.NDArray[np.float64]

CAMERAS = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")
LIDAR = "LIDAR_TOP"
_MAX_VELOCITY_GAP_S = 1.5

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
        cameras: six sensors in the order of ``CAMERAS``; lidar: the lidar.
        boxes: (M, 9) float32 centre, length, width, height, yaw, vx, vy in the ego frame of CAM_FRONT.
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
    """Scenes of a split (train, val, mini_train, mini_val, all, or names) that are ``present``.

    Raises:
        InputError: nothing is left.
    """
    if isinstance(split, str) and split in ("train", "val", "mini_train", "mini_val", "all"):
        held = _MINI_VAL if split.startswith("mini") else _VAL
        validation = split.endswith("val")
        chosen = {s for s in present if split == "all" or (int(s.rpartition("-")[2]) in held) == validation}
    else:
        chosen = present & ({split} if isinstance(split, str) else set(split))
    if not chosen:
        raise InputError(f"split {split!r} has no scene among the {len(present)} of this data set")
    return chosen


def pose(record: dict[str, Any]) -> Float64:
    """(4, 4) from a record with ``translation`` and ``rotation`` (w, x, y, z)."""
    w, x, y, z = record["rotation"]
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat([x, y, z, w]).as_matrix()
    matrix[:3, 3] = record["translation"]
    return matrix


def read_infos(root: Path, version: str, split: str | tuple[str, ...] | list[str]) -> list[Info]:
    """All key frames of a split in order of time.

    Raises:
        InputError: a table is missing or damaged, or the split is empty.
    """
    tables = _Tables(Path(root) / version)
    scenes = {s["token"]: s["name"] for s in tables.rows("scene")}
    chosen = scenes_of_split(split, set(scenes.values()))
    samples = [s for s in tables.rows("sample") if scenes[s["scene_token"]] in chosen]
    wanted = {s["token"] for s in samples}
    sensors = tables.by_token("sensor")
    calibrated = tables.by_token("calibrated_sensor")
    data = [d for d in tables.rows("sample_data") if d["is_key_frame"] and d["sample_token"] in wanted]
    ego = tables.by_token("ego_pose", {d["ego_pose_token"] for d in data})
    recordings: dict[str, dict[str, Sensor]] = {token: {} for token in wanted}
    for row in data:
        calibration = calibrated[row["calibrated_sensor_token"]]
        channel = sensors[calibration["sensor_token"]]["channel"]
        if channel in (*CAMERAS, LIDAR):
            recordings[row["sample_token"]][channel] = Sensor(
                Path(root) / row["filename"],
                int(row["timestamp"]),
                pose(calibration),
                pose(ego[row["ego_pose_token"]]),
                np.array(calibration["camera_intrinsic"] or np.zeros((3, 3)), np.float64),
            )
    annotations = _Annotations(tables, {s["token"]: int(s["timestamp"]) for s in tables.rows("sample")})
    infos = []
    for sample in sorted(samples, key=lambda s: int(s["timestamp"])):
        there = recordings[sample["token"]]
        missing = [name for name in (*CAMERAS, LIDAR) if name not in there]
        if missing:
            raise InputError(f"sample {sample['token']} has no {', '.join(missing)}; the tables are incomplete")
        boxes, labels = annotations.boxes(sample["token"], there["CAM_FRONT"].global_from_ego)
        cameras = tuple(there[name] for name in CAMERAS)
        scene, stamp = scenes[sample["scene_token"]], int(sample["timestamp"])
        infos.append(Info(sample["token"], scene, stamp, cameras, there[LIDAR], boxes, labels))
    return infos


class _Tables:
    """JSON files of one version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def rows(self, name: str) -> list[dict[str, Any]]:
        if name not in self._rows:
            path = self.folder / f"{name}.json"
            try:
                self._rows[name] = json.loads(path.read_text())
            except OSError as error:
                raise InputError(
                    f"cannot read {path}: {error.strerror}; give the folder above {path.parent.name}/"
                ) from error
            except ValueError as error:
                raise InputError(f"{path} is damaged: {error}") from error
        return self._rows[name]

    def by_token(self, name: str, only: set[str] | None = None) -> dict[str, dict[str, Any]]:
        return {row["token"]: row for row in self.rows(name) if only is None or row["token"] in only}


class _Annotations:
    """Boxes per sample in a vehicle frame, with velocities from the neighbouring key frames."""

    def __init__(self, tables: _Tables, stamps_us: dict[str, int]) -> None:
        self.stamps_us = stamps_us
        categories = {row["token"]: row["name"] for row in tables.rows("category")}
        self.category = {row["token"]: categories[row["category_token"]] for row in tables.rows("instance")}
        self.rows = tables.by_token("sample_annotation")
        self.of_sample: dict[str, list[dict[str, Any]]] = {}
        for row in self.rows.values():
            self.of_sample.setdefault(row["sample_token"], []).append(row)

    def boxes(self, sample: str, global_from_ego: Float64) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        ego_from_global = np.linalg.inv(global_from_ego)
        boxes, labels = [], []
        for row in self.of_sample.get(sample, []):
            name = _DETECTION_OF_CATEGORY.get(self.category[row["instance_token"]])
            if name is None or row["num_lidar_pts"] + row["num_radar_pts"] == 0:
                continue
            box = ego_from_global @ pose(row)
            width, length, height = row["size"]
            velocity = ego_from_global[:3, :3] @ self._velocity(row)
            yaw = np.arctan2(box[1, 0], box[0, 0])
            boxes.append([*box[:3, 3], length, width, height, yaw, *velocity[:2]])
            labels.append(DETECTION_NAMES.index(name))
        return np.array(boxes, np.float32).reshape(-1, 9), np.array(labels, np.int64)

    def _velocity(self, row: dict[str, Any]) -> Float64:
        """Global metres per second from the previous to the next annotation, zero where they are too far apart."""
        first, last = self.rows.get(row["prev"], row), self.rows.get(row["next"], row)
        seconds = (self.stamps_us[last["sample_token"]] - self.stamps_us[first["sample_token"]]) / 1e6
        both_sides = first is not row and last is not row
        if seconds <= 0 or seconds > _MAX_VELOCITY_GAP_S * (2 if both_sides else 1):
            return np.zeros(3)
        return (np.array(last["translation"]) - np.array(first["translation"])) / seconds
