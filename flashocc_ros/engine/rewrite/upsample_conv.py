"""The BEV neck's last upsampling and 3x3 convolution on a CPU, without convolving the upsampled map.

Upsampling is linear: the convolution's nine taps are 1x1 convolutions on the small map, a quarter of the products, and
each output cell is a weighted sum of at most 36 of their results. ``export_fold.UpsampleConv`` is the same as matrix
products, for graphs; this one runs through the sums row by row while they are in the processor's cache.
"""

from __future__ import annotations

from typing import cast

import numba as nb
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from flashocc_ros.engine.rewrite.fold import shifted_upsampling

Float32 = npt.NDArray[np.float32]
SOURCES = 6
"""Rows a tap-shifted bilinear sample reads along one axis: three taps, two neighbours each."""


class UpsampleConvRelu(nn.Module):
    """Bilinear upsampling by two with aligned corners, zero-padded 3x3 convolution, ReLU: one sample, inference only.

    Args:
        conv: the convolution, batch norm folded, with bias.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        assert conv.bias is not None
        out_channels, in_channels = conv.weight.shape[:2]
        self.taps = nn.Conv2d(in_channels, 9 * out_channels, 1, bias=False)
        self.taps.weight.data = conv.weight.detach().permute(2, 3, 0, 1).reshape(-1, in_channels, 1, 1).contiguous()
        self.bias = conv.bias.detach().numpy().copy()

    def forward(self, x: Tensor) -> Tensor:
        """(1, C, H, W) to (1, out, 2 H, 2 W), channels last."""
        height, width = x.shape[2:]
        taps = self.taps(x.contiguous(memory_format=torch.channels_last)).permute(0, 2, 3, 1).contiguous()
        out = torch.empty(1, 2 * height, 2 * width, len(self.bias))
        _combine(
            taps.numpy().reshape(height, width, 3, 3 * len(self.bias)),
            *_sources(height),
            *_sources(width),
            self.bias,
            out.numpy()[0],
        )
        return out.permute(0, 3, 1, 2)


def _sources(small: int) -> tuple[npt.NDArray[np.int64], Float32]:
    """Per row of the upsampled axis ``SOURCES`` indices tap * small + cell and their weights, padded with zeros."""
    spread = shifted_upsampling(small, 2 * small)
    index = np.argsort(spread == 0, axis=1, kind="stable")[:, :SOURCES]
    return index, np.take_along_axis(spread, index, axis=1)


@nb.njit(nogil=True, cache=True, fastmath={"contract"})
def _combine(
    taps: Float32,
    index_y: npt.NDArray[np.int64],
    weight_y: Float32,
    index_x: npt.NDArray[np.int64],
    weight_x: Float32,
    bias: Float32,
    out: Float32,
) -> None:
    """out[Y, X, o] = relu(bias[o] + sum over six rows and six columns of weights times ``taps`` (y, x, ky, kx * o))."""
    height, width, _, wide = taps.shape
    channels = len(bias)
    line = np.empty((width, wide), np.float32)
    for row in range(out.shape[0]):
        line[:] = 0
        for s in range(SOURCES):
            weight = weight_y[row, s]
            if weight == 0:
                continue
            tap, y = index_y[row, s] // height, index_y[row, s] % height
            for x in range(width):
                for c in range(wide):
                    line[x, c] += weight * taps[y, x, tap, c]
        for column in range(out.shape[1]):
            cell = out[row, column]
            for c in range(channels):
                cell[c] = bias[c]
            for s in range(SOURCES):
                weight = weight_x[column, s]
                if weight == 0:
                    continue
                start = index_x[column, s] // width * channels
                source = line[index_x[column, s] % width, start : start + channels]
                for c in range(channels):
                    cell[c] += weight * source[c]
            for c in range(channels):
                cell[c] = max(cell[c], np.float32(0))


def with_cheap_upsampling(up2: nn.Sequential) -> nn.Sequential:
    """The neck's ``up2`` after folding (upsample, convolution, identity, ReLU, 1x1 convolution), rewritten."""
    return nn.Sequential(UpsampleConvRelu(cast(nn.Conv2d, up2[1])), up2[4])
