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

"""The GPU pooling kernel: its arithmetic in the interpreter, its machine code for every GPU generation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flashocc_ros.checks.gpu.ahead import GENERATIONS, compiled

pytest.importorskip("triton")

INTERPRETED = """
import numpy as np, torch
from flashocc_ros.engine.poolers import torch_pooler
from flashocc_ros.engine.tensorrt import device_table, triton_pooler
from flashocc_ros.geometry.lift import LiftTable

rng = np.random.default_rng(0)
counts = np.r_[1, 240, 1, 17, rng.integers(1, 6, 196)]
shape = (2, 8, 6, 10)
slices = {slices}
cells = np.sort(rng.choice(slices * 400, counts.size, replace=False)).astype(np.int32)
start = np.r_[0, np.cumsum(counts)].astype(np.int32)
points = rng.integers(0, np.prod(shape), start[-1]).astype(np.int32)
table = LiftTable(points, cells, start, (slices, 20, 20), shape)
depth = torch.rand(shape)
context = torch.randn(2, 20, 6, 10)
for volumetric in (False, True):
    expected = torch_pooler.pool_index_add(depth, context, torch_pooler.to_device(table), volumetric=volumetric)
    result = triton_pooler.pool(depth, context, device_table.to_device(table, "cpu"), volumetric=volumetric)
    assert result.shape == expected.shape
    assert (result - expected).abs().max() < 1e-5, (result - expected).abs().max()
print("equal")
"""


@pytest.mark.parametrize("slices", [1, 4])
def test_sums_equal_index_add(slices: int) -> None:
    # The interpreter is chosen when triton is imported, so it needs a process of its own.
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    code = INTERPRETED.replace("{slices}", str(slices))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "equal", done.stderr[-2000:]


@pytest.mark.parametrize("capability", GENERATIONS)
def test_the_kernel_compiles_for_every_gpu_without_one(
    capability: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    assert compiled(capability)[:4] == b"\x7fELF"
