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

"""``flashocc predict`` from folders and recordings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from drive_bag import spoil_pictures, write_drive

from flashocc_ros import CameraRig, Predictor
from flashocc_ros.data.folder import ImageFolder
from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.structures import Occupancy

ROOT = Path(__file__).resolve().parents[2]
TINY = ("--variant", "synthetic-tiny", "--engine", "torch")
STEP_NS = 500_000_000
FIRST_NS = 10**18


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flashocc_ros.cli.main", "predict", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


def pose(x: float = 0.0) -> dict[str, list[float]]:
    return {"translation_xyz": [x, 0.0, 1.5], "rotation_xyzw": [-0.5, 0.5, -0.5, 0.5]}


def calibration(**extra: dict[str, Any]) -> dict[str, Any]:
    k = [[200.0, 0.0, 176.0], [0.0, 200.0, 99.0], [0.0, 0.0, 1.0]]
    return {"cameras": {n: {"K": k, "T_base_cam": pose(), **extra.get(n, {})} for n in ("left", "right")}}


def write_picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (198, 352, 3), dtype=np.uint8))


@pytest.fixture
def one_set(tmp_path: Path) -> Path:
    for seed, name in enumerate(("left", "right")):
        write_picture(tmp_path / f"{name}.png", seed)
    entries = {n: {"image": f"{n}.png", "timestamp_us": FIRST_NS // 1000} for n in ("left", "right")}
    (tmp_path / "calibration.yaml").write_text(yaml.safe_dump(calibration(**entries)))
    return tmp_path


@pytest.fixture
def sequence(tmp_path: Path) -> Path:
    (tmp_path / "calibration.yaml").write_text(yaml.safe_dump(calibration()))
    rows = ["stamp_ns,x,y,z,qx,qy,qz,qw"]
    for k in range(4):
        write_picture(tmp_path / "left" / f"{FIRST_NS + k * STEP_NS}.png", k)
        write_picture(tmp_path / "right" / f"{FIRST_NS + k * STEP_NS + 20_000_000}.png", 10 + k)
        rows.append(f"{FIRST_NS + k * STEP_NS},{k * 2.0},0,0,0,0,{np.sin(k / 20)},{np.cos(k / 20)}")
    (tmp_path / "poses.csv").write_text("\n".join(rows))
    return tmp_path


def test_a_folder_gives_one_file_and_picture_per_set(one_set: Path, tmp_path: Path) -> None:
    done = run(one_set, *TINY, "--out", tmp_path / "out", "--png")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 set -> ")
    with np.load(tmp_path / "out" / f"{FIRST_NS}.npz") as result:
        (given,) = ImageFolder(one_set)
        expected = Predictor("synthetic-tiny", engine="torch")(
            given.images, given.rig, given.odom_from_base, given.stamp_ns
        )
        # two processes may use different numbers of threads, which moves sums by rounding
        assert (result["semantics"] != expected.semantics).mean() < 1e-3
        assert result["instances"].dtype == np.int32
        assert len(result["instance_id"]) == len(result["instance_center_m"]) == len(expected.centers)
    picture = cv2.imread(str(tmp_path / "out" / f"{FIRST_NS}.png"))
    assert picture is not None
    assert picture.std() > 10


def test_a_file_of_each_format_is_written(one_set: Path, tmp_path: Path) -> None:
    done = run(one_set, *TINY, "--format", "npz,ply,pcd", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    files = [f"{FIRST_NS}.{kind}" for kind in ("npz", "pcd", "ply")]
    assert sorted(os.listdir(tmp_path / "out")) == [*files, "predict.json"]
    occupied = Occupancy.load(tmp_path / "out" / f"{FIRST_NS}.npz").points()
    assert f"POINTS {len(occupied)}\n".encode() in (tmp_path / "out" / f"{FIRST_NS}.pcd").read_bytes()


def test_results_of_earlier_runs_in_the_same_folder_are_told_of(one_set: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "5.npz").write_text("old")
    (tmp_path / "out" / f"{FIRST_NS}.npz").write_text("old")
    done = run(one_set, *TINY, "--out", tmp_path / "out")
    assert "out holds 1 file of earlier runs too, e.g. 5.npz" in done.stderr
    assert (tmp_path / "out" / "5.npz").read_text() == "old"


def test_an_unknown_format_is_refused(one_set: Path, tmp_path: Path) -> None:
    done = run(one_set, *TINY, "--format", "npz,obj", "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (1, "error: --format 'obj' is none of npz, ply, pcd\n")
    assert not (tmp_path / "out").exists()


def test_an_out_that_is_a_file_is_refused(one_set: Path) -> None:
    done = run(one_set, *TINY, "--out", one_set / "left.png")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: cannot write {one_set / 'left.png'} (File exists)")


def test_a_sequence_is_grouped_and_its_poses_interpolated(sequence: Path) -> None:
    sets = list(ImageFolder(sequence))
    assert [s.stamp_ns for s in sets] == [FIRST_NS + k * STEP_NS for k in range(3)]  # the last is outside poses.csv
    second = sets[1]
    assert isinstance(second.rig, CameraRig)
    assert second.rig.names == ("left", "right")
    np.testing.assert_allclose(second.odom_from_base[:, 0, 3], [2.0, 2.0 + 2.0 * 0.02 / 0.5], atol=1e-9)
    yaw = np.arctan2(second.odom_from_base[:, 1, 0], second.odom_from_base[:, 0, 0])
    np.testing.assert_allclose(yaw, [0.1, 0.1 + 0.1 * 0.02 / 0.5], atol=1e-9)
    expected = np.random.default_rng(1).integers(0, 256, (198, 352, 3), dtype=np.uint8)[..., ::-1]
    np.testing.assert_array_equal(second.images[0], expected)


def test_a_recording_without_one_usable_set_is_a_failure(tmp_path: Path) -> None:
    spoilt = spoil_pictures(write_drive(tmp_path / "drive"), tmp_path / "spoilt")
    done = run(spoilt, *TINY, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert f"error: {spoilt}: none of its 6 complete sets can be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_recording_opens_without_its_index(tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "drive")
    (drive / "metadata.yaml").unlink()
    done = run(drive, *TINY, "--out", tmp_path / "out", "--limit", 1)
    assert done.returncode == 0, done.stderr
    assert "has no metadata.yaml" in done.stderr


def test_a_limit_stops_early(sequence: Path, tmp_path: Path) -> None:
    done = run(sequence, *TINY, "--out", tmp_path / "out", "--limit", 1)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").glob("*.npz"))) == 1


def test_lens_distortion_is_removed(one_set: Path) -> None:
    (plain,) = ImageFolder(one_set)
    entries = {n: {"image": f"{n}.png", "D": [0.2, 0.0, 0.0, 0.0, 0.0]} for n in ("left", "right")}
    (one_set / "calibration.yaml").write_text(yaml.safe_dump(calibration(**entries)))
    (rectified,) = ImageFolder(one_set)
    assert np.abs(plain.images[0].astype(int) - rectified.images[0]).mean() > 1


def broken_calibrations() -> list[tuple[str, str]]:
    no_pose = calibration()
    del no_pose["cameras"]["left"]["T_base_cam"]
    bad_k = calibration(left={"K": [[1, 2], [3, 4]]})
    half = calibration(left={"image": "left.png"})
    return [
        ("- 1\n- 2\n", r"must be a section of settings, got \[1, 2\]"),
        ("cameras: {}\n", "cameras"),
        ("a: [", "is no YAML"),
        (yaml.safe_dump(no_pose), "cameras.left.T_base_cam is missing; add it"),
        (yaml.safe_dump(bad_k), "cameras.left.K"),
        (yaml.safe_dump(half), r"cameras \['right'\] have no image entry"),
    ]


@pytest.mark.parametrize(("text", "message"), broken_calibrations())
def test_a_bad_calibration_is_one_sentence(one_set: Path, text: str, message: str) -> None:
    (one_set / "calibration.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        ImageFolder(one_set)
    assert "\n" not in str(caught.value)


def test_a_damaged_picture_is_named(one_set: Path) -> None:
    (one_set / "right.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"right\.png: camera right: data of 10 bytes .* is not read"):
        list(ImageFolder(one_set))


def test_a_folder_of_neither_pictures_nor_a_recording_is_told_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds their calibration, a recording \.mcap or \.db3 files"):
        ImageFolder(tmp_path)


def test_files_that_are_not_named_by_stamp_are_refused(sequence: Path) -> None:
    write_picture(sequence / "left" / "first.png", 0)
    with pytest.raises(InputError, match=r"first\.png is not named by its stamp"):
        ImageFolder(sequence)


def test_bad_pose_files_are_refused(sequence: Path) -> None:
    (sequence / "poses.csv").write_text("stamp_ns,x,y,z,qx,qy,qz,qw\n1,2,3\n")
    with pytest.raises(InputError, match=r"poses\.csv needs rows"):
        ImageFolder(sequence)


def test_errors_end_the_command_with_one_line(tmp_path: Path) -> None:
    done = run(tmp_path / "nowhere", *TINY)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("error:")
    assert "does not exist" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_shows_an_example() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "Example: flashocc predict" in done.stdout


@pytest.mark.data
def test_the_real_frame_and_its_recording_agree(shared_dir: Path, tmp_path: Path) -> None:
    folder, bag = tmp_path / "frame", shared_dir / "data" / "nuscenes_frame_scene0003_rosbag2"
    shutil.copytree(shared_dir / "data" / "nuscenes_frame_scene0003", folder)
    for source, out in ((folder, "a"), (bag, "b")):
        done = run(source, *TINY, "--out", tmp_path / out, "--limit", 1)
        assert done.returncode == 0, done.stderr
    (ours,) = (tmp_path / "a").glob("*.npz")
    (theirs,) = (tmp_path / "b").glob("*.npz")
    with np.load(ours) as one, np.load(theirs) as other:
        assert (one["semantics"] != other["semantics"]).mean() < 0.02


def test_a_network_without_weights_predicts_only_when_told_to(one_set: Path, tmp_path: Path) -> None:
    arguments = (one_set, "--variant", "flashocc-r50-M0", "--engine", "torch", "--out", tmp_path / "out")
    done = run(*arguments)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "has no weights, so its prediction means nothing; give --checkpoint" in line
    assert not any((tmp_path / "out").iterdir())
    done = run(*arguments, "--untrained")
    assert done.returncode == 0, done.stderr
    assert "UNTRAINED" in done.stderr
    assert len(list((tmp_path / "out").glob("*.npz"))) == 1


def test_a_temporal_network_refuses_a_drive_without_odometry_before_anything_is_built(tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "drive", odometry=False)
    cache = tmp_path / "cache"
    done = run(drive, "--variant", "flashocc-r50-4d-stereo", "--out", tmp_path / "out", "--cache-dir", cache)
    assert done.returncode == 1
    assert "has no transform that base_link moves in, which a network with a memory needs" in done.stderr
    assert not cache.exists()
