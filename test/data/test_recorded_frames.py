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

"""Key frames taken out of recordings: the topic of truth, labels beside it, which camera gives the stamp."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from flashocc_ros.bags import cameras_at
from flashocc_ros.data.label_folder import load_cameras, load_hits, load_voxels, open_drives
from flashocc_ros.data.recorded_frames import read_truth, take_out
from flashocc_ros.data.synthetic import Drive, load_rig
from flashocc_ros.data.synthetic.bag import write_bag
from flashocc_ros.data.synthetic.lidar import make_lidar
from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.evaluation.frames import BagFrames
from flashocc_ros.labelling.recording import Recording
from flashocc_ros.labelling.run import label_drive
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.sources import Sources

RIG = Path(__file__).resolve().parents[2] / "config" / "rig_van.yaml"
ORDER = ("front", "left", "back", "right")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four cameras of which the first in the alphabet is not the first of the rig."""
    path = tmp_path_factory.mktemp("drives") / "monday"
    write_bag(path, Drive(5, 1.0, load_rig(RIG), (88, 176), threads=1), 2.0, lidar=make_lidar("16"))
    return path


def labels(recording: Path, out: Path, cameras: tuple[str, ...] | None, pictures: bool) -> Path:
    source, settings = Sources(boxes="/ground_truth/boxes", cameras=cameras), Settings(convention="solid")
    drive = Recording(recording, source, settings, lambda sentence: None)
    label_drive(drive, out, "monday", drive.described(), settings, pictures=pictures)
    return out


@pytest.fixture(scope="module")
def made(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labels(recording, tmp_path_factory.mktemp("labels"), ORDER, pictures=False)


def test_truth_is_found_whichever_camera_it_belongs_to(recording: Path) -> None:
    truths = read_truth(recording)
    assert cameras_at(recording, truths) == ["front", "back", "left", "right"]
    assert cameras_at(recording, truths, ["left", "front"]) == ["front", "left"]
    assert cameras_at(recording, {}) is None
    frames = BagFrames((recording,))
    assert [len(frame.images) for frame in frames.frames(recording)] == [4, 4]


def test_frames_of_a_topic_hold_its_truth(recording: Path, tmp_path: Path) -> None:
    folder = take_out(recording, tmp_path)
    drive = open_drives([tmp_path])[0]
    assert (drive.folder, drive.convention, drive.cameras) == (folder, "truth", 4)
    truths, voxels = read_truth(recording), load_voxels(drive.frames[0])
    truth = truths[load_cameras(drive.frames[0]).stamp_ns]
    np.testing.assert_array_equal(voxels.semantics, truth.semantics)
    np.testing.assert_array_equal(voxels.mask_camera, truth.mask_camera > 0)
    assert voxels.observed.all()
    assert len(voxels.boxes)
    assert load_hits(drive.frames[0], 4) is None


def test_what_was_taken_out_is_taken_once(recording: Path, tmp_path: Path) -> None:
    folder = take_out(recording, tmp_path)
    file = next(folder.glob("*/frame.json"))
    before = file.stat().st_mtime_ns
    assert take_out(recording, tmp_path) == folder
    assert file.stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match="another recording or other settings"):
        take_out(recording, tmp_path, cameras=["front"])


def test_labels_without_pictures_get_them_from_their_recording(recording: Path, made: Path, tmp_path: Path) -> None:
    take_out(recording, tmp_path / "frames", made, cameras=ORDER)
    here, there = open_drives([tmp_path / "frames"])[0], open_drives([made], pictures=False)[0]
    assert here.convention == "solid"
    assert [f.name for f in here.frames] == [f.name for f in there.frames]
    cameras = load_cameras(here.frames[0])
    assert cameras.names == ORDER
    np.testing.assert_array_equal(load_voxels(here.frames[0]).guessed, load_voxels(there.frames[0]).guessed)
    hits = load_hits(here.frames[0], 4)
    assert hits is not None
    assert len(hits.depth_m) > 100
    facts = json.loads((there.frames[0] / "frame.json").read_text())
    np.testing.assert_allclose(cameras.rig.intrinsics, [c["intrinsics"] for c in facts["cameras"]])


def test_truth_of_a_topic_takes_points_from_labels(recording: Path, made: Path, tmp_path: Path) -> None:
    take_out(recording, tmp_path / "frames", made, "topic")
    drive = open_drives([tmp_path / "frames"])[0]
    assert not load_voxels(drive.frames[0]).guessed.any()
    assert load_hits(drive.frames[0], 4) is not None


def test_labels_of_another_moment_are_one_sentence(recording: Path, tmp_path: Path) -> None:
    made = labels(recording, tmp_path / "labels", ("back", "front", "left", "right"), pictures=False)
    with pytest.raises(InputError, match=r"no stamp in common.*--cameras"):
        take_out(recording, tmp_path / "frames", made, "topic")


def test_labels_of_another_drive_are_one_sentence(recording: Path, made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "monday", tmp_path / "labels" / "tuesday")
    with pytest.raises(InputError, match="holds no labels of the recording monday"):
        take_out(recording, tmp_path / "frames", tmp_path / "labels")
