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

"""Stateless PyTorch networks; ``build_model`` is the only entry, ``VARIANTS`` the table of what can be built."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from flashocc_ros.variants import VARIANTS, Variant, get_variant

if TYPE_CHECKING:
    from flashocc_ros.geometry import Geometry
    from flashocc_ros.model.build import build_model
    from flashocc_ros.model.checkpoint import load_checkpoint
    from flashocc_ros.model.outputs import HeadTensors, ModelOutput

__all__ = [
    "VARIANTS",
    "Geometry",
    "HeadTensors",
    "ModelOutput",
    "Variant",
    "build_model",
    "get_variant",
    "load_checkpoint",
]

# torch takes seconds to import: only what needs it loads it.
_LAZY = {
    "Geometry": "flashocc_ros.geometry",
    "HeadTensors": "flashocc_ros.model.outputs",
    "ModelOutput": "flashocc_ros.model.outputs",
    "build_model": "flashocc_ros.model.build",
    "load_checkpoint": "flashocc_ros.model.checkpoint",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
