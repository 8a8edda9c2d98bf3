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
