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

"""``flashocc render`` draws arrays and result recordings, and says what it cannot draw."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from drive_bag import MS, T0_NS, write_drive
from result_bag import add_results
from typer.testing import CliRunner

from flashocc_ros import bags
from flashocc_ros.bags.results import read_results, rig_at_key
from flashocc_ros.cli.render import app


@pytest.fixture
def result_bag(tmp_path: Path) -> Path:
    return add_results(write_drive(tmp_path / "drive"), tmp_path / "result", truth=True)


def test_results_find_their_pictures_and_their_truth(result_bag: Path) -> None:
    frames = list(read_results(result_bag))
    assert [f.stamp_ns for f in frames] == [T0_NS + k * 100 * MS for k in range(3)]
    assert [f.truth is not None for f in frames] == [True, False, True]
    assert all(f.cameras is not None and f.cameras.stamp_ns == f.stamp_ns for f in frames)
    assert frames[0].instances is None


def test_cameras_stand_where_the_vehicle_was_at_their_shutter(result_bag: Path) -> None:
    frame = next(read_results(result_bag))
    assert frame.cameras is not None
    # the second camera sits at x = 2 m and fires 30 ms after the key, at 10 m/s
    assert rig_at_key(frame.cameras).base_from_camera[:, 0, 3] == pytest.approx([1.0, 2.3])


def test_a_result_recording_becomes_pictures_and_a_video(result_bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(app, [str(result_bag), "--out", str(out), "--video", "gif", "--width", "480"])
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in out.iterdir()) == [*(f"frame_{k:04d}.png" for k in range(3)), "video.gif"]
    assert cv2.imread(str(out / "frame_0000.png")).shape[1] == 480


def test_arrays_become_a_picture(tmp_path: Path) -> None:
    semantics = np.full((200, 200, 16), 17, np.uint8)
    semantics[:, :, 2] = 14
    np.savez_compressed(tmp_path / "a.npz", semantics=semantics)
    result = CliRunner().invoke(app, [str(tmp_path / "a.npz"), "--out", str(tmp_path / "out"), "--width", "480"])
    assert result.exit_code == 0, result.output
    picture = cv2.imread(str(tmp_path / "out" / "a.png")).astype(int)
    blue, green, red = np.moveaxis(picture[: picture.shape[0] // 2], -1, 0)
    assert np.mean((green > red) & (green > blue)) > 0.3  # terrain is green


@pytest.mark.data
def test_the_lidar_volume_of_a_real_frame_is_drawn(tmp_path: Path, shared_dir: Path) -> None:
    source = shared_dir / "data/nuscenes_frame_scene0061/lidar_occupancy.npz"
    result = CliRunner().invoke(app, [str(source), "--out", str(tmp_path), "--width", "480"])
    assert result.exit_code == 0, result.output


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "drive")
    empty = tmp_path / "empty"
    with bags.BagWriter(empty) as writer:
        writer.add_topic("/occupancy", "flashocc_ros/msg/Occupancy3D")
    (tmp_path / "broken.npz").write_bytes(b"nothing")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    for source, reason in (
        (empty, "0 messages"),
        (drive, "holds no flashocc_ros/msg/Occupancy3D"),
        (tmp_path / "broken.npz", "cannot be read as NPZ"),
        (tmp_path / "other.npz", "array called semantics"),
        (tmp_path / "missing", "does not exist"),
    ):
        result = CliRunner().invoke(app, [str(source), "--out", str(tmp_path / "out")])
        assert result.exit_code != 0
        assert reason in str(result.exception)
    result = CliRunner().invoke(app, [str(drive), "--video", "avi"])
    assert "choose mp4, gif or none" in str(result.exception)
