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
