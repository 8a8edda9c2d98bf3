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

"""Networks that come with the package, trained on the synthetic world: weights, and the same exported to ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

SYNTHETIC = "synthetic"
"""What all of them were trained on, see their card, README.md."""
UNTRAINED_NOTE = "untrained weights: the prediction means nothing"
SYNTHETIC_NOTE = "weights of the synthetic world: on real pictures the prediction means nothing"

HELD_OUT: Mapping[str, Mapping[str, Any]] = {
    "synthetic-tiny": {
        "frames": 80,
        "mIoU": 0.469,
        "mIoU_of_drives": (0.36, 0.53),
        "RayIoU": 0.550,
        "above_ground": 0.374,
    },
    "synthetic-tiny-4d": {
        "frames": 80,
        "mIoU": 0.500,
        "mIoU_of_drives": (0.39, 0.55),
        "RayIoU": 0.581,
        "above_ground": 0.481,
    },
}
"""What `flashocc eval` finds on ten drives nobody trained on, 80 frames, seeds 1000:1010; the README says the same."""

_FOLDER = Path(__file__).resolve().parent


def path(name: str) -> Path | None:
    """File with the shipped weights of variant ``name`` (safetensors), None when none are shipped for it."""
    file = _FOLDER / f"{name}.safetensors"
    return file if file.is_file() else None


def note(trained_on: str | None, drawn: bool = False) -> str:
    """The warning that belongs to a prediction; empty for none.

    Args:
        trained_on: see `engine.select.trained_on`.
        drawn: its pictures are of the synthetic world.
    """
    if trained_on is None:
        return UNTRAINED_NOTE
    return SYNTHETIC_NOTE if trained_on == SYNTHETIC and not drawn else ""


def note_of(facts: Mapping[str, str], drawn: bool = False) -> str:
    """`note` of what a node told in its diagnostics (`ros.diagnostics.NETWORK`)."""
    return note(None if facts.get("trained") == "false" else facts.get("trained_on", ""), drawn)


def export_dir(name: str) -> Path | None:
    """Folder with the shipped fp32 export of variant ``name``, None when none is shipped for it."""
    folder = _FOLDER / name
    return folder if (folder / "meta.json").is_file() else None
