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

"""nuScenes tables, neighbours, depth and augmentation on a generated folder of the same layout."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flashocc_ros.data.nuscenes_files import read_picture, read_points
from flashocc_ros.data.nuscenes_tables import CAMERAS, LIDAR, read_infos, scenes_of_split
from flashocc_ros.data.occ3d import load_occupancy
from flashocc_ros.errors import ImageError, InputError
from flashocc_ros.evaluation.nuscenes_frames import NuScenesFrames
from flashocc_ros.training.nuscenes_source import ImageAugmentation, NuScenesSource, lidar_depth
from flashocc_ros.variants import get_variant

VERSION = "v1.0-mini"
SCENES = ("scene-0061", "scene-0103")
SAMPLES_PER_SCENE = 3
K = [[1266.0, 0, 800], [0, 1266.0, 450], [0, 0, 1]]
OPTICAL = [0.5, -0.5, 0.5, -0.5]  # w, x, y, z: looks along x of the vehicle
POINT_EGO = (12.0, 1.0, 1.5)


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of three key frames; the vehicle drives 5 m per frame along x, one car stands, one drives."""
    root = tmp_path_factory.mktemp("nuscenes")
    tables: dict[str, list[dict[str, Any]]] = {
        name: []
        for name in ("scene", "sample", "sample_data", "ego_pose", "sample_annotation", "sensor", "calibrated_sensor")
    }
    tables["category"] = [{"token": "car", "name": "vehicle.car"}, {"token": "animal", "name": "animal"}]
    tables["instance"] = [
        {"token": f"{scene}-{kind}", "category_token": category}
        for scene in SCENES
        for kind, category in (("parked", "car"), ("moving", "car"), ("hidden", "car"), ("dog", "animal"))
    ]
    for channel in (*CAMERAS, LIDAR):
        camera = channel != LIDAR
        tables["sensor"].append({"token": channel, "channel": channel})
        tables["calibrated_sensor"].append({
            "token": f"c-{channel}", "sensor_token": channel, "translation": [1.5, 0.0, 1.5] if camera else [1, 0, 1.8],
            "rotation": OPTICAL if camera else [1, 0, 0, 0], "camera_intrinsic": K if camera else [],
        })  # fmt: skip
    pixel = np.zeros((900, 1600, 3), np.uint8)
    pixel[:, :, 0] = np.linspace(0, 255, 1600)
    (root / "samples").mkdir(parents=True)
    Image.fromarray(pixel).save(root / "samples" / "picture.jpg", quality=95)
    points = np.zeros((2, 5), np.float32)
    points[0, :3] = np.array(POINT_EGO) - (1, 0, 1.8)
    points[1, :3] = (60.0, 0.0, 0.0)  # beyond the depth range
    points.tofile(root / "samples" / "lidar.bin")
    for s, scene in enumerate(SCENES):
        tables["scene"].append({"token": scene, "name": scene})
        for k in range(SAMPLES_PER_SCENE):
            token, stamp = f"{scene}-{k}", 1_000_000_000_000 + s * 100_000_000 + k * 500_000
            tables["sample"].append({"token": token, "scene_token": scene, "timestamp": stamp})
            for c, channel in enumerate((*CAMERAS, LIDAR)):
                tables["ego_pose"].append({
                    "token": f"e-{token}-{channel}", "translation": [100 + 5 * k + 0.1 * c, 50, 0],
                    "rotation": [1, 0, 0, 0],
                })  # fmt: skip
                tables["sample_data"].append({
                    "token": f"d-{token}-{channel}", "sample_token": token, "ego_pose_token": f"e-{token}-{channel}",
                    "calibrated_sensor_token": f"c-{channel}", "timestamp": stamp + c * 1000, "is_key_frame": True,
                    "filename": "samples/lidar.bin" if channel == LIDAR else "samples/picture.jpg",
                })  # fmt: skip
            for kind, x, points_in in (
                ("parked", 120.0, 5),
                ("moving", 110.0 + 2 * k, 1),
                ("hidden", 115.0, 0),
                ("dog", 111.0, 9),
            ):
                step = {"prev": f"a-{scene}-{k - 1}-{kind}" if k else "",
                        "next": f"a-{scene}-{k + 1}-{kind}" if k + 1 < SAMPLES_PER_SCENE else ""}  # fmt: skip
                tables["sample_annotation"].append({
                    "token": f"a-{token}-{kind}", "sample_token": token, "instance_token": f"{scene}-{kind}",
                    "translation": [x, 53.0, 0.8], "size": [2.0, 4.5, 1.6], "rotation": [1, 0, 0, 0],
                    "num_lidar_pts": points_in, "num_radar_pts": 0, **step,
                })  # fmt: skip
            semantics = np.full((200, 200, 16), 17, np.uint8)
            semantics[150, 120, 4] = 4
            folder = root / "gts" / scene / token
            folder.mkdir(parents=True)
            np.savez_compressed(
                folder / "labels.npz",
                semantics=semantics,
                mask_camera=(semantics < 17).astype(np.uint8),
                mask_lidar=semantics * 0,
            )
    for name, rows in tables.items():
        _write(root / VERSION / f"{name}.json", rows)
    return root


