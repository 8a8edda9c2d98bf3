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

"""Running engines: addresses, lifetimes and errors, against the API of TensorRT 10 and 11."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorrt_stand_in import make_tensorrt
from test_tensorrt_build import linear_graph

from flashocc_ros.engine.tensorrt.build import build_engine
from flashocc_ros.engine.tensorrt.runtime import TensorRtEngine
from flashocc_ros.errors import EngineError

CPU = torch.device("cpu")


@pytest.fixture(params=[10, 11])
def trt(request: pytest.FixtureRequest) -> Any:
    return make_tensorrt(request.param)


def test_engine_computes_on_its_own_buffers(trt: Any, tmp_path: Path) -> None:
    engine = TensorRtEngine(build_engine(linear_graph(tmp_path / "a.onnx"), trt), trt, CPU)
    x = torch.randn(2, 3)
    engine.inputs["x"].copy_(x)
    engine.run(7)
    weight = torch.arange(12, dtype=torch.float32).reshape(3, 4) - 6
    assert torch.allclose(engine.outputs["y"], (x @ weight).relu())
    assert ("execute_async_v3", 7) in trt.calls


def test_addresses_stay_the_same_over_calls(trt: Any, tmp_path: Path) -> None:
    engine = TensorRtEngine(build_engine(linear_graph(tmp_path / "a.onnx"), trt), trt, CPU)
    before = {name: t.data_ptr() for name, t in (engine.inputs | engine.outputs).items()}
    for _ in range(3):
        engine.inputs["x"].normal_()
        engine.run(0)
        gc.collect()
    assert {name: t.data_ptr() for name, t in (engine.inputs | engine.outputs).items()} == before


def test_open_sizes_are_bound(trt: Any, tmp_path: Path) -> None:
    shapes = {"x": (5, 3)}
    built = build_engine(linear_graph(tmp_path / "a.onnx", "n"), trt, shapes)
    engine = TensorRtEngine(built, trt, CPU, shapes)
    assert engine.outputs["y"].shape == (5, 4)


def test_engine_of_another_release_is_refused(tmp_path: Path) -> None:
    built = build_engine(linear_graph(tmp_path / "a.onnx"), make_tensorrt(10))
    with pytest.raises(EngineError, match=r"built by 10.*flashocc build"):
        TensorRtEngine(built, make_tensorrt(11), CPU)


def test_a_driver_that_is_too_old_is_explained(trt: Any, tmp_path: Path) -> None:
    built = build_engine(linear_graph(tmp_path / "a.onnx"), trt)
    trt.behaviour.start_error = "CUDA initialization failure with error: 35"
    with pytest.raises(EngineError, match="driver is missing or too old"):
        TensorRtEngine(built, trt, CPU)


def test_damaged_engine_is_refused(trt: Any) -> None:
    with pytest.raises(EngineError, match="magic tag"):
        TensorRtEngine(b"not an engine", trt, CPU)


def test_no_memory_for_the_context(trt: Any, tmp_path: Path) -> None:
    built = build_engine(linear_graph(tmp_path / "a.onnx"), trt)
    trt.behaviour.context_error = "out of memory"
    with pytest.raises(EngineError, match=r"out of memory.*free GPU memory"):
        TensorRtEngine(built, trt, CPU)


def test_failed_run_is_an_error(trt: Any, tmp_path: Path) -> None:
    engine = TensorRtEngine(build_engine(linear_graph(tmp_path / "a.onnx"), trt), trt, CPU)
    trt.behaviour.run_error = "illegal memory access"
    with pytest.raises(EngineError, match="illegal memory access"):
        engine.run(0)
