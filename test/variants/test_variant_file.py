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

"""A variant file becomes a row; what cannot work is one sentence with value, limit and remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import OCC3D
from flashocc_ros.variants import VARIANTS, get_variant
from flashocc_ros.voxel_grid import OCC3D_GRID, VoxelGrid

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "variant.yaml"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A copy of the example with keys replaced; None takes one out."""

    def made(file: str = "own.yaml", /, **changes: Any) -> Path:
        content = yaml.safe_load(EXAMPLE.read_text()) | changes
        path = tmp_path / file
        path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
        return path

    return made


def classes(**changes: Any) -> list[dict[str, Any]]:
    """Those of the example, keys of the first replaced."""
    listed: list[dict[str, Any]] = yaml.safe_load(EXAMPLE.read_text())["classes"]
    listed[0] |= changes
    return listed


def test_the_example_is_the_row_it_describes() -> None:
    row = get_variant(str(EXAMPLE))
    assert (row.name, row.num_cameras, row.backbone) == ("yard", 4, VARIANTS["synthetic-tiny"].backbone)
    assert row.grid == VoxelGrid(0.5, (-20.0, -20.0, -1.0), (120, 80, 8))
    assert row.classes.names[row.classes.free] == "free"
    assert row.classes.detection_names == ("vehicle", "two_wheeler", "pedestrian")
    assert [row.classes.classes[i].cost for i in row.classes.flat] == [0, 60, 80]


def test_a_file_of_a_base_alone_keeps_its_grid_and_classes(write: Write) -> None:
    row = get_variant(write(classes=None, grid=None, ignore=None, depth=None))
    assert (row.grid, row.classes) == (OCC3D_GRID, OCC3D)


def test_labels_of_occ3d_become_own_classes_by_source_and_by_name() -> None:
    table = get_variant(EXAMPLE).classes
    own = table.from_occ3d()
    assert own[OCC3D.index("truck")] == table.index("vehicle")
    assert own[OCC3D.index("pedestrian")] == table.index("pedestrian")
    assert own[OCC3D.free] == table.free
    assert own[200] == table.ignore


def test_the_table_is_named_by_its_content(write: Write) -> None:
    first, same = get_variant(EXAMPLE).classes, get_variant(write("b.yaml", name=None)).classes
    other = get_variant(write("c.yaml", classes=classes(name="street"))).classes
    assert first == same
    assert other.name != first.name


def test_a_volumetric_base_lifts_into_the_layers_of_the_grid(write: Write) -> None:
    plain = [{**c, "thing": False, "like": ""} for c in classes()]
    row = get_variant(write(base="bevdet-occ-r50", classes=plain, input_size=None, depth=None))
    assert row.lift_z_bins == row.grid.size[2] == 8


