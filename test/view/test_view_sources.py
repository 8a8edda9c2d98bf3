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

"""Recordings, folders of results and single files as frames of the page."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from drive_bag import write_drive
from result_bag import add_results
from view_scenes import GRID, PERSON_ID, layer

from flashocc_ros import Occupancy
from flashocc_ros.bags import BagReader, BagWriter
from flashocc_ros.bags.results import TRUTH_TYPE
from flashocc_ros.data.predicted import Predicted
from flashocc_ros.errors import BagError, InputError
from flashocc_ros.view.sources import open_source


def saved(path: Path, stamp_ns: int) -> Path:
    found = layer()
    Occupancy(found.semantics, found.instances, tuple(found.objects), stamp_ns, {"head": 3.0}, GRID).save(path)
    return path


def test_a_result_recording_brings_pictures_poses_and_truth(tmp_path: Path) -> None:
    bag = add_results(write_drive(tmp_path / "drive"), tmp_path / "result", truth=True)
    opened = open_source(bag)
    frames = list(opened.frames())
    assert (opened.total, len(frames)) == (3, 3)
    assert [f.truth is not None for f in frames] == [True, False, True]
    assert [shot.name for shot in frames[1].shots] == ["CAM_FRONT", "CAM_BACK"]
    assert [f.odom_from_base[0, 3] for f in frames] == [0.0, 1.0, 2.0]  # type: ignore[index]
    assert all(isinstance(shot.picture, bytes) for shot in frames[0].shots)


def test_results_are_shown_without_pictures_where_those_cannot_be_used(tmp_path: Path) -> None:
    bag = add_results(write_drive(tmp_path / "short", sets=3), tmp_path / "short_result", truth=False)
    frames = list(open_source(bag).frames())
    assert [f.shots for f in frames] == [(), (), ()]
    assert frames[0].report.message.startswith("without pictures: ")


def test_pictures_can_be_left_out(tmp_path: Path) -> None:
    bag = add_results(write_drive(tmp_path / "drive", sets=3), tmp_path / "result", truth=False)
    assert [f.shots for f in open_source(bag, pictures=False).frames()] == [(), (), ()]


def test_the_folder_of_a_demo_is_its_result(tmp_path: Path) -> None:
    add_results(write_drive(tmp_path / "drive", sets=3), tmp_path / "out" / "result", truth=False)
    opened = open_source(tmp_path / "out")
    assert (opened.title, opened.total) == ("out", 3)


def test_a_recording_of_truth_alone_is_shown_and_says_so(tmp_path: Path) -> None:
    whole = add_results(write_drive(tmp_path / "drive", sets=3), tmp_path / "result", truth=True)
    with BagReader(whole) as reader, BagWriter(tmp_path / "truth") as writer:
        topic = next(t for t in reader.topics.values() if t.type == TRUTH_TYPE)
        writer.add_topic(topic.name, topic.type)
        for _, stamp_ns, cdr in reader.messages([topic.name]):
            writer.write(topic.name, stamp_ns, cdr)
    opened = open_source(tmp_path / "truth")
    assert "ground truth" in opened.note
    assert [f.prediction for f in opened.frames()] == [None, None]


def test_a_recording_without_results_names_the_remedy(tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "drive", sets=3)
    with pytest.raises(BagError, match="flashocc demo --bag"):
        list(open_source(drive).frames())


def test_files_of_predict_come_in_order_of_their_stamps(tmp_path: Path) -> None:
    for stamp_ns in (2_000, 900, 10_000):
        saved(tmp_path / f"{stamp_ns}.npz", stamp_ns)
    frames = list(open_source(tmp_path).frames())
    assert [f.stamp_ns for f in frames] == [900, 2_000, 10_000]
    assert frames[0].grid == GRID
    assert frames[0].report.values == {"head ms": "3"}
    assert (frames[0].prediction.instances == PERSON_ID).sum() == 2  # type: ignore[union-attr]


def write_folder(folder: Path, names: tuple[str, ...] = ("left", "right")) -> Path:
    """One set of small pictures with its calibration, taken at 2 s."""
    folder.mkdir()
    pose = {"translation_xyz": [1.0, 0.0, 1.5], "rotation_xyzw": [-0.5, 0.5, -0.5, 0.5]}
    cameras = {
        name: {
            "K": [[60.0, 0.0, 32.0], [0.0, 60.0, 18.0], [0.0, 0.0, 1.0]],
            "T_base_cam": pose | {"translation_xyz": [1.0, float(index), 1.5]},
            "image": f"{name}.png",
            "timestamp_us": 2_000_000,
        }
        for index, name in enumerate(names)
    }
    (folder / "calibration.yaml").write_text(yaml.safe_dump({"cameras": cameras}))
    for name in names:
        assert cv2.imwrite(str(folder / f"{name}.png"), np.full((36, 64, 3), 90, np.uint8))
    return folder


def test_files_of_predict_come_with_their_pictures_and_warning(tmp_path: Path) -> None:
    made = Predicted(source=write_folder(tmp_path / "mine"), variant="synthetic-tiny", note="means nothing")
    out = tmp_path / "out"
    out.mkdir()
    made.write(out)
    for stamp_ns in (1_000_000_000, 2_000_000_000):
        saved(out / f"{stamp_ns}.npz", stamp_ns)
    opened = open_source(out)
    assert (opened.title, opened.note) == ("out  synthetic-tiny", "means nothing")
    first, second = opened.frames()
    assert first.shots == ()
    assert [shot.name for shot in second.shots] == ["left", "right"]
    assert second.shots[1].base_from_camera[1, 3] == 1.0
    assert second.report.values == {"variant": "synthetic-tiny", "runs_on": "", "head ms": "3"}
    assert [f.shots for f in open_source(out, pictures=False).frames()] == [(), ()]


def test_voxels_are_shown_without_pictures_that_are_gone(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "mine")
    Predicted(source=folder).write(tmp_path)
    saved(tmp_path / "2000000000.npz", 2_000_000_000)
    (folder / "left.png").unlink()
    (shown,) = open_source(tmp_path).frames()
    assert (shown.shots, shown.report.level) == ((), "warn")
    assert "without pictures: picture" in shown.report.message
    (tmp_path / "predict.json").write_text('{"source": 3}')
    with pytest.raises(InputError, match=r"predict\.json is no note of `flashocc predict`.*remove it"):
        open_source(tmp_path)


def test_arrays_may_bring_their_truth(tmp_path: Path) -> None:
    found = layer()
    np.savez_compressed(tmp_path / "mine.npz", semantics=found.semantics.astype(np.int64), truth=found.semantics)
    (shown,) = open_source(tmp_path / "mine.npz").frames()
    assert shown.truth is not None
    assert shown.grid.size == GRID.size


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"labels": np.zeros(3)}, "needs an array called semantics"),
        ({"semantics": np.zeros((4, 4))}, "needs an array called semantics"),
        ({"semantics": np.zeros((4, 4, 4))}, "semantics holds float64"),
        ({"semantics": np.zeros((4, 4, 4), int), "truth": np.zeros((4, 4, 2), int)}, r"truth has shape \(4, 4, 2\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str) -> None:
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(InputError, match=sentence):
        list(open_source(tmp_path / "wrong.npz").frames())


def test_damaged_files_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no recording and no"):
        open_source(tmp_path)
    (tmp_path / "broken.npz").write_bytes(b"PK\3\4 no zip at all")
    with pytest.raises(InputError, match=r"broken.npz cannot be read as NPZ"):
        list(open_source(tmp_path / "broken.npz").frames())
    with pytest.raises(InputError, match="does not exist"):
        open_source(tmp_path / "nowhere")
