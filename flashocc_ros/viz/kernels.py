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

"""Compiled part of the ray caster: one ray through a voxel grid, its light, and all rays of a picture.

Coordinates are voxel units: voxel (i, j, k) fills the unit cube above (i, j, k). Directions have length 1.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]
UInt16 = npt.NDArray[np.uint16]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Vector = tuple[float, float, float]

BANDS = 16

_jit = numba.njit(cache=True, error_model="numpy")


@_jit
def _trace(free: UInt8, o: Vector, d: Vector, near: float, far: float) -> tuple[float, int, int, int, int]:
    """First painted voxel on a ray: (distance, axis of the face, i, j, k); distance is negative without a hit.

    Walks from border to border (Amanatides and Woo 1987) and jumps where the next painted voxel is known to be far.
    """
    # A direction of zero never crosses a border: a huge inverse keeps that true without a special case.
    x_inv = 1.0 / d[0] if d[0] != 0.0 else 1e30
    y_inv = 1.0 / d[1] if d[1] != 0.0 else 1e30
    z_inv = 1.0 / d[2] if d[2] != 0.0 else 1e30
    x_in, x_out = -o[0] * x_inv, (free.shape[0] - o[0]) * x_inv
    y_in, y_out = -o[1] * y_inv, (free.shape[1] - o[1]) * y_inv
    z_in, z_out = -o[2] * z_inv, (free.shape[2] - o[2]) * z_inv
    x_in, x_out = min(x_in, x_out), max(x_in, x_out)
    y_in, y_out = min(y_in, y_out), max(y_in, y_out)
    z_in, z_out = min(z_in, z_out), max(z_in, z_out)
    t = max(near, x_in, y_in, z_in)
    end = min(far, x_out, y_out, z_out)
    if t >= end:
        return -1.0, 0, 0, 0, 0
    axis = 0 if t == x_in else (1 if t == y_in else 2)
    x_step, y_step, z_step = (1 if d[0] >= 0.0 else -1), (1 if d[1] >= 0.0 else -1), (1 if d[2] >= 0.0 else -1)
    # distance of the next border along each axis = (cell + 1 or + 0 - origin) * inverse direction
    x_ahead, y_ahead, z_ahead = (x_step + 1) // 2 - o[0], (y_step + 1) // 2 - o[1], (z_step + 1) // 2 - o[2]
    reach = 1.0 / max(abs(d[0]), abs(d[1]), abs(d[2]))
    t += 1e-9
    i = min(max(math.floor(o[0] + t * d[0]), 0), free.shape[0] - 1)
    j = min(max(math.floor(o[1] + t * d[1]), 0), free.shape[1] - 1)
    k = min(max(math.floor(o[2] + t * d[2]), 0), free.shape[2] - 1)
    while True:
        gap = free[i, j, k]
        if gap == 0:
            return t, axis, i, j, k
        if gap > 2:
            t += (gap - 1) * reach
            i = math.floor(o[0] + t * d[0])
            j = math.floor(o[1] + t * d[1])
            k = math.floor(o[2] + t * d[2])
        else:
            x_next, y_next, z_next = (i + x_ahead) * x_inv, (j + y_ahead) * y_inv, (k + z_ahead) * z_inv
            if x_next < y_next and x_next < z_next:
                t, axis, i = x_next, 0, i + x_step
            elif y_next < z_next:
                t, axis, j = y_next, 1, j + y_step
            else:
                t, axis, k = z_next, 2, k + z_step
        if t >= end or not (0 <= i < free.shape[0] and 0 <= j < free.shape[1] and 0 <= k < free.shape[2]):
            return -1.0, 0, 0, 0, 0


@_jit
def _filled(free: UInt8, i: int, j: int, k: int) -> float:
    if i < 0 or j < 0 or k < 0 or i >= free.shape[0] or j >= free.shape[1] or k >= free.shape[2]:
        return 0.0
    return 1.0 if free[i, j, k] == 0 else 0.0


@_jit
def _corner(one: float, two: float, both: float) -> float:
    """Light in [0, 1] at the corner of a face, from the three cubes above it that touch the corner."""
    return 0.0 if one + two > 1.5 else 1.0 - (one + two + both) / 3.0


@_jit
def _ambient(free: UInt8, i: int, j: int, k: int, axis: int, side: int, fa: float, fb: float) -> float:
    """Ambient light in [0, 1] at (fa, fb) of a face: corner values, interpolated over the face."""
    n0, n1, n2 = (1 if axis == 0 else 0), (1 if axis == 1 else 0), (1 if axis == 2 else 0)
    a0, a1 = (1 if axis != 0 else 0), (1 if axis == 0 else 0)  # first axis in the face: x, or y on x faces
    b1, b2 = (1 if axis == 2 else 0), (1 if axis != 2 else 0)  # second: z, or y on z faces
    i, j, k = i + side * n0, j + side * n1, k + side * n2
    left, right = _filled(free, i - a0, j - a1, k), _filled(free, i + a0, j + a1, k)
    below, above = _filled(free, i, j - b1, k - b2), _filled(free, i, j + b1, k + b2)
    c00 = _corner(left, below, _filled(free, i - a0, j - a1 - b1, k - b2))
    c10 = _corner(right, below, _filled(free, i + a0, j + a1 - b1, k - b2))
    c01 = _corner(left, above, _filled(free, i - a0, j - a1 + b1, k + b2))
    c11 = _corner(right, above, _filled(free, i + a0, j + a1 + b1, k + b2))
    return (c00 * (1 - fa) + c10 * fa) * (1 - fb) + (c01 * (1 - fa) + c11 * fa) * fb


@_jit
def _trace_boxes(boxes: Float64, o: Vector, d: Vector, near: float) -> tuple[float, int]:
    """Nearest box on a ray: (distance, axis of the face); distance is negative without a hit."""
    nearest, face = -1.0, 0
    for b in range(boxes.shape[0]):
        begin, end, axis = near, 1e30, 0
        for k in range(3):
            if d[k] == 0.0:
                if o[k] < boxes[b, k] or o[k] > boxes[b, k + 3]:
                    begin = 1e30
                continue
            first, last = (boxes[b, k] - o[k]) / d[k], (boxes[b, k + 3] - o[k]) / d[k]
            if first > last:
                first, last = last, first
            if first > begin:
                begin, axis = first, k
            end = min(end, last)
        if begin < end and (nearest < 0.0 or begin < nearest):
            nearest, face = begin, axis
    return nearest, face


@_jit
def _shade(
    paint: UInt16,
    free: UInt8,
    palette: Float32,
    o: Vector,
    d: Vector,
    near: float,
    far: float,
    footprint: float,
    spread: float,
    sun: Float64,
    shadows: bool,
    edges: float,
    boxes: Float64,
) -> tuple[float, float, float, float, int, int]:
    """Light of one ray: (red, green, blue, distance, palette row, surface); distance is negative without a hit.

    ``surface`` differs between neighbouring pixels wherever there is an outline, a crease or the border of a shadow.
    """
    t, axis, i, j, k = _trace(free, o, d, near, far)
    box, box_axis = _trace_boxes(boxes, o, d, near)
    smooth = box >= 0.0 and (t < 0.0 or box < t)
    if smooth:
        t, axis = box, box_axis
    if t < 0.0:
        return 0.0, 0.0, 0.0, -1.0, 0, -1
    side = -1 if d[axis] > 0.0 else 1
    p = (o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2])
    ambient, line, row, plane = 1.0, 0.0, 0, 511
    if not smooth:
        row = paint[i, j, k]
        plane = i if axis == 0 else (j if axis == 1 else k)
        fa = min(max(p[1] - j if axis == 0 else p[0] - i, 0.0), 1.0)
        fb = min(max(p[1] - j if axis == 2 else p[2] - k, 0.0), 1.0)
        ambient = _ambient(free, i, j, k, axis, side, fa, fb)
        pixel = footprint + t * spread
        width = max(0.05, pixel)
        border = min(fa, 1.0 - fa, fb, 1.0 - fb)
        # a line thinner than the pixel is drawn wider and paler; it is gone where cubes are a few pixels small
        line = edges * max(0.0, 1.0 - border / width) * (0.05 / width) * min(max(1.5 - pixel * 5.0, 0.0), 1.0)
    facing = side * sun[axis]
    if facing > 0.0 and shadows:
        lift = 1e-3 * side
        lifted = (
            p[0] + (lift if axis == 0 else 0.0),
            p[1] + (lift if axis == 1 else 0.0),
            p[2] + (lift if axis == 2 else 0.0),
        )
        to_sun = (sun[0], sun[1], sun[2])
        if _trace(free, lifted, to_sun, 0.0, 150.0)[0] >= 0.0 or _trace_boxes(boxes, lifted, to_sun, 1e-2)[0] >= 0.0:
            facing = 0.0
    sky = 0.46 + (0.10 * side if axis == 2 else 0.0)
    light = (sky * (0.25 + 0.75 * ambient) + 0.58 * max(facing, 0.0)) * (1.0 - line)
    if not shadows:
        plane = 0  # without shadows, steps of one colour hardly show: not worth more rays
    surface = ((row * 512 + plane) * 8 + axis * 2 + (side + 1) // 2) * 2 + (1 if facing > 0.0 else 0)
    # colours mix as light, which is about the square of their stored value
    return palette[row, 0] ** 2 * light, palette[row, 1] ** 2 * light, palette[row, 2] ** 2 * light, t, row, surface


@_jit
def _ray(origins: Float64, directions: Float64, u: float, v: float) -> tuple[Vector, Vector]:
    o = (
        origins[0, 0] + u * origins[1, 0] + v * origins[2, 0],
        origins[0, 1] + u * origins[1, 1] + v * origins[2, 1],
        origins[0, 2] + u * origins[1, 2] + v * origins[2, 2],
    )
    x = directions[0, 0] + u * directions[1, 0] + v * directions[2, 0]
    y = directions[0, 1] + u * directions[1, 1] + v * directions[2, 1]
    z = directions[0, 2] + u * directions[1, 2] + v * directions[2, 2]
    scale = 1.0 / math.sqrt(x * x + y * y + z * z)
    return o, (x * scale, y * scale, z * scale)


@numba.njit(cache=True, error_model="numpy", parallel=True)
def cast(
    paint: UInt16,
    free: UInt8,
    palette: Float32,
    origins: Float64,
    directions: Float64,
    width: int,
    height: int,
    antialias: bool,
    near: float,
    far: float,
    sun: Float64,
    shadows: bool,
    edges: float,
    boxes: Float64,
) -> tuple[Float32, Float32, Float32, UInt16]:
    """One ray through every pixel centre, then four more where a neighbour shows another surface."""
    light = np.zeros((height, width, 3), np.float32)
    coverage = np.zeros((height, width), np.float32)
    distance = np.full((height, width), np.inf, np.float32)
    hit = np.zeros((height, width), np.uint16)
    surfaces = np.full((height, width), -1, np.int64)
    footprint = math.sqrt((origins[1] ** 2).sum())
    spread = math.sqrt((directions[1] ** 2).sum() / (directions[0] ** 2).sum())
    # Sky and ground cost differently: interleaved rows give every thread its share of both.
    rows = -(-height // BANDS)
    for n in numba.prange(rows * BANDS):
        y = (n % rows) * BANDS + n // rows
        for x in range(width if y < height else 0):
            o, d = _ray(origins, directions, float(x), float(y))
            r, g, b, t, row, surface = _shade(
                paint, free, palette, o, d, near, far, footprint, spread, sun, shadows, edges, boxes
            )
            if t >= 0.0:
                light[y, x, 0], light[y, x, 1], light[y, x, 2] = r, g, b
                coverage[y, x], distance[y, x], hit[y, x], surfaces[y, x] = 1.0, t, row, surface
    for n in numba.prange(rows * BANDS):
        y = (n % rows) * BANDS + n // rows
        for x in range(width if y < height else 0):
            own = surfaces[y, x]
            even = own == surfaces[y, max(x - 1, 0)] and own == surfaces[y, min(x + 1, width - 1)]
            even = even and own == surfaces[max(y - 1, 0), x] and own == surfaces[min(y + 1, height - 1), x]
            if antialias and not even:
                red, green, blue = light[y, x, 0], light[y, x, 1], light[y, x, 2]
                count = 1.0 if own >= 0 else 0.0
                for sample in range(4):
                    # rotated grid: no two samples share a row or a column
                    u = x + (0.375, 0.125, -0.125, -0.375)[sample]
                    v = y + (0.125, -0.375, 0.375, -0.125)[sample]
                    o, d = _ray(origins, directions, u, v)
                    r, g, b, t, _, _ = _shade(
                        paint, free, palette, o, d, near, far, footprint, spread, sun, shadows, edges, boxes
                    )
                    if t >= 0.0:
                        red, green, blue, count = red + r, green + g, blue + b, count + 1.0
                coverage[y, x] = count / 5.0
                count = max(count, 1.0)
                light[y, x, 0], light[y, x, 1], light[y, x, 2] = red / count, green / count, blue / count
            for c in range(3):
                light[y, x, c] = min(math.sqrt(light[y, x, c]), 1.0)
    return light, coverage, distance, hit
