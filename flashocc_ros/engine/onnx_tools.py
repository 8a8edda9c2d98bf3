"""Small edits of ONNX graphs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def drop_outputs(model: Any, names: Iterable[str]) -> None:
    """Take tensors off the list of outputs; they keep their names inside the graph."""
    kept = [output for output in model.graph.output if output.name not in set(names)]
    del model.graph.output[:]
    model.graph.output.extend(kept)


def add_output(model: Any, name: str) -> None:
    """Make an inner tensor an output as well."""
    import onnx

    model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))


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
