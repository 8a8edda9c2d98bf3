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

"""Label folders read back, and one sentence for each that cannot be learned from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_drive import CAR, camera_set, rig, volumes, write_drive

from flashocc_ros.data.label_folder import (
    boxed_classes,
    decode_pictures,
    load_cameras,
    load_hits,
    load_voxels,
    open_drives,
)
from flashocc_ros.errors import InputError
from flashocc_ros.labels import FREE


def test_a_key_frame_is_read_as_it_was_written(tmp_path: Path) -> None:
    drive = open_drives([write_drive(tmp_path, cameras=4).parent])[0]
    assert (drive.name, len(drive.frames), drive.cameras, drive.convention) == ("monday", 2, 4, "touch")
    cameras, voxels = load_cameras(drive.frames[1]), load_voxels(drive.frames[1])
    np.testing.assert_allclose(cameras.rig.base_from_camera, rig(4).base_from_camera)
    np.testing.assert_array_equal(cameras.odom_from_base, camera_set(1, 4).odom_from_base)
    assert cameras.image_sizes == ((88, 176),) * 4
    np.testing.assert_array_equal(voxels.semantics, volumes()["semantics"])
    np.testing.assert_array_equal(voxels.guessed, volumes()["guessed"] > 0)
    assert voxels.box_ids.tolist() == [7, 8]
    hits = load_hits(drive.frames[1], 4)
    assert hits is not None
    assert len(hits.depth_m) == 3
    assert boxed_classes([drive]) == {CAR}


def test_several_folders_and_single_drives_are_read_together(tmp_path: Path) -> None:
    for name in ("tuesday", "monday"):
        write_drive(tmp_path / "week", name)
    alone = write_drive(tmp_path / "other", "sunday")
    assert [drive.name for drive in open_drives([alone, tmp_path / "week"])] == ["sunday", "monday", "tuesday"]


def test_a_drive_of_one_frame_is_a_drive(tmp_path: Path) -> None:
    write_drive(tmp_path, frames=1)
    assert len(open_drives([tmp_path])[0].frames) == 1


def test_instances_without_boxes_become_boxes_around_their_voxels(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"boxes": None, "box_classes": None, "box_ids": None}
    voxels = load_voxels(open_drives([write_drive(tmp_path, arrays=nothing)])[0].frames[0])
    np.testing.assert_allclose(voxels.boxes, [[11.0, 0, 0.8, 2.0, 1.6, 1.2, 0, 0, 0]], atol=1e-5)
    assert (voxels.box_classes.tolist(), voxels.box_ids.tolist()) == ([CAR], [7])


def test_labels_that_know_nothing_of_guesses_are_taken_for_known(tmp_path: Path) -> None:
    assert not load_voxels(open_drives([write_drive(tmp_path, arrays={"guessed": None})])[0].frames[0]).guessed.any()


_GRID = {"resolution_m": 0.2, "origin_m": [-40.0, -40.0, -1.0], "size": [400, 400, 32]}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"grid": _GRID}, r"grid of \(400, 400, 32\) voxels of 0\.2 m .*the network's has \(200, 200, 16\)"),
        ({"tokens": []}, "holds no key frame"),
        ({"pictures": False}, r"cam0\.jpg is missing; label without --no-pictures, or use data.kind: bag"),
        ({"finish": False}, "labelled in part; run the same `flashocc label` again"),
        ({"tokens": ["12"]}, r"12 lacks frame\.json or labels\.npz"),
    ],
)
def test_a_drive_that_cannot_be_learned_from_is_one_sentence(
    tmp_path: Path, options: dict[str, Any], sentence: str
) -> None:
    write_drive(tmp_path, **options)
    with pytest.raises(InputError, match=sentence):
        open_drives([tmp_path])


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no labelled drive .*flashocc label"):
        open_drives([tmp_path])


@pytest.mark.parametrize(
    ("options", "what"), [({"convention": "solid"}, "convention solid"), ({"cameras": 3}, "cameras 3")]
)
def test_drives_that_do_not_fit_together_are_refused(tmp_path: Path, options: dict[str, Any], what: str) -> None:
    write_drive(tmp_path, "monday")
    write_drive(tmp_path, "tuesday", **options)
    with pytest.raises(InputError, match=f"tuesday has {what}, .*monday has .*label all drives alike"):
        open_drives([tmp_path])


def test_two_drives_of_one_name_are_refused(tmp_path: Path) -> None:
    folders = [write_drive(tmp_path / place) for place in ("a", "b")]
    with pytest.raises(InputError, match="two labelled drives are called monday; rename"):
        open_drives(folders)


def test_labels_of_another_class_table_are_refused(tmp_path: Path) -> None:
    folder = write_drive(tmp_path)
    file = next(folder.glob("*/frame.json"))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"class_table": "mine 3"}))
    with pytest.raises(InputError, match=r"has the classes mine 3, the network's are others, barrier"):
        open_drives([folder])


def test_labels_without_cameras_are_refused(tmp_path: Path) -> None:
    folder = write_drive(tmp_path)
    file = next(folder.glob("*/frame.json"))
    facts = json.loads(file.read_text())
    del facts["cameras"]
    file.write_text(json.dumps(facts))
    with pytest.raises(InputError, match="has no cameras, which a network needs"):
        open_drives([folder])


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"semantics": np.full((200, 200, 16), FREE + 1, np.uint8)}, "semantics holds 18, needs whole numbers from 0"),
        ({"semantics": np.zeros((10, 10, 2), np.uint8)}, r"semantics has shape \(10, 10, 2\)"),
        ({"mask_camera": None}, "is damaged: .*mask_camera"),
        ({"box_classes": np.array([4, 99], np.uint8)}, "class outside the table"),
        ({"boxes": np.full((2, 9), np.nan, np.float32)}, "boxes hold a number that is not finite"),
        ({"boxes": np.zeros((3, 9), np.float32)}, "boxes have shapes"),
    ],
)
def test_labels_that_hold_something_else_are_one_sentence(
    tmp_path: Path, arrays: dict[str, Any], sentence: str
) -> None:
    frame = open_drives([write_drive(tmp_path, arrays=arrays)])[0].frames[0]
    with pytest.raises(InputError, match=rf"labels\.npz.*{sentence}"):
        load_voxels(frame)


@pytest.mark.parametrize("name", ["labels.npz", "depth.npz", "cam1.jpg", "frame.json"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    frame = open_drives([write_drive(tmp_path)])[0].frames[0]
    file = frame / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    def read() -> None:
        decode_pictures(frame, load_cameras(frame))
        load_voxels(frame)
        load_hits(frame, 2)

    with pytest.raises(InputError, match=str(frame)):
        read()
