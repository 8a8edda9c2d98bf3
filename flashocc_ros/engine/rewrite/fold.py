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

"""Exact rewrites of a trained network before export: the same function with fewer operations.

All of them only regroup sums of products, so results differ from the original by float32 rounding.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from flashocc_ros.model.bev_encoder import BevNeck
from flashocc_ros.model.depth_net import Aspp
from flashocc_ros.model.image_neck import TopDownNeck

if TYPE_CHECKING:
    from flashocc_ros.model.network import FlashOcc


def folded(model: FlashOcc) -> FlashOcc:
    """A copy in evaluation mode without batch norms and with cheaper equivalents of some layers; inference only.

    Factors between sizes are fixed, as graphs like it: pictures need sides that are multiples of 32.
    """
    result = copy.deepcopy(model).eval().requires_grad_(False)
    _fold_norms(result)
    if isinstance(result.img_neck, TopDownNeck):
        if not result.variant.depth_net:
            _merge_into_neck(result)
        result.img_neck = StaticTopDown(result.img_neck)
    neck = result.img_bev_encoder_neck
    if isinstance(neck, BevNeck):
        result.img_bev_encoder_neck = FactoredBevNeck(neck, result.variant.encoder_channels[0], result.variant.map_size)
    for parent in list(result.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Aspp):
                setattr(parent, name, BroadcastAspp(child))
    return result


def _fold_norms(model: nn.Module) -> None:
    """Every batch norm that directly follows a convolution goes into its weights; the others, on the camera numbers
    for one, become a scale and a shift."""
    for parent in list(model.modules()):
        previous: tuple[str, nn.Module] | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d | nn.BatchNorm3d) and previous is not None:
                setattr(parent, previous[0], fuse_conv_bn_eval(cast(nn.Conv2d, previous[1]), child))
                setattr(parent, name, nn.Identity())
            elif isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(parent, name, ScaleShift(child))
            previous = (name, child) if isinstance(child, nn.Conv2d | nn.Conv3d) else None


class ScaleShift(nn.Module):
    """A batch norm in evaluation mode, channels on axis 1."""

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        shape = (-1, 1, 1) if isinstance(norm, nn.BatchNorm2d) else (-1,)
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        self.register_buffer("scale", scale.reshape(shape))
        self.register_buffer("shift", (norm.bias - norm.running_mean * scale).reshape(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x * cast(Tensor, self.scale) + cast(Tensor, self.shift)


def _merge_into_neck(model: FlashOcc) -> None:
    """The neck's last convolution and the 1x1 depth convolution have nothing between them: one 3x3 does both."""
    fpn = model.img_neck.fpn_convs[0].conv  # type: ignore[union-attr, index]
    head = cast(nn.Conv2d, model.img_view_transformer.depth_net)
    fpn = cast(nn.Conv2d, fpn)
    assert fpn.bias is not None
    assert head.bias is not None
    mix = head.weight[:, :, 0, 0].double()
    merged = nn.Conv2d(fpn.in_channels, head.out_channels, 3, padding=1)
    merged.weight.data = torch.einsum("om,mikl->oikl", mix, fpn.weight.double()).float()
    merged.bias.data = (mix @ fpn.bias.double() + head.bias.double()).float()  # type: ignore[union-attr]
    model.img_neck.fpn_convs[0].conv = merged  # type: ignore[union-attr, index]
    model.img_view_transformer.depth_net = nn.Identity()


class StaticTopDown(nn.Module):
    """The top-down neck with a fixed factor of two, which is what the sizes of all variants give."""

    def __init__(self, neck: TopDownNeck) -> None:
        super().__init__()
        self.lateral_convs = neck.lateral_convs
        self.fpn_convs = neck.fpn_convs

    def forward(self, middle: Tensor, coarse: Tensor) -> Tensor:
        top = F.interpolate(self.lateral_convs[1](coarse), scale_factor=2.0, mode="nearest")
        return cast(Tensor, self.fpn_convs[0](self.lateral_convs[0](middle) + top))


