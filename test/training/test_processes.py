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
