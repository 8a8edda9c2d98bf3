"""Winograd convolutions of the torch engine on a CPU; see ``engine.winograd``."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashocc_ros.engine.winograd import OUT, TAPS, TILE, products, transforms

TILES_AT_ONCE = 256
"""Tiles transformed together: what is in flight then stays in the processor's cache."""
MIN_CHANNELS = 256
"""Below, the transforms cost what the products save."""


class WinogradConv(nn.Module):
    """A 3x3 convolution of stride 1 with a border of one zero; inference only.

    Args:
        conv: what it replaces; its weights take four times the memory here.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        inputs, _, output = transforms()
        self.register_buffer("products", torch.from_numpy(products(conv.weight.detach().float().cpu().numpy())))
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
    plain = (conv.kernel_size, conv.stride, conv.padding, conv.dilation) == ((TAPS, TAPS), (1, 1), (1, 1), (1, 1))
    return plain and conv.groups == 1 and min(conv.in_channels, conv.out_channels) >= MIN_CHANNELS
