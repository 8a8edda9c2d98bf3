"""Backward pass of the matching cost on the CPU: one walk over cells and depths."""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def cost_gradient(current, previous, grid, cost, current_out, previous_out):  # type: ignore[no-untyped-def]
    """Accumulate the gradients of both features; the positions carry none.

    Args:
        current, previous: (N, h, w, c) float32, as in ``cost_volume.matching_cost``.
        grid: (N, D, h, w, 2) float32.
        cost: (N, D, h, w) float32, gradient of the cost.
        current_out, previous_out: zeros like ``current`` and ``previous``, filled here.
    """
    one, zero = np.float32(1), np.float32(0)
    count, depths, height, width = cost.shape
    for n in range(count):
        for y in range(height):
            for x in range(width):
                now, now_out = current[n, y, x], current_out[n, y, x]
                for depth in range(depths):
                    gradient = cost[n, depth, y, x]
                    u = (grid[n, depth, y, x, 0] + one) * np.float32(0.5) * np.float32(width - 1)
                    v = (grid[n, depth, y, x, 1] + one) * np.float32(0.5) * np.float32(height - 1)
                    if not (u > -1 and u < width and v > -1 and v < height):
                        for c in range(now.shape[0]):
                            now_out[c] += gradient * np.sign(now[c])
                        continue
                    left, top = int(np.floor(u)), int(np.floor(v))
                    right_share, low_share = u - np.float32(left), v - np.float32(top)
                    left_share, top_share = one - right_share, one - low_share
                    right, low = left + 1, top + 1
                    # Taps outside count as zero.
                    if left < 0:
                        left, left_share = 0, zero
                    if top < 0:
                        top, top_share = 0, zero
                    if right >= width:
                        right, right_share = width - 1, zero
                    if low >= height:
                        low, low_share = height - 1, zero
                    a, b = top_share * left_share, top_share * right_share
                    d, e = low_share * left_share, low_share * right_share
                    p, q = previous[n, top, left], previous[n, top, right]
                    r, s = previous[n, low, left], previous[n, low, right]
                    p_out, q_out = previous_out[n, top, left], previous_out[n, top, right]
                    r_out, s_out = previous_out[n, low, left], previous_out[n, low, right]
                    for c in range(now.shape[0]):
                        step = gradient * np.sign(now[c] - (a * p[c] + b * q[c] + d * r[c] + e * s[c]))
                        now_out[c] += step
                        p_out[c] -= a * step
                        q_out[c] -= b * step
                        r_out[c] -= d * step
                        s_out[c] -= e * step
