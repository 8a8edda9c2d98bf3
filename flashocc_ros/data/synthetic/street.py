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

"""The ground: a curved main street with side streets, kerbs, sidewalks, verges and gentle hills.

A raster of the street coordinates (s along, d to the left) of the main street and of the height is interpolated
bilinearly; side streets are straight and evaluated exactly. Renderer and labels ask the same function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from flashocc_ros.labels import CLASS_NAMES

DRIVEABLE, OTHER_FLAT, SIDEWALK, TERRAIN = (
    CLASS_NAMES.index(n) for n in ("driveable_surface", "other_flat", "sidewalk", "terrain")
)
Float64 = npt.NDArray[np.float64]
RASTER_M = 2.0
STEP_M = 0.5
KERB_M = 0.13
MARGIN_M = 110.0


class Ground(NamedTuple):
    """What compiled code needs to know about the ground.

    Attributes:
        raster: (Y, X, 4) float32: s, d, height, surface beside the street (above 0.5: paved).
        origin: (2,) float64 x, y of raster[0, 0] in metres.
        side: (C, 6) float64 side streets: x, y of the crossing, unit direction, half width, s of the main street.
        profile: (8,) float64: half width of the main street, width of sidewalk, half width of the median (0 none),
            width of a lane, lanes per direction, width of the parking strip, dash phase, colour variation.
    """

    raster: npt.NDArray[np.float32]
    origin: Float64
    side: Float64
    profile: Float64


@dataclass(frozen=True, eq=False)
class Path:
    """A centre line sampled every half metre.

    Attributes:
        s: (K,) arc length in metres; x, y, yaw: (K,) metres and radians in the world.
    """

    s: Float64
    x: Float64
    y: Float64
    yaw: Float64

    def pose(self, s: Any, d: Any) -> tuple[Float64, Float64, Float64]:
        """World x, y, yaw at arc length ``s`` and ``d`` metres to the left; numbers or arrays of one shape."""
        yaw = np.interp(s, self.s, self.yaw)
        x = np.interp(s, self.s, self.x) - np.asarray(d) * np.sin(yaw)
        y = np.interp(s, self.s, self.y) + np.asarray(d) * np.cos(yaw)
        return x, y, yaw

    def point(self, s: float, d: float) -> tuple[float, float]:
        """World x, y of one place; quicker than ``pose`` because samples are evenly spaced."""
        at = min(max((s - self.s[0]) / STEP_M, 0.0), len(self.s) - 1.001)
        i = int(at)
        f = at - i
        yaw = self.yaw[i] * (1 - f) + self.yaw[i + 1] * f
        x = self.x[i] * (1 - f) + self.x[i + 1] * f - d * math.sin(yaw)
        return float(x), float(self.y[i] * (1 - f) + self.y[i + 1] * f + d * math.cos(yaw))


@dataclass(frozen=True, eq=False)
class Street:
    """Centre lines and ground of one drive.

    Attributes:
        main: the street the vehicle drives on.
        sides: straight side streets; s = 0 where they cross the main street.
        side_s: arc length on the main street of each crossing.
        side_half_m: half width of each side street.
        ground: for compiled code.
    """

    main: Path
    sides: tuple[Path, ...]
    side_s: tuple[float, ...]
    side_half_m: tuple[float, ...]
    ground: Ground


def make_street(rng: np.random.Generator, length_m: float) -> Street:
    """A street of the given length; s = 0 lies at world origin, pointing along x."""
    step = STEP_M
    count = int(length_m / step) + 1
    curvature = np.zeros(count)
    if rng.random() < 0.65:
        at = 0
        while at < count:
            span = int(rng.uniform(60, 140) / step)
            curvature[at : at + span] = rng.choice([-1, 0, 1]) / rng.uniform(70, 220)
            at += span
    kernel = np.ones(41) / 41
    yaw: Float64 = np.cumsum(np.convolve(curvature, kernel, mode="same")).astype(np.float64, copy=False) * step
    x, y = np.cumsum(np.cos(yaw)) * step, np.cumsum(np.sin(yaw)) * step
    main = Path(np.arange(count, dtype=np.float64) * step, x.astype(np.float64), y.astype(np.float64), yaw)

    lanes = int(rng.choice([1, 1, 1, 2]))
    median = float(rng.uniform(0.6, 1.2)) if rng.random() < 0.3 else 0.0
    parking = 2.5 if rng.random() < 0.8 else 0.9
    lane = rng.uniform(3.0, 3.4)
    sidewalk = rng.uniform(2.0, 3.6)
    half = median + lanes * lane + 0.9 + parking
    profile = np.array([half, sidewalk, median, lane, lanes, parking, rng.uniform(0, 9), rng.uniform(-1, 1)])

    sides, side_s, side_half, rows = [], [], [], []
    crossing_s = rng.uniform(25, 90)
    while crossing_s < length_m - 20:
        px, py, pyaw = (float(v) for v in main.pose(crossing_s, 0.0))
        direction = pyaw + np.pi / 2 + rng.uniform(-0.25, 0.25)
        s = np.arange(-MARGIN_M, MARGIN_M + step, step)
        cos, sin = np.cos(direction), np.sin(direction)
        sides.append(Path(s, px + s * cos, py + s * sin, np.full(len(s), direction)))
        side_s.append(crossing_s)
        side_half.append(float(rng.uniform(3.2, 5.5)))
        rows.append([px, py, cos, sin, side_half[-1], crossing_s])
        crossing_s += rng.uniform(60, 130)
    side_array = np.array(rows, np.float64).reshape(-1, 6)
    raster, origin = _rasterise(rng, main)
    return Street(main, tuple(sides), tuple(side_s), tuple(side_half), Ground(raster, origin, side_array, profile))


def _rasterise(rng: np.random.Generator, main: Path) -> tuple[npt.NDArray[np.float32], Float64]:
    low = np.array([main.x.min(), main.y.min()]) - MARGIN_M
    high = np.array([main.x.max(), main.y.max()]) + MARGIN_M
    shape = np.ceil((high - low) / RASTER_M).astype(int) + 1
    gx, gy = np.meshgrid(low[0] + RASTER_M * np.arange(shape[0]), low[1] + RASTER_M * np.arange(shape[1]))
    _, index = cKDTree(np.stack([main.x, main.y], 1)[::2]).query(np.stack([gx.ravel(), gy.ravel()], 1))
    index = index * 2
    dx, dy = gx.ravel() - main.x[index], gy.ravel() - main.y[index]
    cos, sin = np.cos(main.yaw[index]), np.sin(main.yaw[index])
    raster = np.empty((shape[1], shape[0], 4), np.float32)
    raster[..., 0] = (main.s[index] + dx * cos + dy * sin).reshape(gx.shape)
    raster[..., 1] = (dy * cos - dx * sin).reshape(gx.shape)
    height = np.zeros(gx.shape)
    for _ in range(3):
        direction, phase = rng.uniform(0, 2 * np.pi, 2)
        wave = 2 * np.pi / rng.uniform(70, 180)
        height += rng.uniform(0.04, 0.22) * np.sin(wave * (gx * np.cos(direction) + gy * np.sin(direction)) + phase)
    raster[..., 2] = height
    blocks = rng.random((2, 64))
    share = rng.uniform(0.25, 0.75)
    s, d = raster[..., 0], raster[..., 1]
    paved = blocks[(d > 0).astype(int), np.clip((s / 28).astype(int), 0, 63)] < share
    raster[..., 3] = paved
    return raster, low


@numba.njit(inline="always", cache=True)
def _blend(a, b, width):  # type: ignore[no-untyped-def]
    """Smooth minimum: rounds the kerb at street corners."""
    h = max(width - abs(a - b), 0.0) / width
    return min(a, b) - h * h * width * 0.25


@numba.njit(cache=True, fastmath=True)
def base_height(ground, x, y):  # type: ignore[no-untyped-def]
    """Height of the hills in metres, without kerbs."""
    raster = ground.raster
    fx = min(max((x - ground.origin[0]) / RASTER_M, 0.0), raster.shape[1] - 1.001)
    fy = min(max((y - ground.origin[1]) / RASTER_M, 0.0), raster.shape[0] - 1.001)
    ix, iy = int(fx), int(fy)
    fx -= ix
    fy -= iy
    low = raster[iy, ix, 2] * (1 - fx) + raster[iy, ix + 1, 2] * fx
    return low * (1 - fy) + (raster[iy + 1, ix, 2] * (1 - fx) + raster[iy + 1, ix + 1, 2] * fx) * fy


@numba.njit(cache=True)
def base_heights(ground, x, y):  # type: ignore[no-untyped-def]
    """``base_height`` of many points: (M,) x and y to (M,) metres."""
    out = np.empty(len(x))
    for i in range(len(x)):
        out[i] = base_height(ground, x[i], y[i])
    return out


@numba.njit(cache=True, fastmath=True)
def street_at(ground, x, y):  # type: ignore[no-untyped-def]
    """(edge, s, d, height, paved, side) at a world point.

    ``edge`` is the signed distance to the kerb in metres (negative on the street), ``side`` the index of the nearest
    side street whose carriageway or mouth is here (-1: none), ``paved`` whether the land beside is other_flat.
    """
    raster, profile = ground.raster, ground.profile
    fx = min(max((x - ground.origin[0]) / RASTER_M, 0.0), raster.shape[1] - 1.001)
    fy = min(max((y - ground.origin[1]) / RASTER_M, 0.0), raster.shape[0] - 1.001)
    ix, iy = int(fx), int(fy)
    fx -= ix
    fy -= iy
    w00, w01, w10, w11 = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
    a, b, c, e = raster[iy, ix], raster[iy, ix + 1], raster[iy + 1, ix], raster[iy + 1, ix + 1]
    s = a[0] * w00 + b[0] * w01 + c[0] * w10 + e[0] * w11
    d = a[1] * w00 + b[1] * w01 + c[1] * w10 + e[1] * w11
    height = a[2] * w00 + b[2] * w01 + c[2] * w10 + e[2] * w11
    paved = a[3] * w00 + b[3] * w01 + c[3] * w10 + e[3] * w11 > 0.5
    edge = abs(d) - profile[0]
    side = -1
    for k in range(ground.side.shape[0]):
        row = ground.side[k]
        across = abs((y - row[1]) * row[2] - (x - row[0]) * row[3])
        if across < row[4] + 12.0:
            edge = _blend(edge, across - row[4], 5.0)
            if across < row[4] + 1.5:
                side = k
    lift = min(max(edge / 0.12, 0.0), 1.0) * KERB_M
    if edge < 0 and profile[2] > 0 and side < 0:
        lift = min(max((profile[2] - abs(d)) / 0.12, 0.0), 1.0) * KERB_M
    return edge, s, d, height + lift, paved, side


@numba.njit(inline="always", cache=True)
def ground_class(profile, edge, d, paved, side):  # type: ignore[no-untyped-def]
    """Semantic class of the ground."""
    if edge < 0:
        if abs(d) < profile[2] and side < 0:
            return OTHER_FLAT
        return DRIVEABLE
    if edge < profile[1]:
        return SIDEWALK
    return OTHER_FLAT if paved else TERRAIN
