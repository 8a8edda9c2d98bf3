"""The matrices of Winograd's convolution."""

from __future__ import annotations

import numpy as np

from flashocc_ros.engine.winograd import products, transforms


def test_the_transforms_give_a_correlation() -> None:
    inputs, kernel, output = transforms()
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=6), rng.normal(size=3)
    np.testing.assert_allclose(output @ ((kernel @ w) * (inputs @ x)), np.correlate(x, w), atol=1e-12)


def test_a_tile_of_two_axes_gives_sixteen_outputs() -> None:
    inputs, _, output = transforms()
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(6, 6)), rng.normal(size=(2, 1, 3, 3)).astype(np.float32)
    evaluated = products(w).reshape(6, 6, 2) * (inputs @ x @ inputs.T)[..., None]
    got = np.einsum("ai,ijo,bj->oab", output, evaluated, output)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3))
    np.testing.assert_allclose(got, np.einsum("abyx,oyx->oab", windows, w[:, 0]), atol=1e-5)
