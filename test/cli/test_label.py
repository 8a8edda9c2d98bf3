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

"""``flashocc label``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flashocc_ros.errors import ConfigError
from flashocc_ros.labelling.options import class_numbers, make_settings


def flashocc(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flashocc_ros.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)


@pytest.mark.slow
def test_a_synthetic_drive_with_lidar_is_labelled_and_numbers_come_as_json(tmp_path: Path) -> None:
    drive = str(tmp_path / "drive")
    size = ("--seconds", "0.5", "--rate", "2", "--width", "160", "--lidar", "--beams", "16")
    done = flashocc("synth", "--seed", "3", *size, "--out", drive)
    assert done.returncode == 0, done.stderr
    done = flashocc("label", drive, "--out", str(tmp_path / "labels"), "--boxes", "/ground_truth/boxes", "--json")
    assert done.returncode == 0, done.stderr
    (summary,) = json.loads(done.stdout)
    assert summary["scene"] == "drive"
    assert summary["frames"] == 1
    assert list((tmp_path / "labels" / "drive").glob("*/labels.npz"))


def test_bad_input_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    for arguments, sentence in (
        ((), "give recordings, or --nuscenes with a folder"),
        ((str(tmp_path / "none"),), "none"),
        ((str(tmp_path), "--convention", "fat"), "--convention is 'fat'; choose touch or solid"),
    ):
        done = flashocc("label", *arguments, "--out", str(tmp_path / "out"))
        assert done.returncode == 1
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def settings(grid: str = "", own_box: str = "", unknown: str = "manmade", ground: str = "terrain"):
    return make_settings("touch", 2.0, 5.0, grid, "", own_box, unknown, ground)


def test_a_grid_is_two_corners_and_a_voxel() -> None:
    grid = settings("-20,-10,-1,20,10,3,0.5").grid
    assert (grid.size, grid.origin_m, grid.resolution_m) == ((80, 40, 8), (-20.0, -10.0, -1.0), 0.5)
    for text, sentence in (
        ("1,2", "7 finite numbers"),
        ("a,b,c,d,e,f,g", "7 numbers separated by commas"),
        ("-20,-10,-1,20,10,3,0.7", "need whole numbers above 0"),
        ("-20,-10,-1,20,10,3,-1", "must be above 0 m"),
        ("-20,-10,-1,20,10,31,0.4", "limit 4000000 and 60 in height"),
        ("-900,-900,-1,900,900,3,0.4", "limit 4000000"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            settings(text)


def test_classes_and_boxes_that_cannot_be_are_one_sentence(tmp_path: Path) -> None:
    for values, sentence in (
        ({"unknown": "dragon"}, "--unknown is 'dragon'; choose one of others"),
        ({"unknown": "terrain"}, "--unknown-ground must be one of driveable_surface"),
        ({"own_box": "1,1,1,0,2,2"}, "must be below its partner"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            settings(**values)
    path = tmp_path / "classes.yaml"
    path.write_text("Car: car\n17: vegetation\nsky: none\n")
    assert class_numbers(path) == {"Car": 4, "17": 16, "sky": 255}
    path.write_text("Car: dragon\n")
    with pytest.raises(ConfigError, match="Car is 'dragon'; choose one of"):
        class_numbers(path)
