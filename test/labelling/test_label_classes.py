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

"""Labels in classes of one's own: ids, names of boxes, numbers of points, and what training makes of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_drive import volumes, write_drive
from labelling.label_scene import T0_NS, box_frame, sweep, voxel
from typer.testing import CliRunner

from flashocc_ros.bags import BagReader
from flashocc_ros.cli.label import app as label_app
from flashocc_ros.data.label_folder import boxed_classes, load_voxels, open_drives
from flashocc_ros.data.partial_labels import UNOBSERVED
from flashocc_ros.data.synthetic import Drive, load_rig
from flashocc_ros.data.synthetic.bag import BOXES_TOPIC, LIDAR_TOPIC, write_bag
from flashocc_ros.data.synthetic.lidar import make_lidar
from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.labelling.class_ids import as_seen, class_id, unknown_classes
from flashocc_ros.labelling.clouds import structured
from flashocc_ros.labelling.detections import BoxReader
from flashocc_ros.labelling.options import class_numbers, make_settings
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.stream import Key, Labeller
from flashocc_ros.labels import CLASS_NAMES, FREE, OCC3D, ClassTable, SemanticClass
from flashocc_ros.training.label_source import LabelSource
from flashocc_ros.variants import get_variant

CONFIG = Path(__file__).resolve().parents[2] / "config"
YARD = get_variant(CONFIG / "variant.yaml")
ORDER = "front,left,back,right"
TABLE = ClassTable(
    "own",
    1,
    (
        SemanticClass("free", (255, 255, 255)),
        SemanticClass("slab", (90, 90, 90), flat=True),
        SemanticClass("rack", (200, 180, 140)),
        SemanticClass("grass", (0, 180, 0), flat=True),
        SemanticClass("Fork Lift", (255, 120, 0), thing=True, like="car"),
        SemanticClass("person in vest", (255, 80, 160), thing=True, like="pedestrian", sources=("pedestrian",)),
    ),
    free=0,
)
NOTHING, SLAB, RACK, _, LIFT, PERSON = range(6)
SIZE = np.array([4.0, 2.0, 1.6])


def test_a_scene_is_labelled_in_a_table_whose_ground_is_not_in_one_piece() -> None:
    above, ground = unknown_classes(TABLE)
    labeller = Labeller(Settings(classes=TABLE, unknown=above, unknown_ground=ground), False, True)
    events: list[Any] = []
    for number in range(21):
        where = np.array([8.0, (number - 10) * 0.5, 0.9])
        events.append(box_frame(number, where, SIZE, LIFT))
        if number == 10:
            events.append(Key(T0_NS + number * 50_000_000, np.eye(4)))
        events.append(sweep(number, [(where, SIZE)]))
    (result,) = labeller.run(events)
    labels = result.labels
    assert labels.semantics[voxel(16.3, 0, 1.5)] == RACK
    assert labels.guessed[voxel(16.3, 0, 1.5)]
    assert labels.semantics[voxel(4, 4, 0)] == SLAB
    assert labels.semantics[voxel(4, 4, 1)] == NOTHING
    assert labels.observed[voxel(4, 4, 1)]
    front = labels.semantics[voxel(6.1, 0, 0.9)], labels.instances[voxel(6.1, 0, 0.9)]
    assert front == (LIFT, 7)
    assert set(np.unique(labels.semantics)) == {NOTHING, SLAB, RACK, LIFT}


def test_names_are_those_of_the_table_or_of_what_its_classes_are_made_from() -> None:
    names = ("fork-lift", "FORK LIFT", "Person", "person in vest", "car", "2", "free", "0", "9", "²")
    assert [class_id(name, TABLE) for name in names] == [LIFT, LIFT, PERSON, PERSON, None, 2, None, None, None, None]
    vehicle = YARD.classes.index("vehicle")
    assert [class_id(name, YARD.classes) for name in ("lorry", "vehicle", "Bus")] == [vehicle] * 3
    assert class_id("lorry", OCC3D) == CLASS_NAMES.index("truck")


def test_what_nothing_tells_becomes_what_manmade_becomes_or_the_first_that_can_be() -> None:
    assert unknown_classes(OCC3D) == (CLASS_NAMES.index("manmade"), CLASS_NAMES.index("driveable_surface"))
    assert unknown_classes(YARD.classes) == (YARD.classes.index("building"), YARD.classes.index("road"))
    assert unknown_classes(TABLE) == (RACK, SLAB)
    without = ClassTable("two", 1, (SemanticClass("full", (0, 0, 0)), SemanticClass("free", (255, 255, 255))), free=1)
    assert unknown_classes(without) == (0, 0)


def test_cameras_look_through_what_is_free_in_any_table() -> None:
    ground, something = as_seen(OCC3D)[CLASS_NAMES.index("terrain")], as_seen(OCC3D)[CLASS_NAMES.index("car")]
    assert as_seen(TABLE)[:7].tolist() == [FREE, ground, something, ground, something, something, FREE]


def test_class_ids_of_recorded_instances_are_read_by_the_names_of_their_table() -> None:
    reader = BoxReader({}, TABLE)
    reader.recorded = OCC3D.names

    class Numbered:
        class_id, id = CLASS_NAMES.index("pedestrian"), 3
        center = extent = type("P", (), {"x": 1.0, "y": 1.0, "z": 1.0})

    message = type("M", (), {"instances": [Numbered]})
    assert reader.instances(message, 0, np.eye(4)).classes.tolist() == [PERSON]


def test_options_speak_of_the_own_table(tmp_path: Path) -> None:
    yard = str(CONFIG / "variant.yaml")
    settings = make_settings("touch", 2.0, 5.0, yard, yard, "", "plants", "soil")
    assert settings.classes is not OCC3D
    assert (settings.unknown, settings.unknown_ground) == tuple(map(YARD.classes.index, ("plants", "soil")))
    for values, sentence in (
        ((yard, "", "dragon", ""), r"--unknown is 'dragon'; choose one of others"),
        ((yard, yard, "dragon", ""), r"--unknown is 'dragon'; choose one of road, walkway"),
        ((yard, yard, "soil", ""), r"--unknown-ground must be one of road, walkway, soil"),
        ((yard, "yard", "", ""), r"--classes yard is no variant file"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            make_settings("touch", 2.0, 5.0, values[0], values[1], "", values[2], values[3])
    many = tmp_path / "many.yaml"
    rows = [f"  - {{name: kind {k}, color: [{k}, 0, 0]}}" for k in range(250)]
    base = "base: flashocc-r50-M0\ngrid: {x_m: [-20, 20], y_m: [-20, 20], z_m: [-1, 3], voxel_m: 0.5}\nclasses:\n"
    many.write_text(base + "\n".join([*rows, "  - {name: free, color: [255, 255, 255], free: true}"]))
    with pytest.raises(ConfigError, match="of 251 classes need 803 million votes, limit 200 million"):
        make_settings("touch", 2.0, 5.0, "-40,-40,-1,40,40,3,0.2", str(many), "", "", "")
    path = tmp_path / "classes.yaml"
    path.write_text("Gabelstapler: vehicle\n17: plants\nHimmel: none\nLKW: truck\n")
    vehicle, plants = map(YARD.classes.index, ("vehicle", "plants"))
    assert class_numbers(path, YARD.classes) == {"Gabelstapler": vehicle, "17": plants, "Himmel": 255, "LKW": vehicle}
    path.write_text("Gabelstapler: fork lift\n")
    with pytest.raises(ConfigError, match=r"Gabelstapler is 'fork lift'; choose one of road, walkway"):
        class_numbers(path, YARD.classes)


def own_drive(folder: Path, classes: ClassTable, name: str = "monday") -> Path:
    """Labels of a rack and a fork lift, whose ids are those of ``TABLE``."""
    ids = np.full(256, NOTHING, np.uint8)
    ids[[CLASS_NAMES.index(n) for n in ("driveable_surface", "manmade", "car")]] = SLAB, RACK, LIFT
    given = volumes()
    arrays = {"semantics": ids[given["semantics"]], "box_classes": ids[given["box_classes"]]}
    return write_drive(folder, name, arrays=arrays, classes=classes)


def test_training_takes_own_ids_as_they_are(tmp_path: Path) -> None:
    recoloured = replace(TABLE, classes=tuple(replace(c, color_rgb=(1, 2, 3), cost=7) for c in TABLE.classes))
    own_drive(tmp_path, recoloured)
    variant = replace(get_variant("synthetic-tiny"), classes=replace(TABLE, detections=(LIFT, PERSON)))
    (drive,) = open_drives([tmp_path], classes=variant.classes)
    assert drive.classes is variant.classes
    assert boxed_classes([drive]) == {LIFT}
    source = LabelSource([drive], variant)
    sample = source.sample(0, None)
    ground, something = len(TABLE), len(TABLE) + 1
    targets = sample.semantics
    assert [targets[50, 50, 2], targets[150, 95, 5], targets[126, 99, 4], targets[126, 99, 9], targets[0, 0, 0]] == [
        ground, something, LIFT, NOTHING, UNOBSERVED,
    ]  # fmt: skip
    assert np.flatnonzero(source.possible[something]).tolist() == [RACK, PERSON]
    assert sample.box_labels.tolist() == [0]
    assert sample.labels_2d is not None
    assert LIFT in sample.labels_2d


def test_labels_of_other_classes_are_one_sentence(tmp_path: Path) -> None:
    own_drive(tmp_path / "own", TABLE)
    with pytest.raises(InputError, match=r"has the classes free, slab, .* the network's are others, .* --classes of"):
        open_drives([tmp_path / "own"])
    with pytest.raises(InputError, match=r"the network's are road, walkway"):
        open_drives([tmp_path / "own"], classes=YARD.classes)
    write_drive(tmp_path / "both", "monday")
    own_drive(tmp_path / "both", TABLE, "tuesday")
    with pytest.raises(InputError, match=r"tuesday has the classes free, slab, .*monday has others.*one --classes"):
        open_drives([tmp_path / "both"], classes=TABLE)


def test_a_class_of_a_box_past_the_table_is_one_sentence(tmp_path: Path) -> None:
    ids = np.zeros((200, 200, 16), np.uint8)
    frame = write_drive(tmp_path, arrays={"semantics": ids, "box_classes": np.array([9, 9], np.uint8)}, classes=TABLE)
    with pytest.raises(InputError, match="box_classes hold a class outside the table, whose classes are free, slab"):
        load_voxels(next(frame.glob("*/labels.npz")).parent, classes=TABLE)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drive whose truth, points and boxes are in the classes of the yard."""
    path = tmp_path_factory.mktemp("yard") / "drive"
    drive = Drive(100, 0.5, load_rig(CONFIG / "rig_van.yaml"), (88, 176), threads=1, grid=YARD.grid)
    write_bag(path, drive, 2.0, lidar=make_lidar("16"), classes=YARD.classes)
    return path


