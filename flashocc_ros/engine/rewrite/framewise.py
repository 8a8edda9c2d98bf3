"""The BEV encoder on a CPU, fed with past maps one by one instead of all of them laid side by side.

Convolving maps side by side is the sum of convolving each with its share of the weights. So a past map is moved under
the vehicle, convolved and forgotten while it is in the processor's cache; sixteen of them side by side are 200 MB that
would be written and read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numba as nb
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashocc_ros.model.bev_encoder import BevResNet
from flashocc_ros.model.layers import BasicBlock

Float32 = npt.NDArray[np.float32]


class FramewiseBevResNet(nn.Module):
    """A folded BEV encoder; inference only.

    Args:
        encoder: its first block holds convolutions with bias and no norms.
        num_frames: maps it takes.
        oldest_first: order of the maps in its weights; otherwise the key map comes first.
    """

    def __init__(self, encoder: BevResNet, num_frames: int, *, oldest_first: bool) -> None:
        super().__init__()
        first, *self.rest = cast(nn.Sequential, encoder.layers[0])
        self.layers = encoder.layers
        self.first = cast(BasicBlock, first)
        # The block and its shortcut read the same maps, so one convolution serves both.
        pair = (self.first.conv1, cast(nn.Conv2d, self.first.downsample))
        shares = torch.cat([conv.weight for conv in pair]).chunk(num_frames, dim=1)
        self.entries = nn.ModuleList()
        for share in reversed(shares) if oldest_first else shares:
            entry = nn.Conv2d(share.shape[1], share.shape[0], 3, 2, 1, bias=not self.entries)
            entry.weight.data = share.contiguous(memory_format=torch.channels_last)
            self.entries.append(entry)
        self.entries[0].bias.data = torch.cat([cast(Tensor, conv.bias) for conv in pair])

    def forward(self, key: Tensor, past: Sequence[Tensor], grids: Float32) -> list[Tensor]:
        """One map per stage.

        Args:
            key: (1, C, 200, 200) float32, fastest when channels last; so are the others.
            past: the other maps, newest first.
            grids: (F, 200, 200, 2) where to sample them, see ``warped``.
        """
        entered = self.entries[0](key)
        for entry, old, grid in zip(self.entries[1:], past, grids, strict=True):
            entered += entry(warped(old, grid))
        inner, shortcut = entered.chunk(2, dim=1)
        x = F.relu(self.first.conv2(F.relu(inner)) + shortcut)
        for block in self.rest:
            x = block(x)
        maps = [x]
        for stage in self.layers[1:]:
            maps.append(stage(maps[-1]))
        return maps


def warped(source: Tensor, grid: Float32) -> Tensor:
    """``grid_sample(align_corners=True)`` of a map (1, C, H, W) at a grid (H, W, 2), zero outside; channels last.

    Where a cell's channels lie together a sample is four long vectors: several times faster than the general operator.
    """
    pixels = source[0].permute(1, 2, 0).contiguous().numpy()
    out = torch.empty(1, *grid.shape[:2], pixels.shape[2])
    _sample(pixels, np.ascontiguousarray(grid, np.float32), out.numpy()[0])
    return out.permute(0, 3, 1, 2)


@nb.njit(nogil=True, cache=True, fastmath={"contract"})
def _sample(source: Float32, grid: Float32, out: Float32) -> None:
    """out[y, x] = source at grid[y, x]; the weights are those of ``grid_sample``."""
    height, width, channels = source.shape
    one, half = np.float32(1), np.float32(0.5)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            cell = out[row, column]
            cell[:] = 0
            u = (grid[row, column, 0] + one) * half * np.float32(width - 1)
            v = (grid[row, column, 1] + one) * half * np.float32(height - 1)
            if not (u > -1 and u < width and v > -1 and v < height):
                continue
            left, top = int(np.floor(u)), int(np.floor(v))
            for y in range(max(top, 0), min(top + 2, height)):
                share_y = one - abs(v - np.float32(y))
                for x in range(max(left, 0), min(left + 2, width)):
                    share = share_y * (one - abs(u - np.float32(x)))
                    pixel = source[y, x]
                    for c in range(channels):
                        cell[c] += share * pixel[c]
