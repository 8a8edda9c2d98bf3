"""The BEV encoder fed map by map: equal to all maps side by side."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashocc_ros.engine.rewrite.framewise import FramewiseBevResNet, warped
from flashocc_ros.geometry import bev_warp_grid
from flashocc_ros.model.bev_encoder import BevResNet

PAST = 3


def moved(x_m: float, y_m: float, yaw: float) -> npt.NDArray[np.float32]:
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:2, 3] = x_m, y_m
    return bev_warp_grid(pose)


def sampled(source: Tensor, grid: npt.NDArray[np.float32]) -> Tensor:
    return F.grid_sample(source, torch.from_numpy(grid)[None], align_corners=True)


@pytest.mark.parametrize("grid", [moved(0, 0, 0), moved(-7.3, 2.1, 0.4), moved(500, 0, 0), moved(39.9, 39.9, 3.1)])
def test_a_warped_map_equals_grid_sample(grid: npt.NDArray[np.float32]) -> None:
    source = torch.randn(1, 5, 200, 200, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(warped(source, grid), sampled(source, grid), rtol=0, atol=1e-5)


def test_numbers_that_are_not_finite_lie_outside() -> None:
    grid = np.full((200, 200, 2), np.nan, np.float32)
    assert not warped(torch.ones(1, 2, 200, 200), grid).any()


@pytest.mark.parametrize("oldest_first", [False, True])
def test_map_by_map_equals_side_by_side(oldest_first: bool) -> None:
    torch.manual_seed(0)
    encoder = BevResNet((1 + PAST) * 6, (8, 12, 16), (2, 2, 2), (2, 2, 2)).eval()
    for block in cast(nn.Sequential, encoder.layers[0]):
        for number in (1, 2):
            conv = getattr(block, f"conv{number}")
            conv.bias = nn.Parameter(torch.randn(conv.out_channels))
            setattr(block, f"bn{number}", nn.Identity())
    key, *past = torch.randn(1 + PAST, 1, 6, 200, 200)
    grids = np.stack([moved(-2.0 * age, 0.3, 0.05 * age) for age in range(1, 1 + PAST)])
    aligned = [key, *(sampled(old, grid) for old, grid in zip(past, grids, strict=True))]
    framewise = FramewiseBevResNet(encoder, 1 + PAST, oldest_first=oldest_first)
    with torch.inference_mode():
        expected = encoder(torch.cat(aligned[::-1] if oldest_first else aligned, dim=1))
        got = framewise(key, past, grids)
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
