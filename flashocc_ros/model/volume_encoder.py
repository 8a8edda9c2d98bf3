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

"""Encoder of volumes that keep their height axis, tensors (B, C, Dz, Dy, Dx); the 3D baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from flashocc_ros.model.layers import ConvUnit


class VolumeBlock(nn.Module):
    """Residual block of two 3x3x3 convolutions."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, *, shortcut: bool = False) -> None:
        super().__init__()
        self.conv1 = ConvUnit(in_channels, channels, 3, stride, dims=3)
        self.conv2 = ConvUnit(channels, channels, 3, dims=3, activation=False)
        self.downsample = ConvUnit(in_channels, channels, 3, stride, dims=3, activation=False) if shortcut else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.conv1(x))
        return cast(Tensor, self.relu(out + (x if self.downsample is None else self.downsample(x))))


class VolumeResNet(nn.Module):
    """Stages of volumetric residual blocks."""

    def __init__(
        self, in_channels: int, channels: Sequence[int], blocks: Sequence[int], strides: Sequence[int]
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for width, depth, stride in zip(channels, blocks, strides, strict=True):
            stage = [VolumeBlock(in_channels, width, stride, shortcut=True)]
            stage += [VolumeBlock(width, width) for _ in range(depth - 1)]
            self.layers.append(nn.Sequential(*stage))
            in_channels = width

    def forward(self, x: Tensor) -> list[Tensor]:
        volumes = []
        for stage in self.layers:
            x = stage(x)
            volumes.append(x)
        return volumes


class VolumeNeck(nn.Module):
    """All three stages at full resolution, merged by one 1x1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up1 = nn.Upsample(scale_factor=2, mode="trilinear", align_corners=True)
        self.up2 = nn.Upsample(scale_factor=4, mode="trilinear", align_corners=True)
        self.conv = ConvUnit(in_channels, out_channels, 1, dims=3)

    def forward(self, volumes: Sequence[Tensor]) -> Tensor:
        fine, middle, coarse = volumes
        return cast(Tensor, self.conv(torch.cat([fine, self.up1(middle), self.up2(coarse)], dim=1)))
