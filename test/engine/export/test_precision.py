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

"""Graphs in lower precision: types stay consistent where exporters share constants or cast by themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flashocc_ros.engine.export.precision import convert
from flashocc_ros.variants import get_variant

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture
def mixed_graph(tmp_path: Path) -> Path:
    """One bias for pictures and camera numbers, and a mask that becomes numbers by a cast."""
    make, proto = onnx.helper, onnx.TensorProto
    nodes = [
        make.make_node("Add", ["camera_params", "bias"], ["gate"], name="camera_add"),
        make.make_node("Add", ["images", "bias"], ["shifted"], name="image_add"),
        make.make_node("Greater", ["shifted", "zero"], ["mask"], name="image_mask"),
        make.make_node("Cast", ["mask"], ["numbers"], name="image_cast", to=proto.FLOAT),
        make.make_node("Mul", ["shifted", "numbers"], ["positive"], name="image_mul"),
        make.make_node("Mul", ["positive", "gate"], ["out"], name="join"),
    ]
    graph = make.make_graph(
        nodes,
        "mixed",
        [make.make_tensor_value_info(name, proto.FLOAT, [4]) for name in ("images", "camera_params")],
        [make.make_tensor_value_info("out", proto.FLOAT, [4])],
        [
            onnx.numpy_helper.from_array(np.full(4, 0.5, np.float32), "bias"),
            onnx.numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
        ],
    )
    path = tmp_path / "mixed.onnx"
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_fp16_keeps_a_shared_constant_in_both_types(mixed_graph: Path) -> None:
    convert({"image_encoder": mixed_graph}, get_variant("synthetic-tiny"), "fp16", None)
    model = onnx.load(mixed_graph)
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    node = {node.name: node for node in model.graph.node}
    assert types[node["camera_add"].input[1]] == onnx.TensorProto.FLOAT
    assert types[node["image_add"].input[1]] == onnx.TensorProto.FLOAT16


def test_fp16_graph_runs_and_computes_the_same(mixed_graph: Path) -> None:
    feeds = {"images": np.array([1, -2, 0.25, 3], np.float32), "camera_params": np.array([1, 2, 3, 4], np.float32)}

    def run() -> np.ndarray:
        session = onnxruntime.InferenceSession(mixed_graph, providers=["CPUExecutionProvider"])
        return session.run(["out"], feeds)[0]  # type: ignore[no-any-return]

    before = run()
    convert({"image_encoder": mixed_graph}, get_variant("synthetic-tiny"), "fp16", None)
    np.testing.assert_allclose(run(), before, rtol=1e-3)


def test_tensorrt_takes_the_fp16_graph(mixed_graph: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx-cu12")
    from flashocc_ros.engine.tensorrt.build import build_engine, import_tensorrt

    convert({"image_encoder": mixed_graph}, get_variant("synthetic-tiny"), "fp16", None)
    assert build_engine(mixed_graph, import_tensorrt("tensorrt_rtx"))
