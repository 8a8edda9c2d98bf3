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

"""Whole drives into a folder: files, resume, settings, sentences for recordings that cannot be labelled."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flashocc_ros.bags import BagReader, BagWriter
from flashocc_ros.data.nuscenes_tables import Info
from flashocc_ros.data.occ3d import load_occupancy
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.bag import BOXES_TOPIC, LIDAR_TOPIC, write_bag
from flashocc_ros.data.synthetic.lidar import make_lidar
from flashocc_ros.errors import BagError, ConfigError, InputError, OutputError
from flashocc_ros.labelling.clouds import UNKNOWN_CLASS
from flashocc_ros.labelling.recording import Recording
from flashocc_ros.labelling.run import Summary, label_drive
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.sources import Sources
from flashocc_ros.labelling.sweeps import Sweep
from flashocc_ros.labels import FREE
from flashocc_ros.structures import OCC3D_GRID

SEED, SECONDS = 3, 1.0
ALL = Sources(boxes=BOXES_TOPIC, class_field="label")


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "drive"
    drive = Drive(SEED, SECONDS, image_size=(99, 176), threads=1)
    write_bag(path, drive, 2.0, lidar=make_lidar("16"))
    return path


def run(bag: Path, out: Path, sources: Sources = ALL, settings: Settings = Settings()) -> tuple[Summary, list[str]]:  # noqa: B008
    said: list[str] = []
    recording = Recording(bag, sources, settings, said.append)
    return label_drive(recording, out, "drive", recording.described(), settings), said


@pytest.fixture(scope="module")
def labelled(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    summary, said = run(bag, out)
    assert summary.frames == summary.new == 2
    assert not [s for s in said if "coverage" not in s], said
    return out


def rewritten(source: Path, target: Path, change: Any) -> Path:
    """A copy of a recording with messages changed by ``change(topic, message)``; None drops one."""
    with BagReader(source) as bag, BagWriter(target) as out:
        for topic in bag.topics.values():
            out.add_topic(topic.name, topic.type, topic.qos)
        for topic, stamp_ns, cdr in bag.messages():
            message = change(topic.name, bag.deserialize(cdr, topic.type))
            if message is not None:
                out.write(topic.name, stamp_ns, message)
    return target


def test_labels_are_read_as_those_of_occ3d(labelled: Path) -> None:
    folders = sorted(path for path in (labelled / "drive").iterdir() if (path / "labels.npz").is_file())
    info = Info(folders[0].name, "drive", 0, (), None, np.zeros((0, 9)), np.zeros(0))  # type: ignore[arg-type]
    semantics, camera, lidar, instances = load_occupancy(labelled, info)
    assert (semantics[lidar] != FREE).sum() > 3000
    assert instances is not None
    assert (instances > 0).any()
    assert not (camera & ~lidar).any()
    assert camera.any()


def test_what_training_needs_stands_beside_the_labels(labelled: Path) -> None:
    folder = next(path.parent for path in sorted((labelled / "drive").glob("*/frame.json")))
    facts = json.loads((folder / "frame.json").read_text())
    assert len(facts["cameras"]) == 6
    assert all((folder / camera["picture"]).is_file() for camera in facts["cameras"])
    with np.load(folder / "depth.npz") as depth, np.load(folder / "labels.npz") as arrays:
        assert set(np.unique(depth["camera"])) == set(range(6))
        assert (depth["depth_m"] > 0.5).all()
        assert (depth["pixel"] > -0.51).all()
        assert (depth["pixel"][:, 0] < 176).all()
        boxes, truth = arrays["boxes"], Drive(SEED, SECONDS, image_size=(99, 176)).truth(0.0).boxes
        near = [np.linalg.norm(truth.center - box[:3], axis=1).min() for box in boxes]
        assert np.median(near) < 0.1
        assert len(arrays["box_ids"]) == len(boxes) == len(arrays["box_classes"])


def test_the_manifest_names_settings_and_hashes_and_the_page_shows_frames(labelled: Path) -> None:
    manifest = json.loads((labelled / "drive" / "manifest.json").read_text())
    assert manifest["settings"]["convention"] == "touch"
    assert manifest["sources"]["lidars"] == [LIDAR_TOPIC]
    assert all(len(frame["sha256"]) == 64 for frame in manifest["frames"])
    assert manifest["quality"]["pierced"] < 0.1
    page = (labelled / "drive" / "quality" / "index.html").read_text()
    assert "worst_1.png" in page
    assert (labelled / "drive" / "quality" / "worst_1.png").is_file()


def test_a_run_that_was_interrupted_goes_on_to_the_same_bytes(bag: Path, labelled: Path, tmp_path: Path) -> None:
    shutil.copytree(labelled, tmp_path / "out")
    scene = tmp_path / "out" / "drive"
    lost = sorted(path.parent for path in scene.glob("*/frame.json"))[1]
    shutil.rmtree(lost)
    (scene / "manifest.json").unlink()
    (scene / f".writing.{lost.name}").mkdir()
    summary, _ = run(bag, tmp_path / "out")
    assert (summary.frames, summary.new) == (2, 1)
    for name in ("labels.npz", "depth.npz", "frame.json"):
        assert (lost / name).read_bytes() == (labelled / "drive" / lost.name / name).read_bytes()
    assert not list(scene.glob(".writing*"))
    again, _ = run(bag, tmp_path / "out")
    assert (again.frames, again.new) == (2, 0)


def test_labels_of_other_settings_are_not_mixed(bag: Path, labelled: Path) -> None:
    other_grid = replace(OCC3D_GRID, origin_m=(-40.0, -40.0, -1.2))
    for settings, sentence in (
        (Settings(convention="solid"), r"other settings \(convention: there touch, now solid\); remove it or"),
        (Settings(grid=other_grid), r"\(grid: there .*-1\.0\].*, now .*-1\.2\]"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            run(bag, labelled, settings=settings)
    with pytest.raises(ConfigError, match=r"other settings \(boxes: there /ground_truth/boxes, now "):
        run(bag, labelled, Sources())


def test_a_folder_that_cannot_be_written_is_one_sentence(bag: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="cannot write"):
        run(bag, tmp_path / "out")


def test_boxes_of_a_file_give_what_the_topic_gives(bag: Path, labelled: Path, tmp_path: Path) -> None:
    rows = []
    with BagReader(bag) as reader:
        for topic, _, cdr in reader.messages([BOXES_TOPIC]):
            message = reader.deserialize(cdr, topic.type)
            stamp = message.header.stamp
            for found in message.detections:
                p, q, size = found.bbox.center.position, found.bbox.center.orientation, found.bbox.size
                name, stamp_ns = found.results[0].hypothesis.class_id, stamp.sec * 10**9 + stamp.nanosec
                yaw = 2 * np.arctan2(q.z, q.w)
                rows.append([stamp_ns, found.id, name, p.x, p.y, p.z, size.x, size.y, size.z, yaw])
    path = tmp_path / "boxes.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["stamp_ns", "id", "class", *"xyz", "length", "width", "height", "yaw"], *rows])
    run(bag, tmp_path / "out", replace(ALL, boxes=str(path)))
    for folder in (labelled / "drive").glob("*/labels.npz"):
        with (
            np.load(folder) as expected,
            np.load(tmp_path / "out" / "drive" / folder.parent.name / "labels.npz") as got,
        ):
            assert (expected["semantics"] == got["semantics"]).mean() > 0.9999


def test_clouds_without_time_and_boxes_of_other_classes_are_said(bag: Path, tmp_path: Path) -> None:
    def change(topic: str, message: Any) -> Any:
        if topic == LIDAR_TOPIC:
            for field in message.fields:
                field.name = {"time": "extra"}.get(field.name, field.name)
        if topic == BOXES_TOPIC:
            message.detections[0].results[0].hypothesis.class_id = "dragon"
        return message

    path = rewritten(bag, tmp_path / "changed", change)
    _, said = run(path, tmp_path / "out")
    assert any("without a time per point" in s and "not de-skewed" in s for s in said)
    assert any("outside the table are left out: dragon" in s for s in said)


def test_clocks_apart_are_said(bag: Path, tmp_path: Path) -> None:
    def change(topic: str, message: Any) -> Any:
        if topic == LIDAR_TOPIC:
            late = message.header.stamp.nanosec + 400_000_000
            message.header.stamp.sec += late // 10**9
            message.header.stamp.nanosec = late % 10**9
        return message

    _, said = run(rewritten(bag, tmp_path / "changed", change), tmp_path / "out")
    assert any("clocks 0.3" in s or "clocks 0.4" in s for s in said), said


def test_boxes_that_fit_nothing_are_said(bag: Path, tmp_path: Path) -> None:
    def change(topic: str, message: Any) -> Any:
        if topic == BOXES_TOPIC:
            for found in message.detections:
                found.bbox.center.position.y += 7.0  # on the ground, whose hits are none of theirs
        return message

    _, said = run(rewritten(bag, tmp_path / "changed", change), tmp_path / "out")
    assert any("boxes fit nothing" in s for s in said), said


def test_boxes_of_a_frame_that_never_comes_cost_no_sweep(bag: Path, tmp_path: Path) -> None:
    def change(topic: str, message: Any) -> Any:
        if topic == BOXES_TOPIC:
            message.header.frame_id = "radar"
        return message

    recording = Recording(rewritten(bag, tmp_path / "changed", change), ALL, Settings())
    assert sum(isinstance(event, Sweep) for event in recording.events()) == 20
    assert recording.remarks == ["20 of 40 sweeps and boxes are left out: no frame 'radar' in the transforms"]


def test_a_pose_that_jumps_is_said_and_sweeps_of_both_sides_are_apart(bag: Path, tmp_path: Path) -> None:
    def change(topic: str, message: Any) -> Any:
        if topic == "/tf" and message.transforms[0].header.stamp.nanosec > 600_000_000:
            message.transforms[0].transform.translation.x += 80.0
        return message

    _, said = run(rewritten(bag, tmp_path / "changed", change), tmp_path / "out")
    assert any("the pose of the vehicle jumps near" in s for s in said), said


def test_poses_that_drift_are_said(bag: Path, tmp_path: Path) -> None:
    def change(topic: str, message: Any) -> Any:
        if topic == "/tf":
            stamp = message.transforms[0].header.stamp
            away_s = (stamp.sec * 10**9 + stamp.nanosec - Drive(SEED, SECONDS).stamp_ns(0)) / 1e9
            # Sideways there and back within a second, as a filter that settles.
            message.transforms[0].transform.translation.y += 0.12 * np.sin(2 * np.pi * away_s)
            message.transforms[0].transform.translation.x += 0.12 * np.cos(2 * np.pi * away_s)
        return message

    _, said = run(rewritten(bag, tmp_path / "changed", change), tmp_path / "out")
    assert any("drift_m is" in s and "better odometry is needed" in s for s in said), said


def test_a_drive_of_one_frame_is_labelled_and_said(bag: Path, tmp_path: Path) -> None:
    seen: set[str] = set()

    def change(topic: str, message: Any) -> Any:
        if topic.startswith("/tf"):
            return message
        first = topic not in seen
        seen.add(topic)
        return message if first else None

    summary, said = run(rewritten(bag, tmp_path / "changed", change), tmp_path / "out")
    assert summary.frames == 1
    assert any("one key frame only" in s for s in said), said


def without_returns(topic: str, message: Any) -> Any:
    if topic == LIDAR_TOPIC:
        message.data = np.zeros_like(message.data)
    return message


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (lambda t, m: None, BagError, "an empty recording: it holds 0 messages"),
        (without_returns, BagError, r"no sweep of /lidar/points can be used: 2\d empty"),
        (lambda t, m: None if t == LIDAR_TOPIC else m, BagError, "holds no sensor_msgs/msg/PointCloud2"),
        (lambda t, m: None if t == "/tf" else m, BagError, "no transform that base_link moves in"),
    ],
)
def test_what_cannot_be_labelled_is_one_sentence(
    bag: Path, tmp_path: Path, change: Any, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        run(rewritten(bag, tmp_path / "changed", change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_topics_and_classes_that_are_not_there_are_one_sentence(bag: Path, tmp_path: Path) -> None:
    with pytest.raises(BagError, match=f"no cloud /radar; clouds there: {LIDAR_TOPIC}"):
        run(bag, tmp_path, Sources(lidars=("/radar",)))
    with pytest.raises(BagError, match=f"holds no boxes /boxes; .*{BOXES_TOPIC}"):
        run(bag, tmp_path, Sources(boxes="/boxes"))
    with pytest.raises(ConfigError, match="no file that exists"):
        run(bag, tmp_path, Sources(boxes="boxes.csv"))
    with pytest.raises(BagError, match="no field semantic, only x, y, z"):
        run(bag, tmp_path, Sources(class_field="semantic"))


def test_a_class_outside_the_table_is_one_sentence_and_can_be_mapped(bag: Path, tmp_path: Path) -> None:
    def change(topic: str, message: Any) -> Any:
        if topic == LIDAR_TOPIC:
            message.data = message.data.copy()
            message.data.reshape(-1, 24)[:, 22] += 100
        return message

    path = rewritten(bag, tmp_path / "changed", change)
    with pytest.raises(InputError, match=r"a point has class 1\d\d, needs 0 to 17 .* --class-map"):
        run(path, tmp_path / "out", Sources(class_field="label"))
    mapped = Sources(class_field="label", class_map={str(100 + i): i for i in range(18)})
    events = Recording(path, mapped, Settings(), print).events()
    first = next(event for event in events if isinstance(event, Sweep))
    assert set(np.unique(first.classes)) <= {*range(18), UNKNOWN_CLASS}  # the last of rays that were lost
