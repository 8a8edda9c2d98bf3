"""Weights move between networks and files without losing anything."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from flashocc_ros.errors import CheckpointError
from flashocc_ros.model import build_model
from flashocc_ros.training.checkpoint import export_weights, widened


def test_a_widened_network_starts_as_the_narrow_one() -> None:
    narrow, wide = build_model("synthetic-tiny"), build_model("synthetic-tiny-4d")
    wide.load_state_dict(widened(narrow.state_dict(), wide.state_dict()))
    one = narrow.variant.cached_channels
    maps = torch.randn(1, 2 * one, 200, 200, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits, expected = wide.bev_head(maps).occ_logits, narrow.bev_head(maps[:, :one]).occ_logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_layers_that_only_the_wide_network_has_stay_as_they_are() -> None:
    narrow, wide = build_model("synthetic-tiny").state_dict(), build_model("synthetic-tiny-4d", seed=1).state_dict()
    name = "img_view_transformer.depth_net.stereo.smooth.weight"
    assert name not in narrow
    torch.testing.assert_close(widened(narrow, wide)[name], wide[name])


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(CheckpointError, match="needs"):
        widened({"a": torch.zeros(2, 3)}, {"a": torch.zeros(3, 3)})


def test_exported_weights_are_half_precision_and_keep_counters(tmp_path: Path) -> None:
    values = {"w": torch.tensor([1.0, 0.5]), "n": torch.tensor(3)}
    export_weights(tmp_path / "w.safetensors", values, {"variant": "x"})
    stored = load_file(tmp_path / "w.safetensors")
    assert stored["w"].dtype == torch.float16
    assert stored["n"].dtype == torch.int64
    assert stored["w"].tolist() == [1.0, 0.5]
