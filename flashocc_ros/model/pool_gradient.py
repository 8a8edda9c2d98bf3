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

"""Backward pass of pooling on the CPU: one walk over the points instead of a table of all their features."""

from __future__ import annotations

import numba as nb


@nb.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def pool_gradient(weights, rows, points, pixels, cell_index, cell_start, summed, weights_out, rows_out):  # type: ignore[no-untyped-def]
    """Accumulate the gradients of depth and context.

    Args:
        weights: (N * D * fH * fW,) float32 depth probabilities.
        rows: (N * fH * fW, C) float32 context.
        points, pixels: per kept point, its index into ``weights`` and into ``rows``.
        cell_index, cell_start: cells that hold points and where their points begin.
        summed: (cells, C) float32 gradient of the pooled grid.
        weights_out, rows_out: zeros like ``weights`` and ``rows``, filled here.
    """
    channels = rows.shape[1]
    for k in range(len(cell_index)):
        gradient = summed[cell_index[k]]
        for position in range(cell_start[k], cell_start[k + 1]):
            point = points[position]
            weight, source, target = weights[point], rows[pixels[position]], rows_out[pixels[position]]
            total = weight * 0
            for channel in range(channels):
                total += gradient[channel] * source[channel]
                target[channel] += weight * gradient[channel]
            weights_out[point] = total