def test_infos_are_in_order_of_time_with_camera_frame_boxes(root: Path) -> None:
    infos = read_infos(root, VERSION, "all")
    assert [i.token for i in infos] == [f"{s}-{k}" for s in SCENES for k in range(SAMPLES_PER_SCENE)]
    middle = infos[1]
    assert len(middle.boxes) == 2  # no dog, nothing without points
    front = middle.cameras[CAMERAS.index("CAM_FRONT")].global_from_ego
    np.testing.assert_allclose(middle.boxes[0, :3], [120 - front[0, 3], 3, 0.8], atol=1e-5)
    np.testing.assert_allclose(middle.boxes[0, 3:6], [4.5, 2.0, 1.6])
    np.testing.assert_allclose(middle.boxes[1, 7:9], [4.0, 0.0], atol=1e-5)  # 2 m in half a second
    assert middle.box_labels.tolist() == [0, 0]


def test_past_frames_stay_inside_the_scene(root: Path) -> None:
    source = NuScenesSource(root, VERSION, "all", get_variant("panoptic-flashocc-r50-depth4d"), augment=False)
    assert [source.neighbours(i) for i in range(5)] == [[0, 0], [1, 0], [2, 1], [3, 3], [4, 3]]
    stereo = NuScenesSource(root, VERSION, "all", get_variant("flashocc-r50-4d-stereo"), augment=False)
    assert stereo.neighbours(4) == [4, 3, 4]


