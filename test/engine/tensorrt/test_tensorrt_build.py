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

"""Building engines: the names and flags of TensorRT 10 and 11, every error path, and a real build without a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tensorrt_stand_in import make_tensorrt

from flashocc_ros.engine.tensorrt.build import build_engine, import_tensorrt
from flashocc_ros.errors import EngineError


@pytest.fixture(params=[10, 11])
def trt(request: pytest.FixtureRequest) -> Any:
    return make_tensorrt(request.param)


def linear_graph(path: Path, batch: int | str = 2) -> Path:
    """y = relu(x W), x (batch, 3), W (3, 4)."""
    weight = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(3, 4) - 6, "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 4])
    graph = helper.make_graph(nodes, "linear", [x], [y], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def scatter_graph(path: Path) -> Path:
    """Pooling by ScatterND with reduction, which TensorRT does not take."""
    node = helper.make_node("ScatterND", ["data", "index", "update"], ["out"], name="pool", reduction="add")
    inputs = [
        helper.make_tensor_value_info("data", TensorProto.FLOAT, [8, 4]),
        helper.make_tensor_value_info("index", TensorProto.INT64, [6, 1]),
        helper.make_tensor_value_info("update", TensorProto.FLOAT, [6, 4]),
    ]
    graph = helper.make_graph(
        [node], "scatter", inputs, [helper.make_tensor_value_info("out", TensorProto.FLOAT, [8, 4])]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def test_network_is_strongly_typed_in_both_releases(trt: Any, tmp_path: Path) -> None:
    build_engine(linear_graph(tmp_path / "a.onnx"), trt)
    wanted = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert ("create_network", wanted) in trt.calls


def test_open_sizes_get_an_exact_profile(trt: Any, tmp_path: Path) -> None:
    build_engine(linear_graph(tmp_path / "a.onnx", "n"), trt, {"x": (5, 3)})
    assert ("add_optimization_profile", {"x": ((5, 3), (5, 3), (5, 3))}) in trt.calls


def test_open_size_without_a_shape_is_refused(trt: Any, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="input x has the open shape"):
        build_engine(linear_graph(tmp_path / "a.onnx", "n"), trt)


def test_rejected_operation_is_named(trt: Any, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"rejects node pool \(ScatterND\).*flashocc export"):
        build_engine(scatter_graph(tmp_path / "a.onnx"), trt)


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("Cuda Runtime (out of memory)", "free GPU memory"),
        ("No implementation for node", "driver and TensorRT version"),
    ],
)
def test_failed_build_says_what_to_do(trt: Any, tmp_path: Path, said: str, remedy: str) -> None:
    trt.behaviour.build_error = said
    with pytest.raises(EngineError, match=remedy) as error:
        build_engine(linear_graph(tmp_path / "a.onnx"), trt)
    assert said in str(error.value)


def test_a_driver_that_is_too_old_is_explained(trt: Any, tmp_path: Path) -> None:
    trt.behaviour.start_error = "CUDA initialization failure with error: 35"
    with pytest.raises(EngineError, match=r"error: 35\); the NVIDIA driver is missing or too old .*update the driver"):
        build_engine(linear_graph(tmp_path / "a.onnx"), trt)


def test_missing_module_is_explained() -> None:
    with pytest.raises(EngineError, match="install TensorRT 10 or 11"):
        import_tensorrt("tensorrt_that_does_not_exist")


def test_module_without_libraries_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hollow_tensorrt.py").write_text("__version__ = '10.0'\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EngineError, match="its libraries are missing"):
        import_tensorrt("hollow_tensorrt")


def test_real_parser_builds_without_a_gpu(tmp_path: Path) -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    assert len(build_engine(linear_graph(tmp_path / "a.onnx", "n"), trt, {"x": (5, 3)})) > 1000


def test_real_parser_rejects_scatter_add(tmp_path: Path) -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    with pytest.raises(EngineError, match=r"rejects node pool \(ScatterND\)"):
        build_engine(scatter_graph(tmp_path / "a.onnx"), trt)