def test_a_recording_in_own_classes_tells_points_and_boxes_in_them(bag: Path) -> None:
    with BagReader(bag) as reader:
        found = {t.name: reader.deserialize(cdr, t.type) for t, _, cdr in reader.messages([LIDAR_TOPIC, BOXES_TOPIC])}
    names = {d.results[0].hypothesis.class_id for d in found[BOXES_TOPIC].detections}
    assert "vehicle" in names
    assert names <= set(YARD.classes.names)
    points = structured(found[LIDAR_TOPIC])
    labels = points["label"][np.isfinite(points["x"])]
    assert {YARD.classes.index("road"), YARD.classes.index("building")} <= set(np.unique(labels).tolist())
    assert labels.max() < len(YARD.classes)


def test_a_drive_is_labelled_on_the_own_grid_in_own_classes_and_learned_from(bag: Path, tmp_path: Path) -> None:
    yard, out = str(CONFIG / "variant.yaml"), tmp_path / "labels"
    arguments = [bag, "--out", out, "--boxes", BOXES_TOPIC, "--point-class", "label", "--grid", yard, "--classes", yard]
    result = CliRunner().invoke(
        label_app, [*map(str, arguments), "--cameras", ORDER, "--quiet"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    assert "left out" not in result.output
    facts = json.loads(next(out.glob("drive/*/frame.json")).read_text())
    assert facts["classes"] == list(YARD.classes.names)
    manifest = json.loads((out / "drive" / "manifest.json").read_text())
    assert manifest["settings"]["classes"]["free"] == YARD.classes.free
    (drive,) = open_drives([out], grid=YARD.grid, classes=YARD.classes)
    voxels = load_voxels(drive.frames[0], YARD.grid, YARD.classes)
    there = {YARD.classes.names[i] for i in np.unique(voxels.semantics[voxels.mask_camera])}
    assert {"road", "building", "vehicle", "free"} <= there
    assert voxels.guessed.sum() < 0.02 * (voxels.semantics != YARD.classes.free).sum()
    sample = LabelSource([drive], YARD).sample(0, None)
    assert sample.semantics.shape == YARD.grid.size
    assert set(np.unique(sample.semantics)) & set(YARD.classes.things)


def test_boxes_whose_names_fit_nothing_are_said(bag: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "base: flashocc-r50-M0\nclasses:\n"
        "  - {name: slab, color: [9, 9, 9], flat: true, cost: 0}\n"
        "  - {name: rack, color: [200, 180, 140]}\n"
        "  - {name: free, color: [255, 255, 255], free: true}\n"
    )
    arguments = [bag, "--out", tmp_path / "labels", "--boxes", BOXES_TOPIC, "--classes", own, "--quiet"]
    result = CliRunner().invoke(label_app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "boxes of classes outside the table are left out: " in result.output
    assert "vehicle (" in result.output
