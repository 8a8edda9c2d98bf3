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

"""Losses equal the reference's numbers and have correct gradients."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from flashocc_ros.structures import VoxelGrid
from flashocc_ros.training import losses
from flashocc_ros.variants import DepthBins

REL = 1e-5


@pytest.fixture
def cases(shared_dir: Path, spec_module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(shared_dir / "spec"))
    return spec_module("loss_cases")


@pytest.fixture
def expected(shared_dir: Path) -> Any:
    return json.loads((shared_dir / "spec" / "losses_example.json").read_text())


def test_masked_cross_entropy_equals_reference(cases: ModuleType, expected: Any) -> None:
    logits, truth, mask = (torch.from_numpy(a) for a in cases.occ_inputs())
    value = losses.masked_cross_entropy(logits, truth, mask)
    assert float(value) == pytest.approx(expected["ce_masked_head"]["loss_occ"], rel=REL)


def test_volume_losses_equal_reference(cases: ModuleType, expected: Any) -> None:
    logits, truth, _ = (torch.from_numpy(a) for a in cases.occ_inputs())
    values = {
        "loss_occ": losses.focal_occupancy(logits, truth, losses.class_frequency_weights()),
        "loss_voxel_sem_scal": losses.semantic_scaling(logits, truth),
        "loss_voxel_geo_scal": losses.geometric_scaling(logits, truth),
        "loss_voxel_lovasz": losses.lovasz_softmax(logits, truth),
    }
    for name, value in values.items():
        assert float(value) == pytest.approx(expected["v2_head"][name], rel=REL), name


@pytest.mark.parametrize(
    ("sid", "weight", "key", "cells"),
    [
        (False, 1.0, "depth_bce_D88_weight1", "depth_labelled_cells"),
        (True, 0.05, "depth_bce_sid_D88_weight0.05", "depth_sid_labelled_cells"),
    ],
)
def test_depth_loss_equals_reference(
    cases: ModuleType, expected: Any, sid: bool, weight: float, key: str, cells: str
) -> None:
    depth, probability = (torch.from_numpy(a) for a in cases.depth_inputs())
    bins = DepthBins(1.0, 45.0, 0.5, sid)
    target = losses.depth_target_bins(depth[0], bins)
    assert int((target > 0).sum()) == expected[cells]
    if not sid:
        histogram = torch.bincount(target.reshape(-1), minlength=89)[1:11]
        assert histogram.tolist() == expected["depth_bin_hist_first10"]
    assert float(losses.depth_bce(probability, depth[0], bins, weight)) == pytest.approx(expected[key], rel=REL)


def test_center_targets_and_losses_equal_reference(cases: ModuleType, expected: Any) -> None:
    heads, boxes, labels = cases.center_inputs()
    targets = losses.center_targets(boxes, labels)
    wanted = expected["center_targets"]
    assert float(targets.heatmap.sum()) == pytest.approx(wanted["heatmap_sum"], rel=REL)
    assert int((targets.heatmap == 1).sum()) == wanted["heatmap_ones"]
    assert int(targets.valid.sum()) == wanted["valid"]
    assert float(targets.boxes.abs().sum()) == pytest.approx(wanted["anno_abs_sum"], rel=REL)
    values = losses.center_losses({k: torch.from_numpy(v) for k, v in heads.items()}, [targets])
    for name, value in values.items():
        assert float(value) == pytest.approx(expected["center_head"][f"task0.loss_{name}"], rel=REL, abs=1e-7), name


def _volume(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, 3, 4, 2, 18, generator=generator, dtype=torch.float64, requires_grad=True)
    truth = torch.randint(0, 18, (1, 3, 4, 2), generator=generator)
    truth[0, 0, 0, 0] = 255
    return logits, truth


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, t: losses.masked_cross_entropy(x, t, torch.arange(24).reshape(t.shape) % 3 > 0),
        lambda x, t: losses.focal_occupancy(x, t, losses.class_frequency_weights().double()),
        losses.semantic_scaling,
        losses.geometric_scaling,
        losses.lovasz_softmax,
    ],
    ids=["cross_entropy", "focal", "semantic_scaling", "geometric_scaling", "lovasz"],
)
def test_volume_gradients_equal_float64_differences(loss: Callable[..., torch.Tensor]) -> None:
    logits, truth = _volume()
    assert torch.autograd.gradcheck(lambda x: loss(x, truth), (logits,), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("sid", [False, True])
def test_depth_gradients_equal_float64_differences(sid: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    bins = DepthBins(1.0, 5.0, 0.5, sid)
    logits = torch.randn(1, bins.count, 2, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    depth = torch.rand(1, 32, 32, generator=generator) * 5
    assert torch.autograd.gradcheck(
        lambda x: losses.depth_bce(x.softmax(1), depth, bins), (logits,), eps=1e-6, atol=1e-6
    )


def test_center_gradients_equal_float64_differences() -> None:
    from flashocc_ros.training.losses import centers

    boxes = np.array(
        [[0.3, -0.5, 0.4, 1.0, 0.6, 1.2, 0.3, 0, 0], [-0.7, 0.9, 0.2, 0.5, 0.5, 1.0, 1.3, 1, 0]], np.float32
    )
    targets = centers.center_targets(boxes, np.array([0, 8]), VoxelGrid(0.4, (-1.2, -1.2, -1.0), (6, 6, 16)))
    generator = torch.Generator().manual_seed(2)
    maps = {
        name: torch.randn(1, channels, 6, 6, generator=generator, dtype=torch.float64, requires_grad=True)
        for name, channels in (("heatmap", 10), ("reg", 2), ("height", 1))
    }

    def total(*values: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(centers.center_losses(dict(zip(maps, values, strict=True)), [targets]).values())).sum()

    assert torch.autograd.gradcheck(total, tuple(maps.values()), eps=1e-6, atol=1e-5)


def test_objects_outside_the_map_are_skipped() -> None:
    boxes = np.array([[41.0, 0, 0, 4, 2, 1.5, 0, 0, 0], [0, -40.5, 0, 4, 2, 1.5, 0, 0, 0]], np.float32)
    targets = losses.center_targets(boxes, np.array([0, 1]))
    assert not targets.valid.any()
    assert float(targets.heatmap.sum()) == 0


def test_ignored_voxels_do_not_change_the_volume_losses() -> None:
    logits, truth = _volume(3)
    changed = logits.detach().clone()
    changed[0, 0, 0, 0] += 5.0
    for loss in (losses.semantic_scaling, losses.geometric_scaling, losses.lovasz_softmax):
        torch.testing.assert_close(loss(logits, truth), loss(changed, truth))
