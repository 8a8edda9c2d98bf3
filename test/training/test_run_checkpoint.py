"""Weights move between networks and files without losing anything."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from flashocc_ros.training.checkpoint import export_weights


def test_exported_weights_are_half_precision_and_keep_counters(tmp_path: Path) -> None:
    values = {"w": torch.tensor([1.0, 0.5]), "n": torch.tensor(3)}
    export_weights(tmp_path / "w.safetensors", values, {"variant": "x"})
    stored = load_file(tmp_path / "w.safetensors")
    assert stored["w"].dtype == torch.float16
    assert stored["n"].dtype == torch.int64
    assert stored["w"].tolist() == [1.0, 0.5]
