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

"""Necks that merge the stride-16 and stride-32 features into the one map that is lifted."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashocc_ros.model.layers import ConvUnit, double_conv


class TopDownNeck(nn.Module):
    """Feature pyramid with a single output at stride 16 (ResNet variants): no norm, no activation."""

    def __init__(self, in_channels: tuple[int, int], out_channels: int) -> None:
        super().__init__()
        plain = {"norm": False, "activation": False}
        self.lateral_convs = nn.ModuleList(ConvUnit(c, out_channels, 1, **plain) for c in in_channels)
        self.fpn_convs = nn.ModuleList([ConvUnit(out_channels, out_channels, 3, **plain)])

    def forward(self, middle: Tensor, coarse: Tensor) -> Tensor:
        lateral = self.lateral_convs[0](middle)
        top = F.interpolate(self.lateral_convs[1](coarse), size=lateral.shape[-2:], mode="nearest")
        return cast(Tensor, self.fpn_convs[0](lateral + top))


class ConcatNeck(nn.Module):
    """Upsample, concatenate, two convolutions (Swin variants)."""

    def __init__(self, in_channels: tuple[int, int], out_channels: int) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.conv = double_conv(sum(in_channels), out_channels)

    def forward(self, middle: Tensor, coarse: Tensor) -> Tensor:
        return cast(Tensor, self.conv(torch.cat([middle, self.up(coarse)], dim=1)))