def test_lidar_depth_lands_where_the_point_projects(root: Path) -> None:
    info = read_infos(root, VERSION, "all")[0]
    camera = info.cameras[0]
    augmentation = ImageAugmentation.draw((1600, 900), (256, 704), None)
    depth = lidar_depth(info.lidar, camera, *augmentation.homography, (256, 704))
    # The lidar's vehicle pose is 0.6 m ahead of this camera's.
    z = POINT_EGO[0] + 0.6 - 1.5
    u = 0.44 * (800 - 1266 * POINT_EGO[1] / z)
    v = 0.44 * (450 - 1266 * (POINT_EGO[2] - 1.5) / z) - 140
    ((row, column),) = np.argwhere(depth > 0)
    assert (row, column) == (round(v), round(u))
    assert depth[row, column] == pytest.approx(z, abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_augmented_pictures_agree_with_their_homography(seed: int) -> None:
    augmentation = ImageAugmentation.draw((1600, 900), (256, 704), np.random.default_rng(seed))
    picture = np.zeros((900, 1600, 3), np.uint8)
    u, v = 800, 560
    picture[v - 6 : v + 7, u - 6 : u + 7] = 255
    out = augmentation.apply(Image.fromarray(picture))[..., 0].astype(float)
    rows, columns = np.mgrid[: out.shape[0], : out.shape[1]]
    found = np.array([(columns * out).sum(), (rows * out).sum()]) / out.sum()
    rotation, translation = augmentation.homography
    expected = (rotation @ [u, v, 1] + translation)[:2]
    np.testing.assert_allclose(found, expected, atol=1.5)


def test_test_time_transform_is_the_published_one() -> None:
    augmentation = ImageAugmentation.draw((1600, 900), (256, 704), None)
    assert (augmentation.scaled, augmentation.left, augmentation.top) == ((704, 396), 0, 140)
    rotation, translation = augmentation.homography
    np.testing.assert_allclose(np.diag(rotation), [0.44, 0.44, 1])
    np.testing.assert_allclose(translation, [0, -140, 0])


def test_bev_mirrors_move_voxels_boxes_and_bda_together(root: Path) -> None:
    source = NuScenesSource(root, VERSION, "all", get_variant("panoptic-flashocc-r50-depth-pano"))
    seen = set()
    for seed in range(12):
        sample = source.sample(0, np.random.default_rng(seed))
        x, y = np.diag(sample.geometry.bda)[:2]
        assert sample.semantics[150 if x > 0 else 49, 120 if y > 0 else 79, 4] == 4
        np.testing.assert_allclose(np.sign(sample.boxes[0, :2]), np.sign([x, y]))
        assert sample.depth_m is not None
        assert sample.images.shape == (1, 6, 256, 704, 3)
        seen.add((x, y))
    assert len(seen) > 2


def test_previous_frames_share_the_augmentation_of_the_key_frame(root: Path) -> None:
    source = NuScenesSource(root, VERSION, "all", get_variant("panoptic-flashocc-r50-depth4d"))
    geometry = source.sample(1, np.random.default_rng(0)).geometry
    np.testing.assert_array_equal(geometry.post_rot[0], geometry.post_rot[1])
    assert not np.allclose(geometry.post_rot[0, 0], geometry.post_rot[0, 1])
    assert geometry.ego2global[0, 0, 0, 3] - geometry.ego2global[1, 0, 0, 3] == pytest.approx(5.0)


def test_evaluation_frames_carry_lidar_origins_of_the_scene(root: Path) -> None:
    data = NuScenesFrames(root, VERSION, "all")
    assert data.sequences() == list(SCENES)
    frames = list(data.frames(SCENES[0]))
    assert len(frames) == SAMPLES_PER_SCENE
    np.testing.assert_allclose(frames[1].origins, [[-4, 0, 1.8], [1, 0, 1.8], [6, 0, 1.8]], atol=1e-6)
    assert frames[0].instances is None


def test_splits_follow_the_official_scene_lists() -> None:
    present = {"scene-0001", "scene-0003", "scene-0061", "scene-0103", "scene-1073"}
    assert scenes_of_split("val", present) == {"scene-0003", "scene-0103", "scene-1073"}
    assert scenes_of_split("train", present) == {"scene-0001", "scene-0061"}
    assert scenes_of_split("scene-0001, scene-0103", present) == {"scene-0001", "scene-0103"}
    assert scenes_of_split("mini_val", present) == {"scene-0103"}
    with pytest.raises(InputError, match="no scene"):
        scenes_of_split("scene-9999", present)


def test_scenes_without_a_number_of_nuscenes_are_for_training() -> None:
    present = {"my-drive", "drive-0003", "scene-x", "scene-0003"}
    assert scenes_of_split("train", present) == {"my-drive", "drive-0003", "scene-x"}
    assert scenes_of_split("val", present) == {"scene-0003"}


def test_a_scene_that_is_not_there_is_named_beside_others_that_are() -> None:
    with pytest.raises(InputError, match="split scene-9999 has no scene"):
        scenes_of_split(("scene-0061", "scene-9999"), {"scene-0061"})


def test_missing_tables_and_labels_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scene\.json"):
        read_infos(tmp_path, VERSION, "all")
    source = NuScenesSource(root, VERSION, "all", get_variant("flashocc-r50-M0"), augment=False)
    source.root = tmp_path
    with pytest.raises(InputError, match=r"labels\.npz.*Occ3D"):
        source.sample(0, np.random.default_rng(0))


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """The same data with tables and labels of its own, to be damaged."""
    (tmp_path / "samples").symlink_to(root / "samples")
    shutil.copytree(root / VERSION, tmp_path / VERSION)
    shutil.copytree(root / "gts", tmp_path / "gts")
    return tmp_path


def change(root: Path, table: str, token: str, /, **columns: Any) -> None:
    """Give a row other values; ``...`` removes the column."""
    path = root / VERSION / f"{table}.json"
    rows = json.loads(path.read_text())
    row = next(row for row in rows if row["token"] == token)
    row.update(columns)
    _write(path, [{k: v for k, v in row.items() if v is not ...} for row in rows])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "scene.json is damaged"),
        (b"[" * 100_000, "scene.json is damaged"),
        (b"\xff", "scene.json is damaged"),
        (b"{}", "scene.json holds {}, needs a list of rows"),
        (b"[null]", "scene.json: row number 0 is None, needs columns"),
        (b"[]", "no scene among the 0 of this data set"),
    ],
)
def test_a_table_that_is_none_is_one_sentence(copy: Path, content: bytes, words: str) -> None:
    (copy / VERSION / "scene.json").write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_infos(copy, VERSION, "all")
    assert "\n" not in str(caught.value)


