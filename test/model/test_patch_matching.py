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

"""Patches of pixels find the depth at which the previous picture shows the same."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from flashocc_ros.model.cost_volume import CostVolume, _sampled_cost
from flashocc_ros.model.outputs import StereoContext
from flashocc_ros.model.patch_matching import NORM, PatchMatching

DEPTHS, CHANNELS, SIZE, CELLS = 6, 4, (64, 96), (16, 24)


@pytest.fixture
def matching() -> PatchMatching:
    module = PatchMatching(DEPTHS, CHANNELS)
    module.initialise()
    return module.eval()


def _texture(width: int = SIZE[1]) -> Tensor:
    """(1, 3, H, width) grey noise with detail of a few pixels."""
    noise = torch.randn(1, 1, SIZE[0], width, generator=torch.Generator().manual_seed(0))
    smooth = F.avg_pool2d(F.pad(noise, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    return smooth.expand(-1, 3, -1, -1) * 2


def _grid(shifts_px: list[float]) -> Tensor:
    """(1, D, h, w, 2): at depth i, a cell lies ``shifts_px[i]`` pixels further to the right in the previous picture."""
    rows, columns = torch.linspace(-1, 1, CELLS[0]), torch.linspace(-1, 1, CELLS[1])
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([torch.stack([x + shift * 2 / (SIZE[1] - 1), y], -1) for shift in shifts_px])[None]


def _joined(module: PatchMatching, now: Tensor, before: Tensor, shifts_px: list[float], logits: Tensor) -> Tensor:
    """Logits where the gate knows nothing of the picture."""
    context = StereoContext(module.describe(before), _grid(shifts_px))
    hidden = torch.zeros(1, CHANNELS, *CELLS)
    with torch.no_grad():
        return module(logits, hidden, module.describe(now), context, torch.eye(DEPTHS)[None])


@pytest.mark.parametrize("true_depth", [1, 4])
def test_a_shift_of_less_than_a_cell_tells_the_depth(matching: PatchMatching, true_depth: int) -> None:
    shifts = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    wide = _texture(SIZE[1] + 10)
    now, before = wide[..., 5:-5], wide[..., 5 - true_depth : -5 - true_depth]
    found = _joined(matching, now, before, shifts, torch.zeros(1, DEPTHS, *CELLS)).argmax(1)
    assert (found[:, 2:-2, 3:-3] == true_depth).float().mean() > 0.95


def test_a_vehicle_that_stands_learns_nothing_from_matching(matching: PatchMatching) -> None:
    logits = torch.randn(1, DEPTHS, *CELLS, generator=torch.Generator().manual_seed(1))
    joined = _joined(matching, _texture(), _texture(), [0.0] * DEPTHS, logits)
    torch.testing.assert_close(joined, logits, rtol=0, atol=1e-4)


def test_a_bare_wall_learns_nothing_from_matching(matching: PatchMatching) -> None:
    wall = torch.full((1, 3, *SIZE), 0.7)
    logits = torch.randn(1, DEPTHS, *CELLS, generator=torch.Generator().manual_seed(1))
    joined = _joined(matching, wall, wall, [-4.0, -2.0, 0.0, 2.0, 4.0, 6.0], logits)
    inner = (..., slice(4, -4), slice(5, -6))
    torch.testing.assert_close(joined[inner], logits[inner], rtol=0, atol=1e-3)


def test_what_lies_outside_the_previous_picture_is_less_probable_than_a_match(matching: PatchMatching) -> None:
    shifts = [0.0, 500.0, 500.0, 500.0, 500.0, 500.0]
    joined = _joined(matching, _texture(), _texture(), shifts, torch.zeros(1, DEPTHS, *CELLS))
    assert (joined.argmax(1) == 0)[:, 2:-2, 2:-2].float().mean() > 0.95


def test_descriptions_do_not_depend_on_brightness_and_little_on_contrast(matching: PatchMatching) -> None:
    picture = _texture()
    inner = (..., slice(4, -4), slice(4, -4))
    with torch.no_grad():
        plain, changed = matching.describe(picture)[inner], matching.describe(1.3 * picture + 0.4)[inner]
    assert plain.norm(dim=1).max() <= NORM
    assert (plain - changed).norm(dim=1).mean() < 0.1 * plain.norm(dim=1).mean()


def test_the_cost_of_a_finer_previous_picture_is_the_sampled_one_in_value_and_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    now = torch.randn(2, 16, 8, 12, generator=generator).requires_grad_()
    before = torch.randn(2, 16, 30, 44, generator=generator).requires_grad_()
    grid = torch.rand(2, 5, 8, 12, 2, generator=generator) * 2.6 - 1.3
    weights = torch.randn(2, 5, 8, 12, generator=generator)
    fused = CostVolume(gradient=True, outside_penalty=0.0)(now, before, grid)
    sampled = _sampled_cost(now, before, grid, 0.0).neg().softmax(1)
    torch.testing.assert_close(fused, sampled, rtol=1e-4, atol=1e-5)
    ours = torch.autograd.grad((fused * weights).sum(), (now, before))
    theirs = torch.autograd.grad((sampled * weights).sum(), (now, before))
    for own, expected in zip(ours, theirs, strict=True):
        assert expected.abs().max() > 0.05
        torch.testing.assert_close(own, expected, rtol=1e-3, atol=1e-4)
