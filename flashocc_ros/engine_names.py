"""Names of engines and precisions: what parameters, options, launch files and keys of caches are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

ENGINES: tuple[str, ...] = ("tensorrt", "openvino", "onnxruntime", "torch")
"""In the order ``auto`` tries them: the GPU, the fastest on a CPU, the fallback, the reference."""

EXPORT_ENGINES: tuple[str, ...] = ENGINES[:-1]
"""Those that run exported graphs; torch runs weights."""

AUTO = "auto"

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[str, ...] = get_args(Precision)


def one_of(names: Sequence[str]) -> str:
    """ "a, b or c", for help texts."""
    return f"{', '.join(names[:-1])} or {names[-1]}"


ENGINE_HELP = f"{one_of((AUTO, *ENGINES))}."
PRECISION_HELP = f"{one_of((AUTO, *PRECISIONS))}; auto is that of an export, else fp32."
