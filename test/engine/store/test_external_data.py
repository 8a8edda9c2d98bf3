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

"""External data is found wherever a tensor can hide, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flashocc_ros import weights
from flashocc_ros.engine.store.external_data import external_files

onnx = pytest.importorskip("onnx")


def outside(location: str) -> Any:
    tensor = onnx.TensorProto(name="w", dims=[1], data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="length", value="4")
    tensor.external_data.add(key="location", value=location)
    return tensor


def inside() -> Any:
    return onnx.numpy_helper.from_array(np.arange(300, dtype=np.float32), "location")


def test_tensors_are_found_in_graphs_nodes_and_branches(tmp_path: Path) -> None:
    branch = onnx.helper.make_graph([], "branch", [], [], [outside("b.bin")])
    nodes = [
        onnx.helper.make_node("Constant", [], ["c"], value=outside("c.bin")),
        onnx.helper.make_node("If", ["x"], ["y"], then_branch=branch),
    ]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [], [inside(), outside("../a.bin")]))
    (tmp_path / "g.onnx").write_bytes(model.SerializeToString())
    assert sorted(external_files(tmp_path / "g.onnx")) == ["../a.bin", "b.bin", "c.bin"]


def test_a_graph_in_one_file_has_none() -> None:
    folder = weights.export_dir("synthetic-tiny")
    assert folder is not None
    for path in folder.glob("*.onnx"):
        assert external_files(path) == []


@pytest.mark.parametrize("content", [b"", b"graph", b"\x3a\xff", b"\x80"])
def test_what_is_no_graph_has_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "g.onnx").write_bytes(content)
    assert external_files(tmp_path / "g.onnx") == []
