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

"""An occupancy saved and loaded again."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from full_disk import largest_file

from flashocc_ros.errors import InputError, OutputError
from flashocc_ros.labels import ClassTable, SemanticClass
from flashocc_ros.structures import Instance, Occupancy, VoxelGrid


def make(panoptic: bool = True) -> Occupancy:
    semantics = np.random.default_rng(0).integers(0, 18, (20, 20, 4), dtype=np.uint8)
    first_seen = Instance(18, 4, 0.5, (1.0, 2.0, 3.0), (4.0, 2.0, 1.5), 7)
    moving = Instance(19, 4, 0.25, (5.0, 2.0, 3.0), (4.0, 2.0, 1.5), 9, (-3.5, 0.25, 0.0), 0.5)
    objects = (first_seen, moving) if panoptic else ()
    ids = semantics.astype(np.int32) if panoptic else None
    grid = VoxelGrid(0.5, (-5.0, -5.0, 0.0), (20, 20, 4))
    return Occupancy(semantics, ids, objects, 10**18 + 1, {"encoder": 1.5, "total": 2.5}, grid, ("rear", "hütte"))


@pytest.mark.parametrize("panoptic", [True, False])
def test_everything_comes_back(tmp_path: Path, panoptic: bool) -> None:
    saved = make(panoptic)
    saved.save(tmp_path / "o.npz")
    loaded = Occupancy.load(tmp_path / "o.npz")
    np.testing.assert_array_equal(loaded.semantics, saved.semantics)
    assert (loaded.instances is None) is (saved.instances is None)
    for name in ("centers", "stamp_ns", "timings", "grid", "masked_cameras"):
        assert getattr(loaded, name) == getattr(saved, name)


def test_a_file_of_an_earlier_release_tells_no_velocity(tmp_path: Path) -> None:
    make().save(tmp_path / "o.npz")
    arrays = {name: array for name, array in np.load(tmp_path / "o.npz").items() if "velocity" not in name}
    np.savez(tmp_path / "old.npz", **arrays)
    assert [i.velocity_mps for i in Occupancy.load(tmp_path / "old.npz").centers] == [None, None]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def _other_arrays(path: Path) -> None:
    np.savez(path, a=np.zeros(3))


def _unknown_class(path: Path) -> None:
    arrays = dict(np.load(path))
    np.savez(path, **arrays | {"semantics": np.full((20, 20, 4), 40, np.uint8)})


def _pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"semantics": 1}))


def _gone(path: Path) -> None:
    path.unlink()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("spoil", [_cut, _other_arrays, _unknown_class, _pickled, _gone, _pipe])
def test_a_file_of_something_else_is_one_sentence(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path = tmp_path / "o.npz"
    make().save(path)
    spoil(path)
    with pytest.raises(InputError, match=r"o\.npz is no saved occupancy: .*; make one with Occupancy\.save"):
        Occupancy.load(path)


def test_a_full_disk_keeps_the_older_result(tmp_path: Path) -> None:
    path = tmp_path / "1.npz"
    path.write_text("old")
    labels = np.random.default_rng(0).integers(0, 18, (200, 200, 16), dtype=np.uint8)
    with largest_file(10_000), pytest.raises(OutputError, match=r"cannot write .*1\.npz .*free some space"):
        Occupancy(labels, None, (), 1).save(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["1.npz"]


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"result\.dat is not named \.npz.*name it result\.npz"):
        make().save(tmp_path / "result.dat")


def test_its_repr_is_a_line_not_an_array() -> None:
    text = repr(make())
    assert text.startswith("Occupancy(1515 of 1600 voxels occupied (")
    assert "2 objects, without rear, hütte" in text
    assert len(text) < 200


OWN = ClassTable("own", 1, (SemanticClass("free", (0, 0, 0)), SemanticClass("crate", (200, 100, 0), thing=True)), 0)


def test_own_classes_come_back_and_name_what_is_there(tmp_path: Path) -> None:
    semantics = np.zeros((4, 3, 2), np.uint8)
    semantics[1, 1] = 1
    Occupancy(semantics, None, (), 5, grid=VoxelGrid(0.2, (0.0, 0.0, 0.0), (4, 3, 2)), classes=OWN).save(
        tmp_path / "o.npz"
    )
    loaded = Occupancy.load(tmp_path / "o.npz")
    assert loaded.classes == OWN
    assert "2 of 24 voxels occupied (crate 2)" in repr(loaded)
    assert loaded.points()["class_id"].tolist() == [1, 1]


@pytest.mark.parametrize("table", ["", "{}", '{"name": 3}', "[" * 100_000])
def test_a_damaged_class_table_is_refused(tmp_path: Path, table: str) -> None:
    make(False).save(tmp_path / "o.npz")
    arrays = dict(np.load(tmp_path / "o.npz"))
    np.savez(tmp_path / "p.npz", **(arrays | {"class_table": np.array(table)}))
    with pytest.raises(InputError, match="is no saved occupancy"):
        Occupancy.load(tmp_path / "p.npz")
