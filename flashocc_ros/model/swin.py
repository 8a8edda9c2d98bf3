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

"""Swin Transformer image backbone, key names and conventions of the published checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WINDOW = 12
PATCH = 4
MASKED = -100.0


def relative_position_index(window: int = WINDOW) -> Tensor:
    """(window**2, window**2) int64: row of the bias table for a pair of cells (a, b) of a window.

    (ya - yb + window - 1) * (2 window - 1) + (xa - xb + window - 1).
    """
    cell = torch.arange(window)
    y, x = (axis.flatten() for axis in torch.meshgrid(cell, cell, indexing="ij"))
    return (y[:, None] - y[None] + window - 1) * (2 * window - 1) + (x[:, None] - x[None] + window - 1)


def to_windows(x: Tensor) -> Tensor:
    """(N, H, W, C), both multiples of the window, to (N * windows, window**2, C)."""
    count, height, width, channels = x.shape
    x = x.view(count, height // WINDOW, WINDOW, width // WINDOW, WINDOW, channels)
    return x.transpose(2, 3).reshape(-1, WINDOW * WINDOW, channels)


def from_windows(windows: Tensor, height: int, width: int) -> Tensor:
    """Inverse of ``to_windows``."""
    channels = windows.shape[-1]
    x = windows.view(-1, height // WINDOW, width // WINDOW, WINDOW, WINDOW, channels)
    return x.transpose(2, 3).reshape(-1, height, width, channels)


def shift_mask(height: int, width: int, shift: int) -> Tensor:
    """(windows, window**2, window**2) float32: 0 inside a region of the rolled picture, -100 across its seams."""

    def bands(size: int) -> Tensor:
        position = torch.arange(size)
        return (position >= size - WINDOW).long() + (position >= size - shift).long()

    region = bands(height)[:, None] * 3 + bands(width)[None, :]
    windows = to_windows(region[None, :, :, None]).squeeze(-1)
    return (windows[:, None, :] != windows[:, :, None]).float() * MASKED


class WindowAttention(nn.Module):
    """Multi-head attention inside windows with a learned relative position bias."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_position_index())
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """(N * windows, window**2, C) to the same shape; ``mask`` (windows, window**2, window**2) is added."""
        count, cells, channels = windows.shape
        query, key, value = self.qkv(windows).view(count, cells, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        index = cast(Tensor, self.relative_position_index)
        bias = self.relative_position_bias_table[index].permute(2, 0, 1)
        if mask is None:
            out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias[None])
        else:
            # Windows of one picture are consecutive, so the mask repeats per picture.
            query, key, value = (t.reshape(-1, len(mask), *t.shape[1:]) for t in (query, key, value))
            out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias[None] + mask[:, None])
        out = out.reshape(count, self.heads, cells, -1).transpose(1, 2).reshape(count, cells, channels)
        return cast(Tensor, self.proj(out))


class ShiftedWindowAttention(nn.Module):
    """Pads to whole windows, shifts, attends, shifts back and crops; padded cells take part."""

    def __init__(self, channels: int, heads: int, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.w_msa = WindowAttention(channels, heads)

    def forward(self, x: Tensor) -> Tensor:
        _, height, width, _ = x.shape
        x = F.pad(x, (0, 0, 0, -width % WINDOW, 0, -height % WINDOW))
        padded_height, padded_width = x.shape[1:3]
        mask = None
        if self.shift:
            x = x.roll((-self.shift, -self.shift), dims=(1, 2))
            mask = shift_mask(padded_height, padded_width, self.shift).to(x)
        x = from_windows(self.w_msa(to_windows(x), mask), padded_height, padded_width)
        if self.shift:
            x = x.roll((self.shift, self.shift), dims=(1, 2))
        return x[:, :height, :width]


class FeedForward(nn.Module):
    """Two linear layers with GELU; keys ``layers.0.0`` and ``layers.1``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU()), nn.Linear(4 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.layers(x))


class SwinBlock(nn.Module):
    """Attention and feed-forward, each with a residual that training drops at random per picture."""

    def __init__(self, channels: int, heads: int, shift: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = ShiftedWindowAttention(channels, heads, shift)
        self.norm2 = nn.LayerNorm(channels)
        self.ffn = FeedForward(channels)
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same shape."""
        x = x + self._drop(self.attn(self.norm1(x)))
        return x + self._drop(self.ffn(self.norm2(x)))

    def _drop(self, branch: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0:
            return branch
        kept = torch.rand(len(branch), 1, 1, 1, device=branch.device) >= self.drop_path
        return branch * kept / (1 - self.drop_path)


class PatchMerging(nn.Module):
    """Halves the size: 2x2 neighbours in ``unfold`` channel order, layer norm, linear."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        count, height, width, channels = x.shape
        x = x.view(count, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 5, 2, 4)
        return cast(Tensor, self.reduction(self.norm(x.reshape(count, height // 2, width // 2, 4 * channels))))


class SwinStage(nn.Module):
    """Blocks of one resolution and the merging that follows them."""

    def __init__(self, channels: int, heads: int, drop_paths: Sequence[float], *, merge: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(channels, heads, WINDOW // 2 if index % 2 else 0, rate) for index, rate in enumerate(drop_paths)
        )
        self.downsample = PatchMerging(channels) if merge else None

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class PatchEmbed(nn.Module):
    """4x4 patches to tokens (N, H/4, W/4, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, channels, PATCH, PATCH)
        self.norm = nn.LayerNorm(channels)

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.norm(self.projection(images).permute(0, 2, 3, 1)))


class Swin(nn.Module):
    """Pictures (N, 3, H, W) to features of stride 4 (un-normed), 16 and 32, channels first."""

    def __init__(self, channels: int, depths: Sequence[int], heads: Sequence[int], drop_path: float) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(channels)
        rates = torch.linspace(0, drop_path, sum(depths), device="cpu").tolist()
        self.stages = nn.ModuleList()
        for index, (depth, count) in enumerate(zip(depths, heads, strict=True)):
            first = sum(depths[:index])
            merge = index < len(depths) - 1
            self.stages.append(SwinStage(channels << index, count, rates[first : first + depth], merge=merge))
        self.norm2 = nn.LayerNorm(channels << 2)
        self.norm3 = nn.LayerNorm(channels << 3)

    def stem(self, images: Tensor) -> Tensor:
        """(N, C, H/4, W/4) output of the first stage: the stereo feature."""
        return cast(Tensor, self.stages[0](self.patch_embed(images))).permute(0, 3, 1, 2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.stages[0](self.patch_embed(images))
        maps = [fine]
        for index in range(1, len(self.stages)):
            merge = cast(SwinStage, self.stages[index - 1]).downsample
            maps.append(self.stages[index](maps[-1] if merge is None else merge(maps[-1])))
        middle, coarse = self.norm2(maps[2]), self.norm3(maps[3])
        return fine.permute(0, 3, 1, 2), middle.permute(0, 3, 1, 2), coarse.permute(0, 3, 1, 2)


def swin_base() -> Swin:
    """Swin-B, window 12."""
    return Swin(128, (2, 2, 18, 2), (4, 8, 16, 32), drop_path=0.1)
