"""``flashocc doctor``: the machine, a checkpoint, a recording, an export."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from drive_bag import write_drive
from safetensors.torch import save_file
from typer.testing import CliRunner

from flashocc_ros.cli.doctor import app
from flashocc_ros.errors import BagError, CheckpointError, InputError
from flashocc_ros.model import build_model

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


def test_a_recording_is_described(shared_dir: Path) -> None:
    code, output = _run(shared_dir / "data/nuscenes_frame_scene0003_rosbag2")
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
