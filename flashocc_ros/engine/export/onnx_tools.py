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

"""Small edits of ONNX graphs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def drop_outputs(model: Any, names: Iterable[str]) -> None:
    """Take tensors off the list of outputs; they keep name and shape inside the graph."""
    dropped = set(names)
    outputs = list(model.graph.output)
    del model.graph.output[:]
    for output in outputs:
        (model.graph.value_info if output.name in dropped else model.graph.output).append(output)


def fold_identities(model: Any) -> None:
    """Let consumers read the source of every Identity node; exporters add them for equal constants."""
    graph = model.graph
    outputs = {output.name for output in graph.output}
    source: dict[str, str] = {}
    kept = []
    for node in graph.node:
        node.input[:] = [source.get(name, name) for name in node.input]
        if node.op_type == "Identity" and node.output[0] not in outputs:
            source[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def separate_outputs(model: Any) -> None:
    """Give outputs that are also read inside the graph a node of their own, so that their type can be kept."""
    import onnx

    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    for output in graph.output:
        if output.name not in read:
            continue
        inner = f"{output.name}_inner"
        for node in graph.node:
            node.input[:] = [inner if name == output.name else name for name in node.input]
            node.output[:] = [inner if name == output.name else name for name in node.output]
        graph.node.append(onnx.helper.make_node("Identity", [inner], [output.name], name=f"{output.name}_copy"))


def own_constants(model: Any, layers: Iterable[str]) -> None:
    """Give these layers copies of the constants that other layers read too, so that their type can be kept.

    Exporters keep equal constants, such as biases of zero, once.
    """
    import onnx

    graph, wanted = model.graph, set(layers)
    others = {name for node in graph.node if node.name not in wanted for name in node.input}
    shared = {tensor.name: tensor for tensor in graph.initializer if tensor.name in others}
    copies = dict[str, Any]()
    for node in graph.node:
        for index, name in enumerate(node.input):
            if node.name in wanted and name in shared:
                copies[name] = onnx.TensorProto.FromString(shared[name].SerializeToString())
                node.input[index] = copies[name].name = f"{name}_own"
    graph.initializer.extend(copies.values())


def compute_in_half(model: Any, layers: Iterable[str]) -> None:
    """Let these layers, whose weights are constants, compute in fp16 between two casts; the rest stays as it is."""
    import numpy as np
    import onnx

    graph, wanted = model.graph, set(layers)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes, half = [], dict[str, Any]()
    for node in graph.node:
        if node.name not in wanted:
            nodes.append(node)
            continue
        for index, name in enumerate(node.input):
            if name in weights:
                values = onnx.numpy_helper.to_array(weights[name]).astype(np.float16)
                half[name] = onnx.numpy_helper.from_array(values, f"{name}_half")
                node.input[index] = f"{name}_half"
            elif name:
                node.input[index] = f"{node.name}_input_{index}_half"
                nodes.append(_cast(name, node.input[index], onnx.TensorProto.FLOAT16))
        result = node.output[0]
        node.output[0] = f"{result}_half"
        nodes += [node, _cast(node.output[0], result, onnx.TensorProto.FLOAT)]
    read = {name for node in nodes for name in node.input}
    initializers = [tensor for tensor in graph.initializer if tensor.name in read] + list(half.values())
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.initializer[:]
    graph.initializer.extend(initializers)


def _cast(source: str, target: str, dtype: int) -> Any:
    import onnx

    return onnx.helper.make_node("Cast", [source], [target], name=f"{target}_cast", to=dtype)