SAMPLE = "scene-0061-1"
POSE = f"e-{SAMPLE}-CAM_FRONT"
PARKED = f"a-{SAMPLE}-parked"


@pytest.mark.parametrize(
    ("table", "token", "columns", "words"),
    [
        ("scene", "scene-0061", {"name": ...}, "row scene-0061 has no name"),
        ("scene", "scene-0061", {"name": "scene-0103"}, "two scenes called scene-0103"),
        ("sample", SAMPLE, {"timestamp": "soon"}, f"row {SAMPLE} has timestamp 'soon', needs a whole number"),
        ("sample", SAMPLE, {"timestamp": 10**40}, f"row {SAMPLE} has timestamp 1000"),
        ("sample", SAMPLE, {"scene_token": "gone"}, f"row {SAMPLE} has scene_token 'gone', which scene.json"),
        ("sample", SAMPLE, {"token": "scene-0061-0"}, "two rows with token scene-0061-0"),
        ("ego_pose", POSE, {"rotation": [0, 0, 0, 0]}, f"ego_pose.json: row {POSE} has a rotation of length 0"),
        ("ego_pose", POSE, {"rotation": [1, 0, 0]}, f"row {POSE} has rotation .*needs 4 finite numbers"),
        ("ego_pose", POSE, {"translation": [0, float("nan"), 0]}, f"row {POSE} has translation .*needs 3 finite"),
        ("ego_pose", POSE, {"token": "other"}, f"row d-{SAMPLE}-CAM_FRONT has ego_pose_token '{POSE}', which ego_pose"),
        ("sample_data", f"d-{SAMPLE}-CAM_FRONT", {"filename": None}, f"row d-{SAMPLE}-CAM_FRONT has filename None"),
        ("sample_data", f"d-{SAMPLE}-CAM_BACK", {"calibrated_sensor_token": "c-CAM_FRONT"}, "is the second CAM_FRONT"),
        ("calibrated_sensor", "c-CAM_BACK", {"camera_intrinsic": []}, "row c-CAM_BACK has camera_intrinsic"),
        ("calibrated_sensor", "c-CAM_BACK", {"camera_intrinsic": [[0] * 3] * 3}, "row c-CAM_BACK: focal lengths 0, 0"),
        ("sample_annotation", PARKED, {"size": [1, 0, 1]}, f"sample_annotation.json: row {PARKED} has size"),
        ("sample_annotation", PARKED, {"num_lidar_pts": -1}, f"row {PARKED} has num_lidar_pts -1"),
        ("sample_annotation", PARKED, {"instance_token": "x"}, f"row {PARKED} has instance_token 'x', which instance"),
        ("sample_annotation", PARKED, {"next": "x"}, f"row {PARKED} has next 'x', which sample_annotation"),
        ("instance", "scene-0061-parked", {"category_token": "x"}, "row scene-0061-parked has category_token 'x'"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_is_named(
    copy: Path, table: str, token: str, columns: dict[str, Any], words: str
) -> None:
    change(copy, table, token, **columns)
    with pytest.raises(InputError, match=words) as caught:
        read_infos(copy, VERSION, "all")
    assert "\n" not in str(caught.value)


def test_past_frames_stay_inside_the_scene_when_two_were_recorded_at_once(copy: Path) -> None:
    for k in range(SAMPLES_PER_SCENE):
        change(copy, "sample", f"{SCENES[1]}-{k}", timestamp=1_000_000_000_000 + 250_000 + k * 500_000)
    source = NuScenesSource(copy, VERSION, "all", get_variant("panoptic-flashocc-r50-depth4d"), augment=False)
    tokens = [[source.infos[i].token for i in source.neighbours(index)] for index in range(len(source))]
    assert tokens == [[f"{s}-{k}", f"{s}-{max(k - 1, 0)}"] for s in SCENES for k in range(SAMPLES_PER_SCENE)]


def test_past_frames_follow_time_whatever_the_order_of_the_rows(copy: Path) -> None:
    path = copy / VERSION / "sample.json"
    _write(path, json.loads(path.read_text())[::-1])
    assert [i.token for i in read_infos(copy, VERSION, "all")] == [
        f"{s}-{k}" for s in SCENES for k in range(SAMPLES_PER_SCENE)
    ]


def damaged(value: float, dtype: str) -> np.ndarray:
    semantics = np.full((200, 200, 16), 17, dtype)
    semantics[3, 3, 3] = value
    return semantics


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("semantics", damaged(18, "u1"), "semantics holds 18, needs whole numbers from 0 to 17"),
        ("semantics", damaged(255, "u1"), "semantics holds 255"),
        ("semantics", damaged(256, "i4"), "semantics holds 256"),
        ("semantics", damaged(-1, "i4"), "semantics holds -1"),
        ("semantics", damaged(np.nan, "f4"), "semantics holds float32, needs whole numbers"),
        ("semantics", damaged(0, "u1")[:100], r"semantics has shape \(100, 200, 16\)"),
        ("semantics", np.array([{}], object), "semantics has shape"),
        ("mask_camera", damaged(0, "u1")[0], r"mask_camera has shape \(200, 16\)"),
        ("mask_lidar", damaged(2, "u1") // 17 * 2, "mask_lidar holds 2, needs whole numbers from 0 to 1"),
        ("mask_camera", damaged(np.nan, "f4"), "mask_camera holds float32"),
        ("instances", damaged(2**40, "i8"), "instances holds 1099511627776"),
        ("instances", damaged(np.nan, "f8"), "instances holds float64"),
    ],
)
def test_labels_that_are_none_are_named(copy: Path, name: str, array: np.ndarray, words: str) -> None:
    path = copy / "gts" / SCENES[0] / SAMPLE / "labels.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **arrays | {name: array})
    info = read_infos(copy, VERSION, "all")[1]
    with pytest.raises(InputError, match=rf"{SAMPLE}/labels\.npz: {words}"):
        load_occupancy(copy / "gts", info)


@pytest.mark.parametrize("damage", [b"", b"labels", slice(0, 200), slice(0, -300), slice(300, None), "npy"])
def test_a_damaged_file_of_labels_is_one_sentence(copy: Path, damage: bytes | slice | str) -> None:
    path = copy / "gts" / SCENES[0] / SAMPLE / "labels.npz"
    if damage == "npy":
        with path.open("wb") as file:
            np.save(file, damaged(0, "u1"))
    else:
        path.write_bytes(path.read_bytes()[damage] if isinstance(damage, slice) else damage)
    info = read_infos(copy, VERSION, "all")[1]
    with pytest.raises(InputError, match=rf"{SAMPLE}/labels\.npz: .*unpack Occ3D's gts/") as caught:
        load_occupancy(copy / "gts", info)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"GIF89a", b"\xff\xd8\xff\xe0" + bytes(100)])
