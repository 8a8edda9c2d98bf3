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

"""What a training process knows about its machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from flashocc_ros.training.processes import emulates_bf16


@pytest.mark.parametrize(
    ("cpuinfo", "emulated"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 fma\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16\n", False),
        # Another architecture lists no flags; nothing is known of it.
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", False),
    ],
)
def test_a_cpu_without_instructions_for_bf16_is_recognised(cpuinfo: str, emulated: bool, tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(cpuinfo)
    assert emulates_bf16(torch.device("cpu"), path) is emulated
    assert not emulates_bf16(torch.device("cuda"), path)
