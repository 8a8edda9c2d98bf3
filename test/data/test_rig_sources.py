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

"""What `flashocc init-rig` writes, read by those it is for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from drive_bag import write_drive

from flashocc_ros.bags import Frames, read_sets
from flashocc_ros.cameras.rectify import Fisheye, Lens
from flashocc_ros.cameras.rig_check import check_rig
from flashocc_ros.cli import doctor_files
from flashocc_ros.data.folder import ImageFolder
from flashocc_ros.data.rig_files import Rig, RigCamera, calibration_yaml, parameters_yaml
from flashocc_ros.data.rig_sources import read_rig
from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.ros.parameter_checks import build
from flashocc_ros.ros.parameters import CAMERA_OVERRIDES, NodeParameters

FORWARD = [[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]
PROJECTION = "7.0e+02 0 6.0e+02 {0} 0 7.0e+02 1.8e+02 0.2 0 0 1 0.003"


def folder_of(rig: Rig, folder: Path, size: tuple[int, int] = (0, 0)) -> ImageFolder:
    """The written calibration with a picture for each of its cameras."""
    folder.mkdir(exist_ok=True)
    (folder / "calibration.yaml").write_text(calibration_yaml(rig))
    for name, camera in yaml.safe_load(calibration_yaml(rig))["cameras"].items():
        shape = (camera.get("height", size[0]), camera.get("width", size[1]), 3)
        write_picture(folder / name / "1000000000.png", shape)
    return ImageFolder(folder)


def write_picture(path: Path, shape: tuple[int, ...] = (180, 320, 3)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full(shape, 90, np.uint8))


def node_parameters(rig: Rig) -> NodeParameters:
    """As the node takes the file: overrides of cameras apart from the others."""
    tree = yaml.safe_load(parameters_yaml(rig))["/**"]["ros__parameters"]
    cameras = tree.pop("cameras")
    own = {name: cameras.pop(name) for name in cameras["names"] if name in cameras}
    assert all(set(keys) <= set(CAMERA_OVERRIDES) for keys in own.values())
    return build(tree | {f"cameras.{key}": value for key, value in cameras.items()}, own)


def test_a_recording_gives_the_rig_that_it_is_predicted_with(tmp_path: Path) -> None:
    bag = write_drive(tmp_path / "bag")
    expected = next(iter(read_sets(bag)))
    rig = read_rig(bag)
    (given,) = folder_of(rig, tmp_path / "pictures")
    assert given.rig.names == expected.rig.names
    np.testing.assert_allclose(given.rig.intrinsics, expected.rig.intrinsics)
    np.testing.assert_allclose(given.rig.base_from_camera, expected.rig.base_from_camera, atol=1e-8)
    parameters = node_parameters(rig)
    assert parameters.image_topic("CAM_BACK") == "/CAM_BACK/image/compressed"
    assert parameters.info_topic("CAM_BACK") == "/CAM_BACK/camera_info"
    assert (parameters.cameras.transport, parameters.odom_frame) == ("compressed", "odom")


def test_a_recording_without_odometry_says_so_in_the_parameters(tmp_path: Path) -> None:
    rig = read_rig(write_drive(tmp_path / "bag", odometry=False), ["CAM_BACK"])
    parameters = node_parameters(rig)
    assert (parameters.odom_frame, parameters.cameras.names) == ("", ("CAM_BACK",))


@pytest.mark.parametrize(
    ("drive", "words"),
    [({"tf_static": False}, "none of its 6 complete sets"), ({"info": False}, "no camera at all")],
)
def test_a_recording_that_cannot_tell_is_one_sentence(tmp_path: Path, drive: dict[str, Any], words: str) -> None:
    from flashocc_ros.errors import BagError

    with pytest.raises(BagError, match=words) as caught:
        read_rig(write_drive(tmp_path / "bag", **drive), (), Frames())
    assert "\n" not in str(caught.value)


def test_names_that_parameters_cannot_have_are_made_plain_and_topics_kept() -> None:
    lens = Lens([[20.0, 0, 16], [0, 20, 12], [0, 0, 1]])
    cameras = tuple(
        RigCamera(name, lens, np.eye(4), 32, 24, "", f"/{name}/image_raw", f"/{name}/camera_info", "raw")
        for name in ("robot/front", "4th")
    )
    parameters = node_parameters(Rig(cameras, "a test"))
    assert parameters.cameras.names == ("robot_front", "camera_4th")
    assert parameters.image_topic("robot_front") == "/robot/front/image_raw"
    assert parameters.info_topic("camera_4th") == "/4th/camera_info"


def test_images_of_several_types_are_refused() -> None:
    cameras = tuple(RigCamera(kind, transport=kind, image_topic=f"/{kind}/image") for kind in ("raw", "compressed"))
    with pytest.raises(ConfigError, match="one type for all cameras, there are /raw/image raw"):
        parameters_yaml(Rig(cameras, "a test"))


def test_distortion_is_kept(tmp_path: Path) -> None:
    lens = Lens([[200.0, 0, 160], [0, 200, 90], [0, 0, 1]], (-0.1, 0.01, 0.0, 0.0), "equidistant", 320, 180)
    placed = np.eye(4)
    placed[:3, :3], placed[2, 3] = FORWARD, 1.5
    rig = Rig((RigCamera("front", lens, placed, 320, 180),), "a\ntest: [")
    written = yaml.safe_load(calibration_yaml(rig))["cameras"]["front"]
    assert written["D"] == [-0.1, 0.01, 0.0, 0.0]
    assert written["distortion_model"] == "equidistant"
    assert len(folder_of(rig, tmp_path)) == 1


@pytest.mark.parametrize(("fisheye", "kind"), [("rays", "equidistant"), ("rectify", "pinhole")])
def test_a_fisheye_without_coefficients_stays_one(fisheye: Fisheye, kind: str, tmp_path: Path) -> None:
    lens = Lens([[100.0, 0, 160], [0, 100, 90], [0, 0, 1]], (0.0, 0.0, 0.0, 0.0), "equidistant", 320, 180)
    placed = np.eye(4)
    placed[:3, :3], placed[2, 3] = FORWARD, 1.5
    rig = Rig((RigCamera("front", lens, placed, 320, 180),), "a test", fisheye=fisheye)
    (frame,) = folder_of(rig, tmp_path)
    assert frame.rig.models[0].kind == kind
    assert frame.rig.intrinsics[0, 0, 0] == pytest.approx(100.0) or fisheye == "rectify"
    assert node_parameters(rig).cameras.fisheye == fisheye


@pytest.mark.parametrize("recording", [True, False], ids=["recording", "benchmark"])
def test_kitti_gives_its_colour_cameras_on_a_level_car(tmp_path: Path, recording: bool) -> None:
    path = tmp_path / "calib.txt"
    key = "P_rect_0{}" if recording else "P{}"
    lines = ["calib_time: 09-Jan-2012 13:57:47"] if recording else []
    lines += [f"{key.format(k)}: {PROJECTION.format(shift)}" for k, shift in enumerate((0, -378, 42, -336))]
    lines += [f"S_rect_0{k}: 1.242e+03 3.75e+02" for k in range(4)] if recording else []
    path.write_text("\n".join(lines))
    rig = read_rig(path)
    assert [camera.name for camera in rig.cameras] == [f"image_{'0' * recording}{k}" for k in (2, 3)]
    (given,) = folder_of(rig, tmp_path / "pictures", (375, 1242))
    assert given.images[0].shape == (375, 1242, 3)
    np.testing.assert_allclose(given.rig.base_from_camera[:, 1, 3], [0.0574, -0.4826], atol=1e-3)
    np.testing.assert_allclose(given.rig.base_from_camera[:, 2, 3], 1.65, atol=0.01)
    assert check_rig(given.rig, given.image_sizes) == ()
    assert node_parameters(rig).cameras.names == tuple(camera.name for camera in rig.cameras)
    grey = "image_00" if recording else "image_0"
    assert [camera.name for camera in read_rig(path, [grey]).cameras] == [grey]


def test_a_broken_line_of_kitti_is_named(tmp_path: Path) -> None:
    (tmp_path / "calib.txt").write_text("P2: 1 2 three")
    with pytest.raises(InputError, match="P2 is '1 2 three', needs 12 numbers"):
        read_rig(tmp_path / "calib.txt")


def nuscenes(folder: Path, vehicles: int, sample_data: bool = True) -> Path:
    channels = ("LIDAR_TOP", "CAM_FRONT", "CAM_BACK")
    tables: dict[str, list[dict[str, Any]]] = {"sensor": [{"token": c, "channel": c} for c in channels]}
    tables["calibrated_sensor"] = [
        {
            "token": f"{vehicle}{channel}",
            "sensor_token": channel,
            "translation": [1.0 + vehicle, 0.0, 1.5],
            "rotation": [0.5, -0.5, 0.5, -0.5] if channel == "CAM_FRONT" else [0.5, -0.5, -0.5, 0.5],
            "camera_intrinsic": [] if channel == "LIDAR_TOP" else [[1266.0, 0, 800], [0, 1266, 450], [0, 0, 1]],
        }
        for channel in channels
        for vehicle in (range(vehicles) if channel != "CAM_BACK" else reversed(range(vehicles)))
    ]
    if sample_data:
        tables["sample_data"] = [
            {
                "token": f"{vehicle}{channel}",
                "sample_token": f"{vehicle}",
                "ego_pose_token": "",
                "calibrated_sensor_token": f"{vehicle}{channel}",
                "timestamp": 1,
                "is_key_frame": True,
                "filename": "",
            }
            for vehicle in range(vehicles)
            for channel in channels
        ]
    folder.mkdir()
    for name, rows in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return folder


def test_nuscenes_gives_the_cameras_of_one_vehicle(tmp_path: Path) -> None:
    rig = read_rig(nuscenes(tmp_path / "v1.0", vehicles=2))
    assert [camera.name for camera in rig.cameras] == ["CAM_FRONT", "CAM_BACK"]
    (given,) = folder_of(rig, tmp_path / "pictures")
    np.testing.assert_allclose(given.rig.base_from_camera[:, 0, 3], 1.0)
    assert given.images[0].shape == (900, 1600, 3)
    assert node_parameters(rig).image_topic("CAM_BACK") == "CAM_BACK/image_rect_compressed"


def test_calibrations_that_may_be_of_several_vehicles_are_not_mixed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no sample_data\.json beside it"):
        read_rig(nuscenes(tmp_path / "v1.0", vehicles=2, sample_data=False) / "calibrated_sensor.json")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    from flashocc_ros.cli.main import main

    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["flashocc", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), *capsys.readouterr()

    return call


def test_a_folder_becomes_a_template_that_is_refused_until_it_is_filled_in(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "drive"
    for name, shape in (("rear", (180, 320, 3)), ("front_right", (90, 160, 3)), ("front_left", (90, 160, 3))):
        write_picture(folder / name / "1000000000.png", shape)
    code, told, _ = run("init-rig", folder)
    assert code == 0
    assert "to fill in, for each camera: K and T_base_cam (" in told
    text = (folder / "calibration.yaml").read_text()
    cameras = yaml.safe_load(text)["cameras"]
    assert list(cameras) == ["front_left", "front_right", "rear"]
    assert (cameras["rear"]["width"], cameras["rear"]["height"]) == (320, 180)
    code, _, error = run("predict", folder, "--variant", "synthetic-tiny")
    assert code == 1
    assert "cameras.front_left.K: it is still empty; fill it in" in error
    turned = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("#   ")]
    for name, rotation in zip(cameras, (turned[1], turned[7], turned[4]), strict=True):
        width, height = cameras[name]["width"], cameras[name]["height"]
        cameras[name]["K"] = [[width / 2, 0, width / 2], [0, width / 2, height / 2], [0, 0, 1]]
        cameras[name]["T_base_cam"] = {"translation_xyz": [1.0, 0.0, 1.5], "rotation_xyzw": json.loads(rotation)}
    (folder / "calibration.yaml").write_text(yaml.safe_dump({"cameras": cameras}, sort_keys=False))
    levels = {finding.topic: finding.level for finding in doctor_files.check(folder, tmp_path / "rig.png")}
    assert levels["camera sets"] == levels["rig"] == "ok"
    code, _, error = run("init-rig", folder)
    assert code == 1
    assert "calibration.yaml and" in error
    assert "--force" in error
    assert run("init-rig", folder, "--force")[0] == 0


def test_single_pictures_become_cameras_of_one_set(run: Any, tmp_path: Path) -> None:
    write_picture(tmp_path / "front.png")
    assert run("init-rig", tmp_path, "--out", tmp_path / "rig")[0] == 0
    written = yaml.safe_load((tmp_path / "rig" / "calibration.yaml").read_text())
    assert written["cameras"]["front"]["image"] == "front.png"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nothing", None, "does not exist"),
        ("notes.txt", b"hello", "is no recording, no calibration of KITTI"),
        ("front/1.png", b"no picture", "1.png: data of 10 bytes"),
    ],
)
def test_what_is_no_rig_is_one_sentence(run: Any, tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    path = tmp_path / "given" / name
    if content is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    code, _, error = run("init-rig", path.parents[1] if "/" in name else path)
    assert code == 1
    (line,) = error.splitlines()
    assert line.startswith("error: ")
    assert words in line


def test_pictures_are_seated_as_the_remark_says(tmp_path: Path) -> None:
    for name in ("back", "back_left", "back_right", "front", "front_left", "front_right"):
        write_picture(tmp_path / name / "1000000000.png")
    written = calibration_yaml(read_rig(tmp_path))
    assert list(yaml.safe_load(written)["cameras"]) == [
        *("front_left", "front", "front_right"),
        *("back_left", "back", "back_right"),
    ]


def test_pictures_without_stamps_need_a_rate(run: Any, tmp_path: Path) -> None:
    for name in ("front", "rear"):
        for k in (9, 10, 11):
            write_picture(tmp_path / name / f"IMG_{k}.png", (90, 160, 3))
    _, told, _ = run("init-rig", tmp_path)
    assert "K and T_base_cam, and rate_hz once (" in told
    path = tmp_path / "calibration.yaml"
    filled = path.read_text().replace("    K:", "    K: [[90, 0, 80], [0, 90, 45], [0, 0, 1]]")
    filled = filled.replace("translation_xyz:", "translation_xyz: [0, 0, 1.5]")
    path.write_text(filled.replace("rotation_xyzw:", "rotation_xyzw: [0.5, -0.5, 0.5, -0.5]"))
    with pytest.raises(ConfigError, match="rate_hz: it is still empty"):
        ImageFolder(tmp_path)
    path.write_text(path.read_text().replace("rate_hz:", "rate_hz: 4"))
    assert [s.stamp_ns for s in ImageFolder(tmp_path)] == [1_000_000_000, 1_250_000_000, 1_500_000_000]
    (tmp_path / "rear" / "IMG_10.png").unlink()
    with pytest.raises(InputError, match=r"their numbers differ \(front 3, rear 2\)"):
        ImageFolder(tmp_path)
