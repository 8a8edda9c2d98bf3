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

"""Cameras that fail and calibrations that are off: which, by how much, and that they are counted."""

from __future__ import annotations

import json
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from flashocc_ros.cli.eval import app
from flashocc_ros.data.synthetic.rig import nuscenes_like_rig
from flashocc_ros.errors import ConfigError
from flashocc_ros.evaluation.frames import EvalFrame
from flashocc_ros.evaluation.robustness import (
    Disturbance,
    Question,
    Robustness,
    calibration_errors,
    disturbed_rig,
    disturbed_set,
    lost_cameras,
    score_robustness,
)

RIG = nuscenes_like_rig().cameras


def _frame() -> EvalFrame:
    volume = np.full((200, 200, 16), 17, np.uint8)
    volume[100:110, 100:110, 5] = 4
    seen = np.ones(volume.shape, bool)
    images = [np.full((9, 16, 3), 100, np.uint8)] * 6
    rig = nuscenes_like_rig().resized((9, 16)).cameras
    return EvalFrame(images, rig, np.tile(np.eye(4), (6, 1, 1)), 1, volume, seen, seen, None, np.zeros((1, 3)))


def test_cameras_are_lost_one_after_the_other_and_each_alone() -> None:
    found = Question(("CAM_BACK", "CAM_FRONT")).disturbances(RIG.names)
    assert [d.missing for d in found] == [(), *((name,) for name in RIG.names), ("CAM_BACK", "CAM_FRONT")]


def test_all_loses_the_rig_from_its_end_but_for_the_first() -> None:
    found = Question(("all",)).disturbances(RIG.names)
    assert found[-1].missing == tuple(reversed(RIG.names[1:]))
    assert [len(d.missing) for d in found] == [0, *[1] * 6, 2, 3, 4, 5]


def test_a_camera_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="no camera CAM_TOP; cameras there: CAM_FRONT_LEFT, "):
        Question(("CAM_TOP",)).disturbances(RIG.names)


def test_pairs_of_errors_are_read() -> None:
    assert calibration_errors("extrinsics=0.5,0 1,20") == ((0.5, 0.0), (1.0, 20.0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("intrinsics=1,2", "needs extrinsics=DEG,CM"),
        ("extrinsics=", "needs extrinsics=DEG,CM"),
        ("extrinsics=1", "needs extrinsics=DEG,CM"),
        ("extrinsics=a,b", "needs extrinsics=DEG,CM"),
        ("extrinsics=90,0", "must lie within 0 and 45 degrees and 500 cm"),
        ("extrinsics=nan,0", "must lie within"),
        ("extrinsics=0,-1", "must lie within"),
    ],
)
def test_other_errors_are_one_sentence(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        calibration_errors(text)


@pytest.mark.parametrize("text", ["", "a,,b", "a,a"])
def test_names_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="needs all or distinct names"):
        lost_cameras(text)


def test_every_camera_is_off_by_just_that_much_in_its_own_direction() -> None:
    off = disturbed_rig(RIG, Disturbance((), 2.0, 10.0), 3)
    turns = np.linalg.inv(RIG.base_from_camera[:, :3, :3]) @ off.base_from_camera[:, :3, :3]
    axes = Rotation.from_matrix(turns).as_rotvec()
    shifts = off.base_from_camera[:, :3, 3] - RIG.base_from_camera[:, :3, 3]
    np.testing.assert_allclose(np.rad2deg(np.linalg.norm(axes, axis=1)), 2.0)
    np.testing.assert_allclose(np.linalg.norm(shifts, axis=1), 0.1)
    assert np.linalg.matrix_rank(shifts) == 3
    assert len({tuple(axis) for axis in np.round(axes, 6)}) == 6


def test_directions_are_those_of_the_drive_whatever_the_size() -> None:
    small, large = (disturbed_rig(RIG, Disturbance((), 0.0, cm), 1) for cm in (1.0, 10.0))
    other = disturbed_rig(RIG, Disturbance((), 0.0, 10.0), 2)
    moved = [rig.base_from_camera[:, :3, 3] - RIG.base_from_camera[:, :3, 3] for rig in (small, large, other)]
    np.testing.assert_allclose(10 * moved[0], moved[1], atol=1e-12)
    assert np.abs(moved[1] - moved[2]).min() > 1e-4


def test_a_lost_camera_is_black_and_the_others_are_not() -> None:
    found = disturbed_set(_frame(), Disturbance(("CAM_FRONT",)), 0)
    assert [bool(image.any()) for image in found.pictures] == [True, False, True, True, True, True]


def test_scores_add_up_and_are_told_by_row() -> None:
    frame, one, other = _frame(), Robustness("camera"), Robustness("camera")
    nothing = np.full_like(frame.semantics, 17)
    for scores in (one, other):
        scores.names, scores.frames = tuple(RIG.names), 1
        scores.add(Disturbance(), frame.semantics, frame)
        for name, found in (("CAM_FRONT", nothing), ("CAM_BACK", frame.semantics)):
            scores.add(Disturbance((name,)), found, frame)
    one.merge(other)
    result = one.result()
    assert result["frames"] == 2
    above = {tuple(row["missing"]): row["above_ground_occupied_IoU"] for row in result["robustness"]}
    assert above == {(): 1.0, ("any one (mean)",): 0.5, ("CAM_FRONT",): 0.0, ("CAM_BACK",): 1.0}


def test_drives_of_different_rigs_do_not_add_up() -> None:
    one, other = Robustness("camera", ("a",), 1), Robustness("camera", ("b",), 1)
    with pytest.raises(ConfigError, match="drives are of different rigs, a and b"):
        one.merge(other)


def test_the_question_reaches_other_processes() -> None:
    measure = partial(score_robustness, question=Question(("all",), ((1.0, 0.0),)))
    assert pickle.loads(pickle.dumps(measure)).keywords["question"] == measure.keywords["question"]


def test_a_table_and_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    arguments = ["--seeds", "1000", "--frames", "1", "--engine", "torch", "--perturb", "extrinsics=2,0"]
    result = CliRunner().invoke(app, [*arguments, "--json", str(path)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "every camera off by 2 degrees" in result.output
    whole, turned = json.loads(path.read_text())["robustness"]
    assert whole["missing"] == []
    assert turned["turn_deg"] == 2.0
    assert turned["mIoU"] < whole["mIoU"]
