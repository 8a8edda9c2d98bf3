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
