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

"""Scenes of a generated nuScenes: sweeps between key frames, annotations, lidarseg."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelling.label_scene import MOUNT_M, SHAPE, cast, voxel
from PIL import Image

from flashocc_ros.data.nuscenes_tables import CAMERAS, LIDAR
from flashocc_ros.data.occ3d import load_occupancy
from flashocc_ros.errors import InputError
from flashocc_ros.labelling.nuscenes import class_of_category, read_scenes
from flashocc_ros.labelling.run import label_drive
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labels import CLASS_NAMES

VERSION, SCENE = "v1.0-mini", "scene-0061"
T0_US = 1_000_000_000_000
OPTICAL = [0.5, -0.5, 0.5, -0.5]
SIZE = np.array([4.0, 2.0, 1.6])
CATEGORIES = ("vehicle.car", "static.manmade", "flat.driveable_surface", "noise", "animal")


def middle(t_s: float) -> np.ndarray:
    """A car 8 m ahead that crosses at 4 m/s, straight ahead after half a second."""
    return np.array([8.0, 4.0 * (t_s - 0.5), 0.9])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of three key frames half a second apart with a sweep every 0.1 s; the vehicle stands at (100, 50)."""
    root = tmp_path_factory.mktemp("nuscenes")
    tables: dict[str, list[dict[str, Any]]] = {
        "scene": [{"token": "s", "name": SCENE}],
        "category": [{"token": name, "name": name, "index": i} for i, name in enumerate(CATEGORIES)],
        "instance": [{"token": "crossing", "category_token": "vehicle.car"}],
        "ego_pose": [{"token": "e", "translation": [100.0, 50.0, 0.0], "rotation": [1, 0, 0, 0]}],
    }
    tables |= {name: [] for name in ("sample", "sample_data", "sample_annotation", "sensor", "calibrated_sensor")}
    tables["lidarseg"] = []
    for channel in (*CAMERAS, LIDAR):
        camera = channel != LIDAR
        tables["sensor"].append({"token": channel, "channel": channel})
        tables["calibrated_sensor"].append({
            "token": f"c-{channel}", "sensor_token": channel,
            "translation": [1.5, 0.0, 1.5] if camera else list(MOUNT_M),
            "rotation": OPTICAL if camera else [1, 0, 0, 0],
            "camera_intrinsic": [[60.0, 0, 80], [0, 60.0, 45], [0, 0, 1]] if camera else [],
        })  # fmt: skip
    (root / "sweeps").mkdir()
    Image.fromarray(np.zeros((90, 160, 3), np.uint8)).save(root / "picture.jpg")
    for number in range(11):
        t_s = number / 10
        key = number % 5 == 0
        token, name = f"k{min(2, -(-number // 5))}", f"sweeps/{number}.bin"
        points = np.zeros((*SHAPE, 5), np.float32)
        points[..., :3] = np.nan_to_num(cast([(middle(t_s), SIZE)])).reshape(*SHAPE, 3)
        points[..., 4] = np.arange(SHAPE[0])[:, None]
        stored = np.ascontiguousarray(points.transpose(1, 0, 2)).reshape(-1, 5)  # fired column after column
        stored.tofile(root / name)
        row = {"sample_token": token, "ego_pose_token": "e", "timestamp": T0_US + round(t_s * 1e6)}
        tables["sample_data"].append({
            "token": f"d{number}", "calibrated_sensor_token": f"c-{LIDAR}", "is_key_frame": key, "filename": name,
            **row,
        })  # fmt: skip
        if not key:
            continue
        tables["sample"].append({"token": token, "scene_token": "s", "timestamp": row["timestamp"]})
        height = stored[:, 2] + MOUNT_M[2]
        classes = np.where(height < 0.05, 2, np.where(stored[:, 0] > 15, 1, 0)).astype(np.uint8)
        classes.tofile(root / f"{token}.seg")
        tables["lidarseg"].append(
            {"token": f"d{number}", "sample_data_token": f"d{number}", "filename": f"{token}.seg"}
        )
        for channel in CAMERAS:
            tables["sample_data"].append({
                "token": f"d{number}-{channel}", "calibrated_sensor_token": f"c-{channel}", "is_key_frame": True,
                "filename": "picture.jpg", **row,
            })  # fmt: skip
        x, y, z = middle(t_s)
        tables["sample_annotation"].append({
            "token": f"a{number}", "sample_token": token, "instance_token": "crossing",
            "translation": [100 + x, 50 + y, z], "size": [SIZE[1], SIZE[0], SIZE[2]], "rotation": [1, 0, 0, 0],
            "prev": "", "next": "", "num_lidar_pts": 9, "num_radar_pts": 0,
        })  # fmt: skip
    for name, rows in tables.items():
        path = root / VERSION / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(rows))
    return root


def test_key_frames_get_labels_from_sweeps_boxes_and_lidarseg(root: Path, tmp_path: Path) -> None:
    said: list[str] = []
    (scene,) = read_scenes(root, VERSION, "all", Settings(), said.append)
    assert scene.by_class
    summary = label_drive(
        scene, tmp_path, scene.name, scene.described(), Settings(), pictures=False, token_of=scene.token_of
    )
    assert summary.frames == 3
    info = next(info for info in scene.infos if info.token == "k1")
    semantics, camera, lidar, instances = load_occupancy(tmp_path, info)
    names = {name: CLASS_NAMES.index(name) for name in ("car", "manmade", "driveable_surface", "free")}
    assert semantics[voxel(6.1, 0.1, 1.1)] == names["car"]
    assert instances is not None
    assert instances[voxel(6.1, 0.1, 1.1)] == 1
    assert semantics[voxel(16.3, 5.0, 1.5)] == names["manmade"]
    assert semantics[voxel(5.0, 5.0, 0.0)] == names["driveable_surface"]
    assert semantics[voxel(6.1, -1.9, 1.1)] == names["free"]  # where the car was
    assert lidar[voxel(6.1, -1.9, 1.1)]
    assert lidar[voxel(-20.0, 0.1, 3.5)]  # passed by rays without return
    assert camera[voxel(6.1, 0.1, 1.1)]


def test_what_is_missing_is_one_sentence(root: Path) -> None:
    (scene,) = read_scenes(root, VERSION, "all", Settings(), print)
    scene.segments["d0"] = root / "k9.seg"
    with pytest.raises(InputError, match=r"cannot read .*k9.seg.*unpack lidarseg/ again"):
        list(scene.events())


@pytest.mark.parametrize(
    ("category", "name"),
    [
        ("vehicle.bus.bendy", "bus"),
        ("human.pedestrian.child", "pedestrian"),
        ("static.vegetation", "vegetation"),
        ("movable_object.debris", "others"),
        ("human.pedestrian.wheelchair", "others"),
    ],
)
def test_categories_are_classes_of_the_table(category: str, name: str) -> None:
    assert CLASS_NAMES[class_of_category(category)] == name
    assert class_of_category("noise") == class_of_category("vehicle.ego") == 255
