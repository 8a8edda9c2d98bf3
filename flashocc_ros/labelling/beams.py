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

"""Where the rays of an organised cloud went that gave no return: free space is seen along them too."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

_TOLERANCE = np.sin(np.deg2rad(0.6))
_LEAST = 0.2
"""Share of the rays that must return for the directions to be known."""


def complete_directions(points: Float32, shape: tuple[int, int]) -> Float32 | None:
    """Unit directions (M, 3) of all rays, frame of the lidar; None where the grid is none of rows and columns of beams.

    Every row has one elevation and one offset in azimuth, every column one azimuth, or the other way round; the rays
    that returned tell them.

    Args:
        points: (M, 3) metres, NaN without return; M = H W.
        shape: (H, W).
    """
    grid = points.reshape(*shape, 3)
    share, along_rows, along_columns = _spreads(grid)
    if share < _LEAST:
        return None
    turned = along_rows > along_columns  # columns are the beams
    found = _directions(np.ascontiguousarray(grid.transpose(1, 0, 2)) if turned else grid)
    if found is None:
        return None
    return np.ascontiguousarray(found.transpose(1, 0, 2) if turned else found).reshape(-1, 3)


@numba.njit(cache=True, nogil=True)
def free_lengths(points, height, width, free_m):  # type: ignore[no-untyped-def]
    """(M,) float32 metres that rays without return are free: to the nearest hit of those around them where most of
    them hit, as a ray is lost now and then on anything, else ``free_m``.

    Args:
        points: (M, 3) metres, NaN without return; M = height x width.
    """
    out = np.full(height * width, free_m, np.float32)
    for i in range(height):
        for j in range(width):
            if np.isfinite(points[i * width + j, 0]):
                continue
            around, hit, nearest = 0, 0, np.inf
            for a in range(max(i - 1, 0), min(i + 2, height)):
                for b in range(max(j - 1, 0), min(j + 2, width)):
                    x, y, z = points[a * width + b]
                    around += 1
                    if np.isfinite(x):
                        hit += 1
                        nearest = min(nearest, x * x + y * y + z * z)
            if 2 * hit > around - 1:
                out[i * width + j] = min(np.sqrt(nearest), free_m)
    return out


@numba.njit(cache=True, nogil=True)
def _spreads(grid):  # type: ignore[no-untyped-def]
    """Share of rays that returned, and variance of the sines of their elevations within rows and within columns."""
    height, width = grid.shape[:2]
    rows, columns = np.zeros((height, 3)), np.zeros((width, 3))
    for i in range(height):
        for j in range(width):
            x, y, z = grid[i, j]
            if np.isfinite(x):
                s = z / np.sqrt(x * x + y * y + z * z)
                rows[i, 0] += 1
                rows[i, 1] += s
                rows[i, 2] += s * s
                columns[j, 0] += 1
                columns[j, 1] += s
                columns[j, 2] += s * s
    count = rows[:, 0].sum()
    if count == 0:
        return 0.0, 0.0, 0.0
    within_rows = (rows[:, 2] - rows[:, 1] ** 2 / np.maximum(rows[:, 0], 1)).sum() / count
    within_columns = (columns[:, 2] - columns[:, 1] ** 2 / np.maximum(columns[:, 0], 1)).sum() / count
    return count / (height * width), within_rows, within_columns


@numba.njit(cache=True, nogil=True)
def _directions(grid):  # type: ignore[no-untyped-def]
    """(H, W, 3) unit directions of H beams, or None where rays do not follow rows and columns."""
    height, width = grid.shape[:2]
    up, number = np.zeros(height), np.zeros(height)
    around = np.zeros((width, 2))
    flat = np.zeros((height, width, 2), np.float32)
    for i in range(height):
        for j in range(width):
            x, y, z = grid[i, j]
            if np.isfinite(x):
                level = np.sqrt(x * x + y * y)
                up[i] += z / np.sqrt(level * level + z * z)
                number[i] += 1
                flat[i, j, 0], flat[i, j, 1] = x / max(level, 1e-6), y / max(level, 1e-6)
                around[j] += flat[i, j]
    for i in range(height):
        up[i] = np.arcsin(up[i] / number[i]) if number[i] else np.nan
    _bridge(up)
    up = np.sin(up)
    angle = np.empty(width)
    turns, last = 0.0, np.nan
    for j in range(width):
        if around[j, 0] ** 2 + around[j, 1] ** 2 < 0.25:
            angle[j] = np.nan
            continue
        a = np.arctan2(around[j, 1], around[j, 0])
        if np.isfinite(last):
            turns -= 2 * np.pi * np.round((a + turns - last) / (2 * np.pi))
        last = angle[j] = a + turns
    _bridge(angle)
    out = np.empty((height, width, 3), np.float32)
    wrong, count = 0.0, 0
    cos, sin = np.cos(angle), np.sin(angle)
    for i in range(height):
        c, s = 1e-9, 0.0
        for j in range(width):
            c += flat[i, j, 0] * cos[j] + flat[i, j, 1] * sin[j]
            s += flat[i, j, 1] * cos[j] - flat[i, j, 0] * sin[j]
        norm = np.sqrt(c * c + s * s)
        c, s = c / norm, s / norm
        level = np.sqrt(max(1 - up[i] ** 2, 0.0))
        for j in range(width):
            x, y, z = level * (cos[j] * c - sin[j] * s), level * (sin[j] * c + cos[j] * s), up[i]
            px, py, pz = grid[i, j]
            if np.isfinite(px):
                scale = 1 / np.sqrt(px * px + py * py + pz * pz)
                wrong += abs(px * scale - x) + abs(py * scale - y) + abs(pz * scale - z)
                count += 1
                x, y, z = px * scale, py * scale, pz * scale
            out[i, j, 0], out[i, j, 1], out[i, j, 2] = x, y, z
    if wrong > 1.5 * _TOLERANCE * count:
        return None
    return out


@numba.njit(cache=True, nogil=True)
def _bridge(values):  # type: ignore[no-untyped-def]
    """Replace NaN on the straight line between neighbours, beyond the ends by what the steps before say."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known) == 0:
        values[:] = 0.0
        return
    step = (values[known[-1]] - values[known[0]]) / (known[-1] - known[0]) if len(known) > 1 else 0.0
    for i in range(known[0]):
        values[i] = values[known[0]] - step * (known[0] - i)
    for i in range(known[-1] + 1, len(values)):
        values[i] = values[known[-1]] + step * (i - known[-1])
    for n in range(len(known) - 1):
        first, last = known[n], known[n + 1]
        for i in range(first + 1, last):
            values[i] = values[first] + (values[last] - values[first]) * (i - first) / (last - first)
