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

"""meta.json: whatever does not fit is one sentence with a remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flashocc_ros.engine.store.cache import file_sha256
from flashocc_ros.engine.store.meta import ExportMeta, GraphMeta, TensorMeta, depth_meta, grid_meta, load_export
from flashocc_ros.engine.store.signatures import signatures
from flashocc_ros.errors import EngineError
from flashocc_ros.variants import get_variant

VARIANT = get_variant("flashocc-r50-M0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export of made-up files."""
    graphs = {}
    for name, signature in signatures(VARIANT, 7).items():
        (tmp_path / f"{name}.onnx").write_bytes(b"graph")
        graphs[name] = GraphMeta(
            file=f"{name}.onnx",
            sha256=file_sha256(tmp_path / f"{name}.onnx"),
            inputs=tuple(
                TensorMeta(name=key, dtype="float32", shape=tuple("cameras" if s == 7 else s for s in shape))
                for key, shape in signature.inputs.items()
            ),
            outputs=tuple(TensorMeta(name=key, dtype="float32", shape=()) for key in signature.outputs),
        )
    meta = ExportMeta(
        variant=VARIANT.name,
        grid=grid_meta(VARIANT),
        depth=depth_meta(VARIANT),
        input_size=VARIANT.input_size,
        lift_z_bins=1,
        precision="fp32",
        opset=17,
        graphs=graphs,
        checkpoint_sha256=None,
    )
    meta.write(tmp_path)
    return tmp_path


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads((folder / "meta.json").read_text())
    change(content)
    (folder / "meta.json").write_text(json.dumps(content))


def test_a_sound_export_is_read_back(folder: Path) -> None:
    assert load_export(folder, VARIANT, "fp32").variant == VARIANT.name


def test_a_folder_without_meta_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="flashocc export"):
        load_export(tmp_path)


def test_another_variant_is_refused(folder: Path) -> None:
    with pytest.raises(EngineError, match="export of flashocc-r50-M0, not of flashocc-r50;"):
        load_export(folder, get_variant("flashocc-r50"))


def test_another_precision_is_refused(folder: Path) -> None:
    with pytest.raises(EngineError, match="--precision int8"):
        load_export(folder, VARIANT, "int8")


def test_depth_bins_that_disagree_are_refused(folder: Path) -> None:
    with pytest.raises(EngineError, match="says depth = "):
        load_export(folder, replace(VARIANT, depth=replace(VARIANT.depth, stop_m=60.0)))


@pytest.mark.parametrize(
    ("graph", "change"),
    [
        ("bev_head", lambda g: g["inputs"][0]["shape"].__setitem__(1, 65)),
        ("bev_head", lambda g: g["inputs"].append({"name": "grids", "dtype": "float32", "shape": [1, 200, 200, 2]})),
        ("bev_head", lambda g: g["outputs"].append({"name": "heatmap", "dtype": "float32", "shape": []})),
        ("image_encoder", lambda g: g["inputs"].clear()),
    ],
    ids=["channels", "a-past", "centres", "no-pictures"],
)
def test_graphs_of_another_network_are_refused(folder: Path, graph: str, change: Callable[[Any], Any]) -> None:
    """The name and the grid fit the variant, the layers do not."""
    edit(folder, lambda content: change(content["graphs"][graph]))
    with pytest.raises(EngineError, match=rf"says {graph} (takes|gives) .*export again"):
        load_export(folder, VARIANT)


def test_a_graph_that_is_not_listed_is_refused(folder: Path) -> None:
    edit(folder, lambda content: content["graphs"].pop("image_encoder"))
    with pytest.raises(EngineError, match=r"lists no graph image_encoder, which .* needs; export again"):
        load_export(folder, VARIANT)


def test_a_replaced_graph_is_refused(folder: Path) -> None:
    (folder / "bev_head.onnx").write_bytes(b"another graph")
    with pytest.raises(EngineError, match="SHA-256 differs"):
        load_export(folder)


def test_a_missing_graph_is_refused(folder: Path) -> None:
    (folder / "bev_head.onnx").unlink()
    with pytest.raises(EngineError, match="copy the whole folder"):
        load_export(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("variant"),
        lambda c: c.update(precision="fp7"),
        lambda c: c.update(surprise=1),
        lambda c: c.update(format_version=99),
    ],
    ids=["missing", "unknown-value", "unknown-key", "other-format"],
)
def test_a_meta_that_disagrees_is_refused(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    edit(folder, change)
    with pytest.raises(EngineError, match="export again"):
        load_export(folder)


@pytest.mark.parametrize("name", ["../bev_head.onnx", "/etc/passwd", "..", "", "a/b.onnx", "a\\b.onnx", "a\0b"])
def test_a_graph_elsewhere_is_refused(folder: Path, name: str) -> None:
    edit(folder, lambda content: content["graphs"]["bev_head"].update(file=name))
    with pytest.raises(EngineError, match=r"graphs\.bev_head\.file: .* bare name of a file") as refusal:
        load_export(folder)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(lift_z_bins="1"),
        lambda c: c["depth"].update(sid="no"),
        lambda c: c.update(input_size=[256]),
        lambda c: c.update(graphs=[]),
        lambda c: c.update(tree={"rows": -1, "tall_cells": 1, "rows_per_cell": 1, "row_points": 1, "cameras": 6}),
    ],
    ids=["text-for-a-number", "text-for-a-truth", "one-size", "list-of-graphs", "negative-rows"],
)
def test_wrong_types_and_sizes_are_one_sentence(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    edit(folder, change)
    with pytest.raises(EngineError, match="export again") as refusal:
        load_export(folder)
    assert "\n" not in str(refusal.value)


def test_inputs_of_another_type_are_refused(folder: Path) -> None:
    edit(folder, lambda content: content["graphs"]["bev_head"]["inputs"][0].update(dtype="float64"))
    with pytest.raises(EngineError, match=r"says bev_head takes float64, .* gives float32; export again"):
        load_export(folder, VARIANT)


def test_a_huge_meta_is_refused_before_it_is_read(folder: Path) -> None:
    with (folder / "meta.json").open("r+b") as file:
        file.truncate(2_000_000_000)
    with pytest.raises(EngineError, match="has 2000 MB, more than an export writes"):
        load_export(folder)


def test_weights_in_another_file_are_refused(folder: Path) -> None:
    """Nothing would notice that they were replaced."""
    onnx = pytest.importorskip("onnx")
    tensor = onnx.numpy_helper.from_array(np.zeros(1000, np.float32), "w")
    node = onnx.helper.make_node("Identity", ["w"], ["y"])
    output = onnx.helper.make_tensor_value_info("y", 1, [1000])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [output], [tensor]))
    onnx.save(model, folder / "bev_head.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    sha256 = file_sha256(folder / "bev_head.onnx")
    edit(folder, lambda content: content["graphs"]["bev_head"].update(sha256=sha256))
    with pytest.raises(EngineError, match=r"takes weights from 'weights\.bin', of which meta\.json knows nothing"):
        load_export(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_damaged_meta_is_refused(folder: Path, text: str) -> None:
    (folder / "meta.json").write_text(text)
    with pytest.raises(EngineError, match="export again"):
        load_export(folder)
