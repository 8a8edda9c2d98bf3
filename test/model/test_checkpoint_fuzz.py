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

"""Weights files as anybody may have written them: taken, or refused by a `CheckpointError`."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile import VALUES, damaged, takes
from safetensors.torch import save

from flashocc_ros.errors import CheckpointError
from flashocc_ros.model import load_checkpoint
from flashocc_ros.model.weights_file import read_weights

TENSORS = {"img_backbone.conv1.weight": torch.ones(2, 3), "img_backbone.bn1.running_var": torch.ones(4)}
ODD_TENSORS = (
    *(torch.zeros(0), torch.ones(3, dtype=torch.int64), torch.ones(3, dtype=torch.complex64), torch.ones(2).bool()),
    *(torch.eye(3).to_sparse(), torch.empty(2, device="meta"), torch.ones(1).expand(1_000_000), torch.tensor(1.0)),
    *(torch.full((2,), float("nan"))),
)


def _pth(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


FILES = {
    "zip": _pth({"state_dict": TENSORS, "meta": {"epoch": 3}}),
    "legacy": _pth({"state_dict": TENSORS}, _use_new_zipfile_serialization=False),
    "safetensors": save(TENSORS, {"epoch": "3"}),
}


@pytest.mark.parametrize("kind", FILES)
def test_damaged_bytes_are_taken_or_refused(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(FILES[kind])
    assert takes(lambda: read_weights(file))
    for data in damaged(FILES[kind], 300):
        file.write_bytes(data)
        takes(lambda: read_weights(file), CheckpointError)


def test_spoiled_structures_are_taken_or_refused(tmp_path: Path) -> None:
    rng, file = random.Random(5), tmp_path / "weights.pth"
    values = (*VALUES, *ODD_TENSORS, np.zeros(3), np.float64(1), b"x", (1, 2))
    for number in range(40):
        tensors = dict(TENSORS)
        for _ in range(rng.randrange(1, 4)):
            key = rng.choice([*TENSORS, "x", "", "module.x", "state_dict", "a" * 10_000, "img_backbone.conv1", 7])
            tensors[key] = rng.choice(values)
        content = rng.choice([tensors, {"state_dict": tensors}, {"model": tensors, "state_dict": rng.choice(values)}])
        file.write_bytes(_pth(content))
        takes(lambda: read_weights(file), CheckpointError)
        assert number % 20 or not takes(lambda: load_checkpoint(file, "synthetic-tiny"), CheckpointError)
