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

"""Depth supervision of the lift: binary cross entropy per depth bin, linear or log-spaced bins (BEVDepth)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

if TYPE_CHECKING:
    from flashocc_ros.variants import DepthBins


def nearest_depth(depth_m: Tensor, downsample: int = 16) -> Tensor:
    """Smallest non-zero depth per cell: (N, H, W) metres, 0 = none -> (N, H/downsample, W/downsample), 0 = none."""
    n, height, width = depth_m.shape
    cells = depth_m.reshape(n, height // downsample, downsample, width // downsample, downsample)
    cells = torch.where(cells == 0, torch.full_like(cells, 1e5), cells)
    nearest = cells.amin(dim=(2, 4))
    return torch.where(nearest >= 1e5, torch.zeros_like(nearest), nearest)


def depth_target_bins(depth_m: Tensor, bins: DepthBins, downsample: int = 16) -> Tensor:
    """Bin number per feature cell: 1..D, or 0 where no lidar point lies inside the depth range.

    Args:
        depth_m: (N, H, W) float metres at network resolution, 0 = no measurement.
        bins: depth bins of the variant; log-spaced where ``bins.sid``.
        downsample: pixels per feature cell.

    Returns:
        (N, H/downsample, W/downsample) int64.
    """
    depth = nearest_depth(depth_m, downsample)
    if bins.sid:
        scale = (bins.count - 1) / math.log((bins.stop_m - 1.0) / bins.start_m)
        position = torch.log(depth / bins.start_m) * scale + 1.0
    else:
        position = (depth - (bins.start_m - bins.step_m)) / bins.step_m
    inside = (position >= 0.0) & (position < bins.count + 1)
    return torch.where(inside, position, torch.zeros_like(position)).long()


def depth_bce(probability: Tensor, depth_m: Tensor, bins: DepthBins, weight: float = 1.0) -> Tensor:
    """Binary cross entropy of depth probabilities, summed over bins, averaged over cells that have a depth.

    Args:
        probability: (N, D, fH, fW) softmax over D.
        depth_m: (N, H, W) metres at network resolution, 0 = none; H = fH * downsample.
        bins: depth bins of the variant.
        weight: 1 for the panoptic depth variants, 0.05 for the stereo ones.
    """
    target = depth_target_bins(depth_m, bins, depth_m.shape[-1] // probability.shape[-1])
    labelled = target > 0
    one_hot = torch.nn.functional.one_hot(target[labelled] - 1, bins.count).to(probability.dtype)
    chosen = probability.permute(0, 2, 3, 1)[labelled]
    return weight * binary_cross_entropy(chosen, one_hot, reduction="sum") / max(1.0, float(labelled.sum()))
