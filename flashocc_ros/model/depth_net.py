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

"""Camera-aware depth network (BEVDepth): the 27 camera numbers gate the features, stereo adds a cost volume."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from flashocc_ros.geometry.camera_params import NUM_CAMERA_PARAMS
from flashocc_ros.model.cost_volume import CostVolume
from flashocc_ros.model.layers import BasicBlock
from flashocc_ros.model.outputs import StereoContext

ASPP_CHANNELS = 96


class Mlp(nn.Module):
    """Two linear layers on the camera numbers."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_channels, channels)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.fc2(self.act(self.fc1(x))))


class CameraGate(nn.Module):
    """Scales every channel by a sigmoid of the embedded camera numbers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, channels, 1)
        self.act1 = nn.ReLU(inplace=True)
        self.conv_expand = nn.Conv2d(channels, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return x * self.gate(self.conv_expand(self.act1(self.conv_reduce(embedding))))


class AsppBranch(nn.Module):
    """One dilated convolution with norm and ReLU."""

    def __init__(self, in_channels: int, channels: int, dilation: int) -> None:
        super().__init__()
        kernel, padding = (1, 0) if dilation == 1 else (3, dilation)
        self.atrous_conv = nn.Conv2d(in_channels, channels, kernel, padding=padding, dilation=dilation, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.relu(self.bn(self.atrous_conv(x))))


class Aspp(nn.Module):
    """Atrous spatial pyramid: dilations 1, 6, 12, 18 and the global average."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.aspp1 = AsppBranch(in_channels, channels, 1)
        self.aspp2 = AsppBranch(in_channels, channels, 6)
        self.aspp3 = AsppBranch(in_channels, channels, 12)
        self.aspp4 = AsppBranch(in_channels, channels, 18)
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(in_channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.conv1 = nn.Conv2d(5 * channels, in_channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        # A 1x1 map upsampled bilinearly is constant: expanding it gives the same numbers.
        average = self.global_avg_pool(x).expand(-1, -1, *x.shape[-2:])
        branches = [self.aspp1(x), self.aspp2(x), self.aspp3(x), self.aspp4(x), average]
        return cast(Tensor, self.dropout(self.relu(self.bn1(self.conv1(torch.cat(branches, dim=1))))))


class DepthNet(nn.Module):
    """(N, C_n, fH, fW) and camera numbers to depth logits and context, concatenated."""

    def __init__(self, channels: int, num_depths: int, context_channels: int, *, stereo: bool) -> None:
        super().__init__()
        self.reduce_conv = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        )
        self.context_conv = nn.Conv2d(channels, context_channels, 1)
        self.bn = nn.BatchNorm1d(NUM_CAMERA_PARAMS)
        self.depth_mlp = Mlp(NUM_CAMERA_PARAMS, channels)
        self.depth_se = CameraGate(channels)
        self.context_mlp = Mlp(NUM_CAMERA_PARAMS, channels)
        self.context_se = CameraGate(channels)
        self.stereo = stereo
        first = BasicBlock(channels, channels)
        if stereo:
            self.cost_volume = CostVolume()
            # Name as published; two strided convolutions bring the cost volume from stride 4 to 16.
            self.cost_volumn_net = nn.Sequential(
                nn.Conv2d(num_depths, num_depths, 3, 2, 1),
                nn.BatchNorm2d(num_depths),
                nn.Conv2d(num_depths, num_depths, 3, 2, 1),
                nn.BatchNorm2d(num_depths),
            )
            first = BasicBlock(channels + num_depths, channels, shortcut_kernel=1)
        self.depth_conv = nn.Sequential(
            first,
            BasicBlock(channels, channels),
            BasicBlock(channels, channels),
            Aspp(channels, ASPP_CHANNELS),
            nn.Conv2d(channels, num_depths, 1),
        )

    def forward(
        self,
        feature: Tensor,
        camera_params: Tensor,
        stereo_feature: Tensor | None = None,
        previous: StereoContext | None = None,
    ) -> Tensor:
        """Depth logits (N, D, fH, fW) and context (N, C, fH, fW) along channels.

        Args:
            feature: (N, C_n, fH, fW).
            camera_params: (N, 27), see ``geometry.camera_params``.
            stereo_feature: (N, c, 4 fH, 4 fW) of this frame, needed with ``previous``.
            previous: the previous frame; None stands for "no match known" and gives a cost of zero.
        """
        numbers = self.bn(camera_params)
        x = self.reduce_conv(feature)
        context = self.context_conv(self.context_se(x, self.context_mlp(numbers)[..., None, None]))
        depth = self.depth_se(x, self.depth_mlp(numbers)[..., None, None])
        if self.stereo:
            depth = torch.cat([depth, self._matching(feature, stereo_feature, previous)], dim=1)
        return torch.cat([self.depth_conv(depth), context], dim=1)

    def _matching(self, feature: Tensor, stereo_feature: Tensor | None, previous: StereoContext | None) -> Tensor:
        num_depths = cast(nn.Conv2d, self.cost_volumn_net[0]).in_channels
        if previous is None or stereo_feature is None:
            count, _, height, width = feature.shape
            cost = feature.new_zeros(count, num_depths, 4 * height, 4 * width)
        else:
            cost = self.cost_volume(stereo_feature, previous.feature, previous.grid)
        return cast(Tensor, self.cost_volumn_net(cost))
