"""Winograd's F(4x4, 3x3): a 3x3 convolution with a quarter of the multiplications.

A tile of 6x6 inputs and the 3x3 kernel are both evaluated at the same points; there the convolution is a plain product,
and 36 products give 16 outputs that would take 144. With the points 0, 1, -1, 1/2, -2 and infinity float32 rounding
stays what it is for the direct sum (Lavin & Gray 2016; the choice of points is that of Barabasz et al. 2020).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

OUT, TAPS = 4, 3
TILE = OUT + TAPS - 1
POINTS = np.array((0.0, 1.0, -1.0, 0.5, -2.0))
"""Where the polynomials are evaluated, beside infinity."""


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


def products(weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Kernels (out, in, 3, 3) at the points of both axes: (36, in, out)."""
    _, kernel, _ = transforms()
    evaluated = np.einsum("iy,jx,ocyx->ijco", kernel, kernel, weight, dtype=np.float64, optimize=True)
    return evaluated.reshape(TILE * TILE, *evaluated.shape[2:]).astype(np.float32)