GRID: dict[str, Any] = {"x_m": [-20.0, 40.0], "y_m": [-20.0, 20.0], "z_m": [-1.0, 3.0], "voxel_m": 0.5}
WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"base": "flashocc-r50-M9"}, ["base 'flashocc-r50-M9'", "flashocc variants"]),
    ({"base": None}, ["base", "missing"]),
    ({"colour": 3}, ["colour", "is no setting"]),
    ({"name": "a/b"}, ["'a/b'", "letters", "another name"]),
    ({"name": "synthetic-tiny"}, ["synthetic-tiny", "row of the table", "another name"]),
    ({"num_cameras": 13}, ["num_cameras", "13", "12"]),
    ({"grid": GRID | {"voxel_m": 0.7}}, ["grid.x_m", "0.7 m", "whole number", "end it at"]),
    ({"grid": GRID | {"x_m": [-20.0, 42.0]}}, ["124 voxels", "halves", "multiple of 8", "end it at 44 m (128 voxels)"]),
    ({"grid": GRID | {"y_m": [-2.0, 2.0]}}, ["8 voxels", "at least 16", "end it at 6 m (16 voxels)"]),
    ({"grid": GRID | {"y_m": [20.0, -20.0]}}, ["grid.y_m", "rise", "correct it"]),
    ({"grid": GRID | {"x_m": [-4000.0, 4000.0]}}, ["grid.x_m", "500"]),
    ({"grid": GRID | {"voxel_m": 0.001}}, ["grid.voxel_m", "0.02"]),
    ({"grid": GRID | {"x_m": [float("nan"), 40.0]}}, ["grid.x_m", "nan"]),
    (
        {"grid": {"x_m": [-80.0, 80.0], "y_m": [-80.0, 80.0], "z_m": [-1.0, 3.0], "voxel_m": 0.05}},
        ["million", "limit 200 million", "larger voxels"],
    ),
    ({"input_size": [176, 350]}, ["input_size", "350", "multiples of 16", "take 352"]),
    ({"depth": {"stop_m": 0.5}}, ["depth ends at 0.5 m", "raise stop_m"]),
    ({"depth": {"step_m": 0.01}}, ["bins", "512", "change step_m"]),
    ({"classes": classes()[:-1]}, ["must be free", "none is", "free: true"]),
    ({"classes": classes(free=True, flat=False)}, ["must be free", "road and free are"]),
    ({"classes": classes(name="soil")}, ["two classes have the name 'soil'", "change one"]),
    ({"classes": classes(color=[300, 0, 0])}, ["class road", "300", "0 to 255"]),
    ({"classes": classes(color=[1, 2])}, ["classes.0.color"]),
    ({"classes": classes(cost=101)}, ["class road", "101", "100 (lethal)"]),
    ({"classes": classes(name="")}, ["class name ''"]),
    ({"classes": classes(thing=True)}, ["'road'", "thing", "like"]),
    ({"classes": classes(like="car")}, ["'road'", "like car", "thing: true"]),
    ({"classes": classes(thing=True, like="tank")}, ["class road", "'tank'", "choose one of"]),
    ({"classes": classes(**{"from": ["street"]})}, ["class road", "'street'", "no class of Occ3D"]),
    ({"classes": classes(**{"from": ["terrain"]})}, ["two classes have the source 'terrain'"]),
    ({"classes": [{"name": f"c{i}", "color": [0, 0, 0], "free": not i} for i in range(300)]}, ["none of the 300"]),
    ({"base": "flashocc-r50-M0", "input_size": None}, ["vehicle", "is a thing", "no head", "panoptic"]),
    ({"classes": [c for c in classes() if not c.get("thing")]}, ["finds objects", "thing: true"]),
    ({"ignore": 3}, ["ignore id 3", "255"]),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_what_cannot_work_is_one_sentence(write: Write, changes: dict[str, Any], said: list[str]) -> None:
    path = write(**changes)
    with pytest.raises(ConfigError) as raised:
        get_variant(path)
    sentence = str(raised.value)
    assert sentence.startswith(str(path))
    assert "\n" not in sentence
    for part in said:
        assert part in sentence


def test_a_flat_class_must_say_what_it_costs(write: Write) -> None:
    listed = classes()
    del listed[0]["cost"]
    with pytest.raises(ConfigError, match="'road' is flat; say with cost"):
        get_variant(write(classes=listed))


def test_more_classes_than_ids_are_refused(write: Write) -> None:
    many = [*classes(), *({"name": f"c{i}", "color": [i % 256, 0, 0]} for i in range(250))]
    with pytest.raises(ConfigError, match="260 classes are not possible, a table has 2 to 254"):
        get_variant(write(classes=many))


HOSTILE = {
    "bomb": "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nbase: *c\n",
    "itself": "base: &a [*a]\n",
    "code": "base: !!python/object/apply:os.system ['true']\n",
    "list": "- base\n",
    "twice": "base: synthetic-tiny\nbase: flashocc-r50\n",
    "binary": "\x00\x01",
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_files_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(HOSTILE[kind])
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        get_variant(path)


def test_a_large_or_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with pytest.raises(ConfigError, match="cannot be read"):
        get_variant(path)
    path.write_text("base: synthetic-tiny\n" + "#" * 300_000)
    with pytest.raises(ConfigError, match=r"0\.3 MB long"):
        get_variant(path)
