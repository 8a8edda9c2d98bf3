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

"""Procedural textures: noise, road marks, ground surfaces, walls with windows."""

from __future__ import annotations

import numba
import numpy as np

from flashocc_ros.data.synthetic.raster import hash_cell
from flashocc_ros.data.synthetic.street import DRIVEABLE, SIDEWALK, TERRAIN, ground_class


@numba.njit(cache=True, fastmath=True, nogil=True)
def value_noise(x, y, seed):  # type: ignore[no-untyped-def]
    """Smooth noise in [0, 1) with unit cells."""
    fx, fy = np.floor(x), np.floor(y)
    ix, iy = int(fx), int(fy)
    x -= fx
    y -= fy
    x = x * x * (3 - 2 * x)
    y = y * y * (3 - 2 * y)
    low = hash_cell(ix, iy, seed) * (1 - x) + hash_cell(ix + 1, iy, seed) * x
    high = hash_cell(ix, iy + 1, seed) * (1 - x) + hash_cell(ix + 1, iy + 1, seed) * x
    return low * (1 - y) + high * y


@numba.njit(inline="always", cache=True)
def _line(distance, half, blur):  # type: ignore[no-untyped-def]
    """Antialiased coverage of a painted line of half width ``half``."""
    cover = (half + 0.5 * blur - abs(distance)) / max(blur, 1e-3)
    return min(max(cover, 0.0), 1.0) * min(1.0, 2 * half / max(blur, 1e-3))


@numba.njit(cache=True, fastmath=True, nogil=True)
def _paint_on_road(ground, x, y, s, d, edge, side, across_blur, along_blur):  # type: ignore[no-untyped-def]
    """(white, yellow) coverage of road marks."""
    p = ground.profile
    white, yellow = 0.0, 0.0
    near_mouth = 1e9
    for k in range(ground.side.shape[0]):
        row = ground.side[k]
        gap = abs(s - row[5]) - row[4]
        near_mouth = min(near_mouth, gap)
        if abs(d) < p[0] and 1.6 < gap < 4.6:  # zebra across the main street
            phase = d / 1.1 - np.floor(d / 1.1)
            white = max(white, _line(phase - 0.5, 0.25, across_blur / 1.1) * min(1.0, 3.0 / (1.0 + along_blur)))
        elif abs(d) < p[0] and 5.4 < gap < 5.8:
            white = max(white, min(1.0, 0.5 / max(along_blur, 0.5)))
        if side == k and abs(d) > p[0] - 0.5:
            across = (y - row[1]) * row[2] - (x - row[0]) * row[3]
            if p[0] + 1.2 < abs(d) < p[0] + 3.8:
                phase = across / 1.1 - np.floor(across / 1.1)
                white = max(white, _line(phase - 0.5, 0.25, across_blur / 1.1))
            elif abs(d) > p[0] + 5.0:
                yellow = max(yellow, _line(across, 0.07, across_blur))
    if near_mouth > 6.0 and abs(d) < p[0]:
        a = abs(d)
        limit = p[2] + p[4] * p[3]
        white = max(white, _line(a - limit, 0.07, across_blur))
        if p[2] <= 0:
            yellow = max(yellow, _line(a - 0.14, 0.06, across_blur))
        else:
            yellow = max(yellow, _line(a - p[2] - 0.25, 0.06, across_blur))
        if p[4] > 1:
            phase = (s + p[6]) / 7.5 - np.floor((s + p[6]) / 7.5)
            if phase < 0.45:
                white = max(white, _line(a - p[2] - p[3], 0.07, across_blur))
    return white, yellow


