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

"""Every exported graph: its interface, what it must not hold, and that TensorRT's parser and builder take it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flashocc_ros.engine.store.meta import ExportMeta, load_export
from flashocc_ros.errors import ConfigError, EngineError
from flashocc_ros.variants import VARIANTS, get_variant

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")

from small_stream import small  # noqa: E402

from flashocc_ros.cameras.nominal_rig import nominal_rig  # noqa: E402
from flashocc_ros.engine.export.calibration import standing_table  # noqa: E402
from flashocc_ros.engine.export.write import export  # noqa: E402
from flashocc_ros.model import build_model  # noqa: E402

FORBIDDEN_OPS = {"ScatterND", "ScatterElements", "BatchNormalization", "NonZero", "Identity"}


def build_all(folder: Path) -> dict[str, int]:
    """Bytes of the engines that TensorRT-RTX, which needs no GPU to build, makes of all graphs."""
    pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx-cu12")
    from flashocc_ros.engine.tensorrt.build import build_engine, import_tensorrt

    trt = import_tensorrt("tensorrt_rtx")
    sizes = {}
    for name, graph in load_export(folder).graphs.items():
        shapes = {
            tensor.name: tuple(6 if size == "cameras" else int(size) for size in tensor.shape)
            for tensor in graph.inputs
        }
        sizes[name] = len(build_engine(folder / graph.file, trt, shapes))
    return sizes


def ops(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


def idle(path: Path) -> set[str]:
    """Nodes, weights and inputs that no output needs."""
    graph = onnx.load(path).graph
    made_by = {output: node for node in graph.node for output in node.output}
    needed, waiting = set(), [output.name for output in graph.output]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += made_by[name].input if name in made_by else []
    nodes = {node.name for node in graph.node if not needed & set(node.output)}
    return nodes | {value.name for value in (*graph.initializer, *graph.input) if value.name not in needed}


@pytest.fixture(scope="session")
def tiny_4d(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExportMeta]:
    """Two frames, panoptic, with the fused graph; small."""
    folder = tmp_path_factory.mktemp("tiny4d")
    return folder, export("synthetic-tiny-4d", None, folder, fused=True)


def names(tensors: tuple[object, ...]) -> list[str]:
    return [tensor.name for tensor in tensors]  # type: ignore[attr-defined]


def test_two_graphs_take_geometry_and_motion_as_inputs(tiny_4d: tuple[Path, ExportMeta]) -> None:
    graphs = tiny_4d[1].graphs
    matching = ["previous_feature", "stereo_grid"]
    assert names(graphs["image_encoder"].inputs) == ["images", "camera_params", *matching]
    assert names(graphs["image_encoder"].outputs) == ["depth", "context", "stereo_feature"]
    assert names(graphs["stereo_feature"].inputs) == ["images"]
    assert names(graphs["bev_head"].inputs) == ["bev", "grids", "history_1"]
    assert names(graphs["bev_head"].outputs) == ["labels", "bev_key", "heatmap", "reg", "height"]


def test_only_the_number_of_cameras_stays_open_and_labels_are_bytes(tiny_4d: tuple[Path, ExportMeta]) -> None:
    graphs = tiny_4d[1].graphs
    assert graphs["image_encoder"].inputs[0].shape == ("cameras", 3, 176, 352)
    assert graphs["image_encoder"].outputs[0].shape == ("cameras", 113, 44, 88)
    labels = graphs["bev_head"].outputs[0]
    assert (labels.dtype, labels.shape) == ("uint8", (200, 200, 16))


def test_no_graph_holds_norms_scatters_or_identities(tiny_4d: tuple[Path, ExportMeta]) -> None:
    for graph in tiny_4d[1].graphs.values():
        assert not ops(tiny_4d[0] / graph.file) & FORBIDDEN_OPS


def test_every_node_and_every_weight_serves_an_output(tiny_4d: tuple[Path, ExportMeta]) -> None:
    for graph in tiny_4d[1].graphs.values():
        assert not idle(tiny_4d[0] / graph.file)


def test_tensorrt_builds_the_tiny_4d_graphs_fused_one_included(tiny_4d: tuple[Path, ExportMeta]) -> None:
    assert set(build_all(tiny_4d[0])) == {"image_encoder", "stereo_feature", "bev_head", "fused"}


def test_fused_graph_equals_the_two_graphs(tiny_4d: tuple[Path, ExportMeta]) -> None:
    """Same pictures, same past: labels of the single graph and of encoder, numba pooling and head."""
    import numpy as np
    import onnxruntime

    from flashocc_ros.engine.export.tree16 import TreeSizes, tree_table
    from flashocc_ros.engine.onnxruntime_backend import OnnxRuntimeBackend

    folder, meta = tiny_4d
    variant = get_variant(meta.variant)
    assert meta.tree is not None
    table = standing_table(variant, nominal_rig(meta.tree.cameras))
    rng = np.random.default_rng(0)
    inputs = {
        tensor.name: rng.standard_normal([int(size) for size in tensor.shape]).astype(np.float32)
        for tensor in meta.graphs["fused"].inputs
        if tensor.dtype == "float32"
    }
    inputs["camera_params"] = np.tile(
        np.array([1266, 1266, 816, 491, 0.22, 0, 0, 0, 0.22, -70, 1, 0, 0, 1, 1] + [0.5] * 12, np.float32), (6, 1)
    )
    tree = tree_table(
        table, TreeSizes(meta.tree.rows, meta.tree.tall_cells, meta.tree.rows_per_cell, meta.tree.row_points)
    )
    session = onnxruntime.InferenceSession(folder / "fused.onnx", providers=["CPUExecutionProvider"])
    (fused,) = session.run(["labels"], inputs | tree.as_inputs())

    backend = OnnxRuntimeBackend(variant, export_dir=folder)
    stereo = inputs["previous_feature"], inputs["stereo_grid"]
    encoded = backend.encode(inputs["images"], inputs["camera_params"], stereo)
    labels = backend.head(backend.pool(encoded, table), [inputs["history_1"]], inputs["grids"]).labels
    assert (fused == labels).mean() >= 0.9999


def test_fused_sizes_come_from_the_given_rig(tmp_path: Path) -> None:
    rig = nominal_rig(2)
    meta = export("synthetic-tiny", None, tmp_path, fused=True, rig=rig)
    assert meta.tree is not None
    assert meta.tree.cameras == 2
    assert meta.graphs["fused"].inputs[0].shape == (2, 3, 176, 352)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_tensorrt_builds_lower_precisions_of_a_panoptic_4d_network(
    tmp_path: Path, frame_folder: Path, precision: str
) -> None:
    calibration = frame_folder if precision == "int8" else None
    meta = export("synthetic-tiny-4d", None, tmp_path, precision, calibration=calibration)  # type: ignore[arg-type]
    assert meta.kept_layers
    assert all(layer.reason for layer in meta.kept_layers)
    expected = {"fp16": "Cast", "int8": "QuantizeLinear"}[precision]
    for name, graph in meta.graphs.items():
        # A sequence starts with it once; it stays as it is.
        if (precision, name) != ("int8", "stereo_feature"):
            assert expected in ops(tmp_path / graph.file)
    if precision == "int8":
        kept = [layer.layer for layer in meta.kept_layers]
        for part in ("stereo/smooth", "stereo/matched", "stereo/trust", "filters/Conv"):
            assert any(part in name for name in kept), part
        half = {layer.layer for layer in meta.kept_layers if layer.precision == "fp16"}
        head = onnx.load(tmp_path / "bev_head.onnx").graph
        weights = {tensor.name: tensor.data_type for tensor in head.initializer}
        types = {node.name: weights.get(node.input[1]) for node in head.node if node.name in half}
        assert types
        assert set(types.values()) == {onnx.TensorProto.FLOAT16}
    assert set(build_all(tmp_path)) == {"image_encoder", "stereo_feature", "bev_head"}


def test_tensorrt_builds_fp16_of_a_shrunken_stereo_network(tmp_path: Path) -> None:
    variant = replace(small("flashocc-r50-4d-stereo"), input_size=(64, 192))
    meta = export(variant, None, tmp_path, "fp16", model=build_model(variant))
    assert set(build_all(tmp_path)) == set(meta.graphs) == {"image_encoder", "stereo_feature", "bev_head"}


def test_int8_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--calibration"):
        export("synthetic-tiny", None, tmp_path, "int8")


def test_tensorrt_builds_m0(tmp_path: Path) -> None:
    meta = export("flashocc-r50-M0", None, tmp_path)
    assert names(meta.graphs["image_encoder"].inputs) == ["images"]
    assert set(build_all(tmp_path)) == {"image_encoder", "bev_head"}


def test_export_into_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(EngineError, match="choose another --out"):
        export("synthetic-tiny", None, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in VARIANTS if not name.endswith(("M0", "_1e-2"))])
def test_tensorrt_builds_every_variant(tmp_path: Path, name: str) -> None:
    meta = export(name, None, tmp_path)
    for graph in meta.graphs.values():
        assert not ops(tmp_path / graph.file) & FORBIDDEN_OPS
        assert not idle(tmp_path / graph.file)
    assert set(build_all(tmp_path)) == set(meta.graphs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "flashocc-r50-M0",
        "flashocc-r50-4d-stereo",
        "bevdet-occ-r50",
        "panoptic-flashocc-r50-depth4d-longterm8f-pano",
    ],
)
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_tensorrt_builds_lower_precisions(tmp_path: Path, frame_folder: Path, name: str, precision: str) -> None:
    calibration = frame_folder if precision == "int8" else None
    meta = export(name, None, tmp_path, precision, calibration=calibration)  # type: ignore[arg-type]
    assert set(build_all(tmp_path)) == set(meta.graphs)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flashocc-r50-M0", "flashocc-r50-4d-stereo", "bevdet-occ-r50"])
def test_tensorrt_builds_fused_graphs(tmp_path: Path, name: str) -> None:
    assert "fused" in build_all_of(name, tmp_path)


def build_all_of(name: str, folder: Path) -> dict[str, int]:
    export(name, None, folder, fused=True)
    return build_all(folder)