class BroadcastAspp(nn.Module):
    """The pyramid with its global branch added after the merging 1x1 convolution instead of copied to every pixel."""

    def __init__(self, aspp: Aspp) -> None:
        super().__init__()
        self.aspp1, self.aspp2, self.aspp3, self.aspp4 = aspp.aspp1, aspp.aspp2, aspp.aspp3, aspp.aspp4
        self.global_conv = aspp.global_avg_pool[1]
        merge = aspp.conv1
        own = merge.in_channels // 5 * 4
        self.local = nn.Conv2d(own, merge.out_channels, 1)
        self.local.weight.data = merge.weight[:, :own].clone()
        assert merge.bias is not None
        self.local.bias.data = merge.bias.clone()  # type: ignore[union-attr]
        self.everywhere = nn.Conv2d(merge.in_channels - own, merge.out_channels, 1, bias=False)
        self.everywhere.weight.data = merge.weight[:, own:].clone()

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.aspp1(x), self.aspp2(x), self.aspp3(x), self.aspp4(x)]
        average = F.relu(self.global_conv(x.mean(dim=(2, 3), keepdim=True)))
        return F.relu(self.local(torch.cat(branches, dim=1)) + self.everywhere(average))


class FactoredBevNeck(nn.Module):
    """The BEV neck without convolving an upsampled map: upsampling is linear, so its 3x3 convolution is nine 1x1
    convolutions on the small map, followed by shifting and upsampling along each axis as two matrix products."""

    def __init__(self, neck: BevNeck, fine_channels: int, map_size: tuple[int, int]) -> None:
        super().__init__()
        first, self.second = cast(nn.Conv2d, neck.conv[0]), neck.conv[3]
        self.up2 = neck.up2
        assert first.bias is not None
        self.fine = nn.Conv2d(fine_channels, first.out_channels, 3, padding=1)
        self.fine.weight.data = first.weight[:, :fine_channels].clone()
        self.fine.bias.data = first.bias.clone()  # type: ignore[union-attr]
        rows, columns = map_size
        self.coarse = UpsampleConv(
            first.weight[:, fine_channels:], (rows // 8, columns // 8), (rows // 2, columns // 2)
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        merged = F.relu(self.fine(maps[0]) + self.coarse(maps[-1]))
        return cast(Tensor, self.up2(F.relu(self.second(merged))))


class UpsampleConv(nn.Module):
    """Bilinear upsampling with aligned corners, then a zero-padded 3x3 convolution, on the map of one sample."""

    def __init__(self, weight: Tensor, small: tuple[int, int], large: tuple[int, int]) -> None:
        super().__init__()
        self.out_channels, in_channels = weight.shape[:2]
        self.small = small
        self.taps = nn.Conv2d(in_channels, 9 * self.out_channels, 1, bias=False)
        self.taps.weight.data = weight.permute(2, 3, 0, 1).reshape(-1, in_channels, 1, 1).contiguous()
        along_y, along_x = (torch.from_numpy(shifted_upsampling(*sizes)) for sizes in zip(small, large, strict=True))
        self.register_buffer("along_y", along_y)
        self.register_buffer("along_x", along_x.t().contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """(1, C, *small) to (1, out, *large)."""
        rows, columns = self.small
        taps = self.taps(x).reshape(3, 3, self.out_channels, rows, columns).permute(2, 0, 3, 1, 4)
        taps = taps.reshape(self.out_channels, 3 * rows, 3 * columns)
        return torch.matmul(torch.matmul(cast(Tensor, self.along_y), taps), cast(Tensor, self.along_x)).unsqueeze(0)


def shifted_upsampling(small: int, large: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """(large, 3 * small) float32: row i holds, for each tap t of a 3-wide kernel, the interpolation weights of cell
    i + t - 1, zero where that cell is outside."""
    position = np.arange(large) * (small - 1) / (large - 1)
    left = np.minimum(position.astype(int), small - 2)
    upsample = np.zeros((large, small))
    upsample[np.arange(large), left] = 1 - (position - left)
    upsample[np.arange(large), left + 1] = position - left
    padded = np.pad(upsample, ((1, 1), (0, 0)))
    return np.concatenate([padded[tap : tap + large] for tap in range(3)], axis=1).astype(np.float32)
