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

"""Occupancy and centre heads; from the occupancy head on, axes are x first."""

from __future__ import annotations

from typing import ClassVar, cast

from torch import Tensor, nn

from flashocc_ros.model.layers import ConvUnit


class OccupancyHead2D(nn.Module):
    """Channel-to-height head: a column's heights x classes logits come from its one feature vector."""

    def __init__(self, in_channels: int, channels: int, heights: int, classes: int) -> None:
        super().__init__()
        self.heights, self.classes = heights, classes
        self.final_conv = ConvUnit(in_channels, channels, 3, norm=False)
        self.predicter = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.Softplus(), nn.Linear(2 * channels, heights * classes)
        )

    def forward(self, bev: Tensor) -> Tensor:
        """(B, C, Dy, Dx) to logits (B, Dx, Dy, heights, classes)."""
        columns = self.final_conv(bev).permute(0, 3, 2, 1)
        return cast(Tensor, self.predicter(columns).unflatten(-1, (self.heights, self.classes)))


class OccupancyHead3D(nn.Module):
    """Voxel-wise head of the volumetric baselines."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.final_conv = ConvUnit(channels, channels, 3, dims=3, norm=False)
        self.predicter = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.Softplus(), nn.Linear(2 * channels, classes)
        )

    def forward(self, volume: Tensor) -> Tensor:
        """(B, C, Dz, Dy, Dx) to logits (B, Dx, Dy, Dz, classes)."""
        return cast(Tensor, self.predicter(self.final_conv(volume).permute(0, 4, 3, 2, 1)))


class CenterHead(nn.Module):
    """Object centres on the bird's-eye map."""

    INFERENCE: ClassVar = ("heatmap", "reg", "height")
    CHANNELS: ClassVar = {"reg": 2, "height": 1, "dim": 3, "rot": 2, "vel": 2}

    def __init__(self, in_channels: int, channels: int, detections: int) -> None:
        super().__init__()
        self.shared_conv = ConvUnit(in_channels, channels, 3)
        branches = {
            name: nn.Sequential(ConvUnit(channels, channels, 3), nn.Conv2d(channels, out, 3, padding=1))
            for name, out in (*self.CHANNELS.items(), ("heatmap", detections))
        }
        self.task_heads = nn.ModuleList([nn.ModuleDict(branches)])

    def forward(self, bev: Tensor) -> dict[str, Tensor]:
        """(B, C, Dy, Dx) to (B, c, Dy, Dx) per output; box size, yaw and velocity only while training."""
        shared = self.shared_conv(bev)
        names = (*self.CHANNELS, "heatmap") if self.training else self.INFERENCE
        branches = cast(nn.ModuleDict, self.task_heads[0])
        return {name: branches[name](shared) for name in names}
