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

"""A network with a grid and classes of one's own gives the same result on every engine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_stream import STEP_NS, drive, rig, small

from flashocc_ros import Occupancy, Predictor
from flashocc_ros.engine.export.write import export
from flashocc_ros.engine.select import backend_class
from flashocc_ros.engine.store.meta import load_export
from flashocc_ros.errors import EngineError
from flashocc_ros.variants import Variant, get_variant
from flashocc_ros.voxel_grid import VoxelGrid

pytest.importorskip("torch")
EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "variant.yaml"
OWN: Variant = replace(
    small("panoptic-flashocc-r50-depth4d-pano"),
    name="own-grid",
    input_size=(64, 192),
    grid=VoxelGrid(0.8, (-12.8, -6.4, -1.0), (40, 24, 5)),  # neither square nor around the vehicle
    classes=get_variant(EXAMPLE).classes,
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "export"
    export(OWN, None, folder)
    return folder


def results(engine: str, checkpoint: Path | None, cache: Path) -> list[Occupancy]:
    predictor = Predictor(OWN, checkpoint, engine, cache_dir=cache)
    shots = drive(3, (2.0, 0.3, 8.0))
    return [predictor(s.images, rig(), s.odom_from_base, 10**18 + i * STEP_NS) for i, s in enumerate(shots)]


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_engines_agree_with_torch_on_a_grid_and_classes_of_ones_own(
    engine: str, exported: Path, tmp_path: Path
) -> None:
    if backend_class(engine).unavailable() is not None:
        pytest.skip(f"{engine} is not installed")
    for expected, got in zip(results("torch", None, tmp_path), results(engine, exported, tmp_path), strict=True):
        assert (got.grid, got.classes) == (OWN.grid, OWN.classes)
        assert got.semantics.shape == OWN.grid.size
        assert len(np.unique(expected.semantics)) > 2  # untrained, yet not the same of every voxel
        assert (got.semantics == expected.semantics).mean() > 0.999
        assert got.instances is not None


def test_an_export_knows_its_grid_and_classes(exported: Path, tmp_path: Path) -> None:
    meta = load_export(exported, OWN)
    assert meta.classes == OWN.classes
    assert meta.grid.size == OWN.grid.size
    moved = replace(OWN, grid=VoxelGrid(0.8, (0.0, -6.4, -1.0), (40, 24, 5)))
    with pytest.raises(EngineError, match=r"says grid = .* export again"):
        load_export(exported, moved)
    first, *others = OWN.classes.classes
    renamed = replace(OWN.classes, classes=(replace(first, name="street"), *others))
    with pytest.raises(EngineError, match=r"with the classes road, .*own-grid has street, .*export again"):
        load_export(exported, replace(OWN, classes=renamed))


def test_an_export_of_before_has_the_classes_of_occ3d(exported: Path, tmp_path: Path) -> None:
    content = json.loads((exported / "meta.json").read_text())
    del content["classes"]
    (tmp_path / "meta.json").write_text(json.dumps(content))
    with pytest.raises(EngineError, match="with the classes others, barrier"):
        load_export(tmp_path, OWN, check_files=False)


def test_what_is_not_that_class_table_is_refused(exported: Path, tmp_path: Path) -> None:
    content = json.loads((exported / "meta.json").read_text())
    content["classes"]["free"] = 99
    (tmp_path / "meta.json").write_text(json.dumps(content))
    with pytest.raises(EngineError, match=r"damaged or of another release.*class 99 is free"):
        load_export(tmp_path, check_files=False)
