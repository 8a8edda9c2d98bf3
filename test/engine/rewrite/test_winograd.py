"""Winograd convolutions: the numbers of the direct sum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from flashocc_ros.engine.rewrite.winograd import MIN_CHANNELS, WinogradConv, transforms, use_winograd


def test_the_transforms_give_a_correlation() -> None:
    inputs, kernel, output = transforms()
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=6), rng.normal(size=3)
    np.testing.assert_allclose(output @ ((kernel @ w) * (inputs @ x)), np.correlate(x, w), atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (16, 44), (25, 27), (70, 66)])
@pytest.mark.parametrize("bias", [True, False])
def test_any_size_equals_the_direct_convolution(size: tuple[int, int], bias: bool) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(24, 40, 3, padding=1, bias=bias)
    x = torch.randn(3, 24, *size)
    with torch.inference_mode():
        expected = conv.double()(x.double()).float()
        torch.testing.assert_close(WinogradConv(conv.float())(x), expected, rtol=0, atol=1e-5)


def test_rounding_stays_small_with_many_channels() -> None:
    torch.manual_seed(1)
    conv = nn.Conv2d(512, 256, 3, padding=1)
    x = torch.randn(1, 512, 12, 12).relu().contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        got, expected = WinogradConv(conv)(x), conv.double()(x.double())
    assert float((got - expected).abs().max() / expected.std()) < 5e-5


def test_only_wide_plain_convolutions_are_replaced() -> None:
    wide = MIN_CHANNELS
    layers = nn.Sequential(
        nn.Conv2d(wide, wide, 3, padding=1),
        nn.Conv2d(wide, wide, 3, 2, padding=1),
        nn.Conv2d(wide, wide, 3, padding=6, dilation=6),
        nn.Conv2d(wide, wide, 1),
        nn.Sequential(nn.Conv2d(wide, wide, 3, padding=1), nn.Conv2d(wide, 8, 3, padding=1)),
    )
    use_winograd(layers)
    replaced = [name for name, module in layers.named_modules() if isinstance(module, WinogradConv)]
    assert replaced == ["0", "4.0"]
