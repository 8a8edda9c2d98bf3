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

"""Stereo of the synthetic variants: patches of pixels are matched with the frame before, as far as a gate trusts it.

A feature of stride 4 does not follow the picture in steps of less than four pixels, and 20 m away a pixel is what
tells one voxel from the next. Patches are therefore described at every pixel: sixteen numbers, whose differences do
not depend on brightness and little on contrast.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashocc_ros.geometry.stereo import STEREO_STRIDE
from flashocc_ros.model.cost_volume import CostVolume
from flashocc_ros.model.layers import moved_bins
from flashocc_ros.model.outputs import StereoContext
from flashocc_ros.variants.variant import PATCH_CHANNELS

PATCH = 7
"""Pixels across a patch."""
NORM = 4.0
"""Length of the description of a patch of high contrast: how fast a difference becomes improbable."""
NOISE = 0.13
"""Squared contrast of a patch, in normalised pixels, at which its description has 0.7 of that length: about that of
noise of three grey levels."""
LEAST_MATCH = 1e-4
"""Added to matching probabilities before their logarithm: what does not match at all rules nothing out."""
WINDOW = 5
"""Cells over which matching is averaged before training: smaller is noisier, larger blurs edges."""
_GATE_CHANNELS = 32


class PatchMatching(nn.Module):
    """Log-probabilities of matching the previous frame, added to the logits of depth as far as a gate trusts them.

    The gate sees the picture and how well and how clearly both agree: things that move match at wrong depths, bare
    walls anywhere.

    Args:
        depths: number of depth bins.
        channels: of the hidden map of the depth network.
    """

    def __init__(self, depths: int, channels: int) -> None:
        super().__init__()
        self.filters = nn.Conv2d(3, PATCH_CHANNELS, PATCH, padding=PATCH // 2, bias=False)
        self.cost_volume = CostVolume(gradient=True, outside_penalty=0.0)
        self.smooth = nn.Conv2d(depths, depths, WINDOW, padding=WINDOW // 2, groups=depths, bias=False)
        self.matched = nn.Conv2d(depths, depths, 1)
        self.trust = nn.Sequential(
            nn.Conv2d(channels + 4, _GATE_CHANNELS, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(_GATE_CHANNELS, 1, 1),
        )

    def describe(self, images: Tensor) -> Tensor:
        """Normalised pictures (N, 3, H, W) to the description of the patch around every pixel (N, 16, H, W)."""
        contrast = self.filters(images)
        return contrast * (NORM * torch.rsqrt(contrast.square().sum(1, keepdim=True) + NOISE))

    def forward(self, logits: Tensor, hidden: Tensor, now: Tensor, previous: StereoContext, shift: Tensor) -> Tensor:
        """Logits of both together.

        Args:
            logits: (N, D, h, w) of the picture alone, at canonical depths.
            hidden: (N, C, h, w) what they were read from.
            now: (N, 16, H, W) descriptions of this frame.
            previous: descriptions of the frame before and where to find each cell at each depth of the camera.
            shift: (N, D, D) depths of the camera from canonical depths.
        """
        # Cells span the picture corner to corner.
        cells = F.interpolate(now, scale_factor=1 / STEREO_STRIDE, mode="bilinear", align_corners=True)
        probability = self.cost_volume(cells, previous.feature, previous.grid)
        matching = self.smooth(torch.log(moved_bins(shift.transpose(1, 2), probability) + LEAST_MATCH))
        matching = matching - matching.mean(1, keepdim=True)
        own, match = logits.log_softmax(1), matching.log_softmax(1)
        agreement = (own.exp() * matching).sum(1, keepdim=True)
        clarity = [(p.exp() * p).sum(1, keepdim=True) for p in (own, match)]
        seen = torch.cat([hidden, agreement, matching.amax(1, keepdim=True), *clarity], dim=1)
        return logits + self.trust(seen).sigmoid() * self.matched(matching)

    @torch.no_grad()
    def initialise(self) -> None:
        """Start with cosines as filters and the product of both probabilities, the window's average of matching."""
        self.filters.weight.copy_(_cosines(PATCH, PATCH_CHANNELS)[:, None].expand_as(self.filters.weight) / 3)
        self.smooth.weight.fill_(1.0 / WINDOW**2)
        for parameter in (*self.matched.parameters(), *self.trust[2].parameters()):
            parameter.zero_()
        # The gate starts at one half.
        self.matched.weight.diagonal().fill_(2.0)


def _cosines(size: int, count: int) -> Tensor:
    """(count, size, size): the cosines of lowest frequency without the constant, each of length one."""
    position = (torch.arange(size) + 0.5) * (math.pi / size)
    waves = torch.cos(torch.arange(size)[:, None] * position)
    waves = waves / waves.norm(dim=1, keepdim=True)
    pairs = sorted(((u, v) for u in range(size) for v in range(size)), key=lambda p: (p[0] ** 2 + p[1] ** 2, p))
    return torch.stack([torch.outer(waves[u], waves[v]) for u, v in pairs[1 : count + 1]])
