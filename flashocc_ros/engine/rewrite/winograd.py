"""3x3 convolutions on a CPU with a quarter of the multiplications: Winograd's F(4x4, 3x3).

A tile of 6x6 inputs and the 3x3 kernel are both evaluated at the same points; there the convolution is a plain product,
and 36 products give 16 outputs that would take 144. With the points 0, 1, -1, 1/2, -2 and infinity float32 rounding
stays what it is for the direct sum (Lavin & Gray 2016; the choice of points is that of Barabasz et al. 2020).
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Float64 = npt.NDArray[np.float64]

OUT, TAPS = 4, 3
TILE = OUT + TAPS - 1
POINTS = np.array((0.0, 1.0, -1.0, 0.5, -2.0))
"""Where the polynomials are evaluated, beside infinity."""
TILES_AT_ONCE = 256
"""Tiles transformed together: what is in flight then stays in the processor's cache."""
MIN_CHANNELS = 256
"""Below, the transforms cost what the products save."""


def transforms() -> tuple[Float64, Float64, Float64]:
    """Matrices of one axis: input (6, 6), kernel (6, 3) and output (4, 6).

    ``output @ ((kernel @ w) * (input @ x))`` is the correlation of x (6,) with w (3,), by Toom and Cook: rows of
    ``input`` are the coefficients of the product of (t - p) over all points but one, the last row over all of them.
    """
    others = [np.delete(POINTS, i) for i in range(len(POINTS))]
    inputs = np.array([*(np.append(np.poly(rest)[::-1], 0.0) for rest in others), np.poly(POINTS)[::-1]])
    weight = np.array([np.prod(point - rest) for point, rest in zip(POINTS, others, strict=True)])
    kernel = np.vstack([POINTS[:, None] ** np.arange(TAPS) / weight[:, None], np.eye(TAPS)[-1:]])
    output = np.vstack([POINTS[:, None] ** np.arange(OUT), np.eye(OUT)[-1:]]).T
    return inputs, kernel, output


class WinogradConv(nn.Module):
    """A 3x3 convolution of stride 1 with a border of one zero; inference only.

    Args:
        conv: what it replaces; its weights take four times the memory here.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        inputs, kernel, output = transforms()
        weight = conv.weight.detach().double()
        spread = torch.from_numpy(kernel)
        products = torch.einsum("iy,jx,ocyx->ijco", spread, spread, weight).flatten(0, 1)
        self.register_buffer("products", products.float().contiguous())
        # Both axes at once: a 6x6 tile is a column of 36.
        self.register_buffer("inputs", torch.from_numpy(np.kron(inputs, inputs)).float())
        self.register_buffer("outputs", torch.from_numpy(np.kron(output, output)).float())
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().clone()
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out, H, W), channels last."""
        count, channels, height, width = x.shape
        rows, columns = -(-height // OUT), -(-width // OUT)
        border = (0, 0, 1, columns * OUT - width + 1, 1, rows * OUT - height + 1)
        tiles = F.pad(x.permute(0, 2, 3, 1), border).unfold(1, TILE, OUT).unfold(2, TILE, OUT)
        out = x.new_empty(count, rows, OUT, columns, OUT, len(cast(Tensor, self.bias)))
        strip = max(1, TILES_AT_ONCE // (count * columns))
        for top in range(0, rows, strip):
            columns_of_36 = tiles[:, top : top + strip].permute(4, 5, 0, 1, 2, 3).reshape(TILE * TILE, -1)
            evaluated = torch.mm(cast(Tensor, self.inputs), columns_of_36).view(TILE * TILE, -1, channels)
            multiplied = torch.bmm(evaluated, cast(Tensor, self.products)).flatten(1)
            pixels = torch.mm(cast(Tensor, self.outputs), multiplied).view(OUT, OUT, count, -1, columns, out.shape[-1])
            torch.add(pixels.permute(2, 3, 0, 4, 1, 5), cast(Tensor, self.bias), out=out[:, top : top + strip])
        whole = out.view(count, rows * OUT, columns * OUT, -1)
        return whole[:, :height, :width].permute(0, 3, 1, 2)


def use_winograd(parent: nn.Module) -> None:
    """Replace every convolution inside ``parent`` that gains from it."""
    for name, child in list(parent.named_children()):
        if isinstance(child, nn.Conv2d) and _gains(child):
            setattr(parent, name, WinogradConv(child))
        else:
            use_winograd(child)


def _gains(conv: nn.Conv2d) -> bool:
    plain = (conv.kernel_size, conv.stride, conv.padding, conv.dilation) == ((3, 3), (1, 1), (1, 1), (1, 1))
    return plain and conv.groups == 1 and min(conv.in_channels, conv.out_channels) >= MIN_CHANNELS
