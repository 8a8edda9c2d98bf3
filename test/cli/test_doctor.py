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

"""``flashocc doctor``: the machine, a checkpoint, a recording, an export."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from drive_bag import write_drive
from safetensors.torch import save_file
from typer.testing import CliRunner

from flashocc_ros.cli.doctor import app
from flashocc_ros.errors import BagError, CheckpointError, ConfigError, InputError
from flashocc_ros.model import build_model
from flashocc_ros.viz.video import write_png

TINY = "synthetic-tiny"


def _run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_this_machine_can_run_a_network() -> None:
    code, output = _run()
    assert code == 0
    for topic in ("python", "ROS 2", "messages", "torch", "openvino", "engine cache", "shared memory", "weights"):
        assert topic in output


def test_an_unwritable_cache_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASHOCC_CACHE", "/proc/flashocc")
    code, output = _run()
    assert code == 1
    assert "set FLASHOCC_CACHE" in output


def test_a_missing_dds_profile_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "/nowhere.xml")
    code, output = _run()
    assert code == 1
    assert "/nowhere.xml does not exist" in output


def test_a_checkpoint_is_described(tmp_path: Path) -> None:
    tensors = {key: value.half() for key, value in build_model(TINY).state_dict().items()}
    torch.save({"state_dict": {f"module.{k}": v for k, v in tensors.items()}, "epoch": 24}, tmp_path / "a.pth")
    code, output = _run(tmp_path / "a.pth")
    assert code == 0
    assert "pth, " in output
    assert "from its state_dict" in output
    assert "float16" in output
    assert "epoch    24" in output
    assert f"variant  {TINY}" in output


def test_a_checkpoint_that_fits_nothing_names_the_nearest(tmp_path: Path) -> None:
    tensors = build_model(TINY).state_dict()
    del tensors["occ_head.predicter.2.bias"]
    save_file(tensors, tmp_path / "a.safetensors")
    code, output = _run(tmp_path / "a.safetensors")
    assert code == 1
    assert f"nearest is {TINY}: 1 missing: occ_head.predicter.2.bias" in output


def test_a_damaged_checkpoint_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"PK\x03\x04")
    with pytest.raises(CheckpointError, match="damaged"):
        CliRunner().invoke(app, [str(tmp_path / "a.pth")], catch_exceptions=False)


def test_a_recording_is_described(shared_dir: Path, tmp_path: Path) -> None:
    code, output = _run(shared_dir / "data/nuscenes_frame_scene0003_rosbag2", "--picture", tmp_path / "rig.png")
    assert code == 0
    assert "85 messages" in output
    assert "3 x sensor_msgs/msg/CompressedImage on /CAM_FRONT/image_rect_compressed" in output
    assert "6 cameras, shutters spread over 43 ms" in output


def test_a_recording_without_an_index_is_described(tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "drive")
    (drive / "metadata.yaml").unlink()
    code, output = _run(drive)
    assert code == 0
    assert "2 cameras, shutters spread over 30 ms" in output


def test_a_recording_without_a_complete_set_is_an_error(tmp_path: Path) -> None:
    code, output = _run(write_drive(tmp_path / "drive", sets=3))
    assert code == 1
    assert "holds no complete set" in output


def test_a_ros_1_recording_and_a_pipe_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bag").write_bytes(b"#ROSBAG V2.0")
    os.mkfifo(tmp_path / "pipe")
    for name, kind, reason in (("a.bag", BagError, "ROS 1"), ("pipe", InputError, "not a regular file")):
        with pytest.raises(kind, match=reason):
            CliRunner().invoke(app, [str(tmp_path / name)], catch_exceptions=False)


def test_a_folder_that_is_nothing_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a recording"):
        CliRunner().invoke(app, [str(tmp_path)], catch_exceptions=False)


def test_a_damaged_export_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text("{}")
    code, output = _run(tmp_path)
    assert code == 1
    assert "export again" in output


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing at"):
        CliRunner().invoke(app, [str(tmp_path / "nothing")], catch_exceptions=False)


def _folder(path: Path, rotation_xyzw: list[float], size: tuple[int, int] = (90, 160)) -> Path:
    """One front camera of 160x90 pixels, its picture of ``size`` (height, width)."""
    pose = {"translation_xyz": [1.7, 0.0, 1.5], "rotation_xyzw": rotation_xyzw}
    front = {"K": [[126.0, 0, 80], [0, 126, 45], [0, 0, 1]], "T_base_cam": pose, "image": "front.png"}
    path.mkdir()
    (path / "calibration.yaml").write_text(yaml.safe_dump({"cameras": {"front": front}}))
    write_png(path / "front.png", np.zeros((*size, 3), np.uint8))
    return path


def test_a_good_rig_is_plausible_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, output = _run(_folder(tmp_path / "drive", [-0.5, 0.5, -0.5, 0.5]))
    assert code == 0
    assert "ok      rig          plausible" in output
    assert "out/doctor/drive.png" in output
    assert (tmp_path / "out/doctor/drive.png").is_file()


def test_a_wrong_rig_is_an_error_with_its_cause(tmp_path: Path) -> None:
    picture = tmp_path / "pictures/rig.png"
    code, output = _run(_folder(tmp_path / "drive", [0.0, 0.0, 0.0, 1.0]), "--picture", picture)
    assert code == 1
    assert "ERROR   rig" in output
    assert "body frame (x forward) instead of the optical one" in output
    assert picture.is_file()


def test_pictures_of_another_size_are_an_error(tmp_path: Path) -> None:
    code, output = _run(_folder(tmp_path / "drive", [-0.5, 0.5, -0.5, 0.5], size=(45, 80)))
    assert code == 1
    assert "principal point (80, 45) of camera front lies outside its picture of 80x45" in output


def test_a_picture_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    code, output = _run(_folder(tmp_path / "drive", [-0.5, 0.5, -0.5, 0.5]), "--picture", "/proc/flashocc/rig.png")
    assert code == 0
    assert "warning picture" in output


def test_the_gpu_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--gpu looks at this machine"):
        CliRunner().invoke(app, [str(tmp_path), "--gpu"], catch_exceptions=False)


def test_a_checkpoint_has_no_rig_to_draw(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"")
    with pytest.raises(InputError, match="is neither"):
        CliRunner().invoke(app, [str(tmp_path / "a.pth"), "--picture", "rig.png"], catch_exceptions=False)
