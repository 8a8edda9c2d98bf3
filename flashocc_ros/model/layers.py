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

"""Small building blocks whose child names follow the published checkpoints."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn


class ConvUnit(nn.Module):
    """Convolution, optional batch norm, optional ReLU; keys ``conv`` and ``bn``. Same size at stride 1."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        *,
        dims: int = 2,
        norm: bool = True,
        activation: bool = True,
    ) -> None:
        super().__init__()
        conv: Any = nn.Conv3d if dims == 3 else nn.Conv2d
        self.conv = conv(in_channels, out_channels, kernel, stride, kernel // 2, bias=not norm)
        if norm:
            self.bn = nn.BatchNorm3d(out_channels) if dims == 3 else nn.BatchNorm2d(out_channels)
        self.norm = norm
        self.relu = nn.ReLU(inplace=True) if activation else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.norm:
            x = self.bn(x)
        return x if self.relu is None else self.relu(x)


class BasicBlock(nn.Module):
    """Residual block of the BEV encoder and the depth network; the shortcut is a biased convolution without norm."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, shortcut_kernel: int | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = (
            None
            if shortcut_kernel is None
            else nn.Conv2d(in_channels, channels, shortcut_kernel, stride, shortcut_kernel // 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return cast(Tensor, self.relu(out + (x if self.downsample is None else self.downsample(x))))


def double_conv(in_channels: int, channels: int) -> nn.Sequential:
    """Two 3x3 convolutions with norm and ReLU, keys 0, 1, 3, 4."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def moved_bins(matrix: Tensor, probability: Tensor) -> Tensor:
    """(N, D, D) applied to the bins of (N, D, h, w)."""
    return torch.matmul(matrix, probability.flatten(2)).reshape(probability.shape)
