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

"""The matching cost and its gradient on the CPU: one walk over cells and depths each.

The numbers of ``grid_sample(align_corners=True)``: corner weights, taps outside count as zero. Sums may be reordered so
that they run on vector units; nothing else of fast math is wanted.
"""

from __future__ import annotations

import numba as nb
import numpy as np

VALIDITY_CHANNEL = -4
"""The reference takes one channel, fourth from the end, as its test for "nothing there"."""
_FAST = {"reassoc", "contract"}


@nb.njit(cache=True, nogil=True, fastmath=_FAST)
def _pixel(normalised, size):  # type: ignore[no-untyped-def]
    """-1 to 1, corner to corner, as a pixel of ``size``."""
    return (normalised + np.float32(1)) * np.float32(0.5) * np.float32(size - 1)


@nb.njit(cache=True, nogil=True, fastmath=_FAST)
def _taps(position, size):  # type: ignore[no-untyped-def]
    """The two pixels beside a position in (-1, size) and their shares; one outside becomes one inside of share 0."""
    first = int(np.floor(position))
    share_first, share_second = np.float32(first + 1) - position, position - np.float32(first)
    second = first + 1
    if first < 0:
        first, share_first = 0, np.float32(0)
    if second >= size:
        second, share_second = size - 1, np.float32(0)
    return first, second, share_first, share_second


@nb.njit(parallel=True, cache=True, nogil=True, fastmath=_FAST)
def fill_cost(current, previous, grid, cost, outside_penalty):  # type: ignore[no-untyped-def]
    """Fill ``cost`` (N, D, h, w) float32.

    Args:
        current: (N, h, w, c) float32, channels last; previous: (N, H', W', c).
        grid: (N, D, h, w, 2) float32 normalised positions in ``previous``.
        outside_penalty: float32, for positions outside.
    """
    count, depths, height, width = cost.shape
    rows, columns, channels = previous.shape[1:]
    for row in nb.prange(count * height):
        n, y = row // height, row % height
        warped = np.empty(channels, np.float32)
        for x in range(width):
            for depth in range(depths):
                u, v = _pixel(grid[n, depth, y, x, 0], columns), _pixel(grid[n, depth, y, x, 1], rows)
                if not (u > -1 and u < columns and v > -1 and v < rows):
                    total = np.float32(0)
                    for c in range(channels):
                        total += abs(current[n, y, x, c])
                    cost[n, depth, y, x] = total + outside_penalty
                    continue
                left, right, left_share, right_share = _taps(u, columns)
                top, low, top_share, low_share = _taps(v, rows)
                a, b = top_share * left_share, top_share * right_share
                d, e = low_share * left_share, low_share * right_share
                for c in range(channels):
                    warped[c] = (
                        a * previous[n, top, left, c]
                        + b * previous[n, top, right, c]
                        + d * previous[n, low, left, c]
                        + e * previous[n, low, right, c]
                    )
                total = np.float32(0)
                for c in range(channels):
                    total += abs(current[n, y, x, c] - warped[c])
                if warped[channels + VALIDITY_CHANNEL] == 0:
                    total += outside_penalty
                cost[n, depth, y, x] = total


@nb.njit(cache=True, nogil=True, fastmath=_FAST)
def add_gradient(current, previous, grid, cost, current_out, previous_out):  # type: ignore[no-untyped-def]
    """Accumulate the gradients of both features; the positions carry none.

    Args:
        current, previous, grid: as in ``fill_cost``.
        cost: (N, D, h, w) float32, gradient of the cost.
        current_out, previous_out: zeros like ``current`` and ``previous``, filled here.
    """
    count, depths, height, width = cost.shape
    rows, columns = previous.shape[1:3]
    for n in range(count):
        for y in range(height):
            for x in range(width):
                now, now_out = current[n, y, x], current_out[n, y, x]
                for depth in range(depths):
                    gradient = cost[n, depth, y, x]
                    u, v = _pixel(grid[n, depth, y, x, 0], columns), _pixel(grid[n, depth, y, x, 1], rows)
                    if not (u > -1 and u < columns and v > -1 and v < rows):
                        for c in range(now.shape[0]):
                            now_out[c] += gradient * np.sign(now[c])
                        continue
                    left, right, left_share, right_share = _taps(u, columns)
                    top, low, top_share, low_share = _taps(v, rows)
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
