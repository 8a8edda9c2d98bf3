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

"""``flashocc eval`` on a drive: tables on the terminal, numbers in JSON, clear refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from drive_bag import spoil_pictures
from typer.testing import CliRunner

from flashocc_ros.cli.eval import app
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.bag import write_bag
from flashocc_ros.errors import BagError, ConfigError, OutputError


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_drive_is_measured_and_written_as_json(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    text = _run("--seeds", "1000", "--frames", "1", "--engine", "torch", "--json", str(path))
    assert "===> mIoU of 1 samples" in text
    numbers = json.loads(path.read_text())
    assert numbers["frames"] == 1
    assert {"mIoU", "RayIoU", "RayPQ", "IoU", "above_ground_occupied_IoU"} <= numbers.keys()


def test_a_recording_with_truth_gives_the_numbers_of_its_drive(tmp_path: Path) -> None:
    write_bag(tmp_path / "drive", Drive(1000, 0.6, threads=1), rate_hz=2.0)
    text = _run("--bag", str(tmp_path / "drive"), "--engine", "torch")
    assert "===> mIoU of 1 samples" in text


def test_numbers_that_cannot_be_written_are_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        _run("--bag", str(tmp_path / "no recording"), "--json", str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mask", "radar"], "camera, lidar or none"),
        (["--seeds", "five"], "FIRST:STOP"),
        (["--seeds", "1000", "--bag", "x"], "choose one"),
        (["--variant", "flashocc-r51"], "unknown variant"),
    ],
)
def test_bad_options_are_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _run(*arguments)


def test_a_recording_whose_pictures_are_all_damaged_measures_nothing(tmp_path: Path) -> None:
    write_bag(tmp_path / "drive", Drive(1000, 0.6, threads=1), rate_hz=2.0)
    spoil_pictures(tmp_path / "drive", tmp_path / "spoilt")
    with pytest.raises(BagError, match="none of its 1 complete sets can be used"):
        _run("--bag", str(tmp_path / "spoilt"), "--engine", "torch")


def test_a_recording_without_truth_says_where_to_get_one(shared_dir: Path) -> None:
    with pytest.raises(BagError, match="flashocc synth"):
        _run("--bag", str(shared_dir / "data" / "nuscenes_frame_scene0003_rosbag2"), "--engine", "torch")