def test_a_picture_that_is_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "picture.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=r"picture\.jpg: .*unpack samples/ again"):
        read_picture(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot read lidar points"),
        (b"", "are 0 numbers"),
        (bytes(44), "are 11 numbers, needs 5 per point"),
        (np.full(5, np.nan, np.float32).tobytes(), "not finite"),
    ],
)
def test_lidar_points_that_are_none_are_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "lidar.bin"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_points(path)


def test_the_tables_are_read_once_and_travel_with_the_data(copy: Path) -> None:
    data = NuScenesFrames(copy, VERSION, "all")
    scenes = data.sequences()
    shutil.rmtree(copy / VERSION)
    for there in (data, pickle.loads(pickle.dumps(data))):
        assert [len(list(there.frames(scene))) for scene in scenes] == [SAMPLES_PER_SCENE] * len(SCENES)


def test_cameras_of_other_names_are_taken_as_they_are_asked_for(copy: Path) -> None:
    for ours, theirs in (("CAM_FRONT", "AHEAD"), ("CAM_BACK", "REAR")):
        change(copy, "sensor", ours, channel=theirs)
    with pytest.raises(InputError, match=r"has no CAM_FRONT, CAM_BACK; .*the cameras have other names"):
        read_infos(copy, VERSION, "all")
    cameras = ("AHEAD", "REAR")
    source = NuScenesSource(copy, VERSION, "all", get_variant("flashocc-r50-M0"), augment=False, cameras=cameras)
    sample = source.sample(1, None)
    assert sample.images.shape[:2] == (1, 2)
    expected = read_infos(copy, VERSION, "all", ("CAM_FRONT_LEFT", "AHEAD"))[1].cameras[1].global_from_ego
    np.testing.assert_array_equal(sample.geometry.ego2global[0, 0], expected)
    frame = next(NuScenesFrames(copy, VERSION, "all", cameras).frames(SCENES[0]))
    assert tuple(frame.rig.names) == cameras
