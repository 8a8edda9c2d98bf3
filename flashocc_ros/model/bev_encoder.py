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

"""Encoder of bird's-eye maps: a small residual network and the neck that brings it back to full size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from flashocc_ros.model.layers import BasicBlock, double_conv


class BevResNet(nn.Module):
    """Stages of residual blocks; the first block of each has a 3x3 shortcut."""

    def __init__(
        self, in_channels: int, channels: Sequence[int], blocks: Sequence[int], strides: Sequence[int]
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for width, depth, stride in zip(channels, blocks, strides, strict=True):
            stage = [BasicBlock(in_channels, width, stride, shortcut_kernel=3)]
            stage += [BasicBlock(width, width) for _ in range(depth - 1)]
            self.layers.append(nn.Sequential(*stage))
            in_channels = width

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, Dy, Dx) to one map per stage."""
        maps = []
        for stage in self.layers:
            x = stage(x)
            maps.append(x)
        return maps


class BevNeck(nn.Module):
    """First and last stage merged at half size, then upsampled to full size; the middle stage is not used."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        wide = 2 * out_channels
        self.up = nn.Upsample(scale_factor=4, mode="bilinear", align_corners=True)
        self.conv = double_conv(in_channels, wide)
        self.up2 = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            nn.Conv2d(wide, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 1),
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        merged = self.conv(torch.cat([maps[0], self.up(maps[-1])], dim=1))
        return cast(Tensor, self.up2(merged))