@numba.njit(cache=True, fastmath=True, nogil=True)
def ground_color(ground, x, y, edge, s, d, paved, side, z, fx, seed):  # type: ignore[no-untyped-def]
    """(r, g, b, shine, class) of the ground."""
    label = ground_class(ground.profile, edge, d, paved, side)
    blur = z / fx
    fine = hash_cell(int(np.floor(x * 25)), int(np.floor(y * 25)), seed) if blur < 0.02 else 0.5
    rough = value_noise(x * 0.7, y * 0.7, seed) * 0.6 + value_noise(x * 3.1, y * 3.1, seed + 1) * 0.4
    tint = ground.profile[7]
    if label == DRIVEABLE:
        g = 0.085 + 0.02 * tint + 0.05 * rough + 0.03 * (fine - 0.5)
        crack = value_noise(x * 0.35 + 7, y * 0.35, seed + 2)
        if abs(crack - 0.5) < 0.012 + blur * 0.2:
            g *= 0.82
        white, yellow = _paint_on_road(ground, x, y, s, d, edge, side, blur * 1.3, z * z / (fx * 1.5))
        worn = 0.75 + 0.25 * rough
        white *= worn
        yellow *= worn
        if edge > -0.35:  # gutter
            g *= 1.15
        r = g * (1 - white) + 0.62 * white
        gg = g * (1 - white) + 0.62 * white
        b = g * 1.04 * (1 - white) + 0.6 * white
        return (
            r * (1 - yellow) + 0.6 * yellow,
            gg * (1 - yellow) + 0.4 * yellow,
            b * (1 - yellow) + 0.04 * yellow,
            0.9,
            label,
        )
    if label == SIDEWALK:
        g = 0.29 + 0.03 * tint + 0.07 * rough + 0.04 * (fine - 0.5)
        if edge < 0.16:
            return g * 1.25, g * 1.22, g * 1.17, 0.5, label
        joint = min(abs(s / 1.2 - np.round(s / 1.2)), abs(edge / 1.2 - np.round(edge / 1.2))) * 1.2
        g *= 1.0 - 0.3 * _line(joint, 0.025, blur * 1.5)
        return g * 1.03, g, g * 0.94, 0.5, label
    if label == TERRAIN:
        lawn = value_noise(x * 0.15, y * 0.15, seed + 3)
        k = 0.65 + 0.5 * rough + 0.45 * (fine - 0.5)
        if lawn > 0.72:  # bare earth
            return 0.2 * k, 0.14 * k, 0.085 * k, 0.2, label
        return (0.075 + 0.07 * lawn) * k, (0.17 + 0.02 * lawn) * k, 0.035 * k, 0.2, label
    bx, by = np.floor(s / 0.8), np.floor(d / 0.4 + 0.5 * (_odd_row(s)))
    stone = hash_cell(int(bx), int(by), seed + 4) if blur < 0.15 else 0.5
    k = 0.75 + 0.3 * rough + 0.35 * (stone - 0.5)
    return 0.3 * k, 0.19 * k, 0.145 * k, 0.4, label


@numba.njit(inline="always", cache=True)
def _odd_row(s):  # type: ignore[no-untyped-def]
    """1 on every second row of paving stones."""
    return np.int64(np.floor(s / 0.8)) & 1


@numba.njit(cache=True, fastmath=True, nogil=True)
def facade(x, y, z, nx, half_z, seed, night, r, g, b):  # type: ignore[no-untyped-def]
    """Windows on a wall: (r, g, b, glass, glow)."""
    along = y if abs(nx) > 0.5 else x
    spacing = 1.7 + 1.6 * hash_cell(seed, 1, 7)
    storey = 2.9 + 0.7 * hash_cell(seed, 2, 7)
    wide = 0.22 + 0.16 * hash_cell(seed, 3, 7)
    tall = 0.2 + 0.14 * hash_cell(seed, 4, 7)
    up = (z + half_z - 1.0) / storey
    column = along / spacing
    fu, fv = column - np.floor(column) - 0.5, up - np.floor(up) - 0.5
    if up > 0.15 and z < half_z - 0.7 and abs(fu) < wide and abs(fv) < tall:
        lit = hash_cell(int(np.floor(column)) + 100, int(np.floor(up)), seed)
        if abs(fu) > wide - 0.035 or abs(fv) > tall - 0.03 or abs(fu) < 0.012:
            return 0.55, 0.53, 0.5, 0.0, 0.0
        if night > 0 and lit < 0.4:
            return 0.9, 0.62, 0.28, 0.0, 0.9
        return 0.03, 0.035, 0.045, 1.0, 0.0
    k = 0.88 + 0.16 * value_noise(along * 0.8, z * 0.8, seed)
    if hash_cell(seed, 5, 7) < 0.5:  # courses of bricks or panels
        course = z / 0.4 - np.floor(z / 0.4)
        k *= 0.9 + 0.1 * (course > 0.12)
    if abs(fv) > 0.46:
        k *= 0.85
    return r * k, g * k, b * k, 0.0, 0.0
