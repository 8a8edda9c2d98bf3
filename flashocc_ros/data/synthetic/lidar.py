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

"""A lidar on the roof: rolling sweeps with noise, rays that give no return, and leaves that a part of the rays passes.

Every column of a sweep has its own time and so its own pose of the vehicle; what moves, moves between the columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from flashocc_ros.data.synthetic.materials import GLASS, LEAVES, MESH
from flashocc_ros.data.synthetic.raster import ground_hit, hash_cell
from flashocc_ros.data.synthetic.solids import Solids, enter_exit
from flashocc_ros.data.synthetic.street import ground_class
from flashocc_ros.data.synthetic.truth import LIDAR_ELEVATIONS_RAD, LIDAR_MOUNT_M
from flashocc_ros.data.synthetic.world import World
from flashocc_ros.labels import FREE

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

RATE_HZ = 20.0
RANGE_M = 70.0
NOISE_M = 0.02
_NEAR_M = 0.5
_LEAF_DEPTH_M = 0.35
"""Mean way of a ray into leaves; who leaves the crown earlier goes on."""
_GLASS_LOSS = 0.15
_LOSS, _FAR_LOSS = 0.005, 0.2
"""Share of rays that do not come back from close by and, more, from the end of the range."""
_POSES = 13
"""Poses of the vehicle per sweep; between them it moves on a straight line."""


@dataclass(frozen=True, eq=False)
class Lidar:
    """How a lidar scans.

    Attributes:
        elevations_rad: (H,) beams, lowest first.
        azimuths_rad: (W,) columns in the order of time, over ``1 / rate_hz``.
        rate_hz: sweeps per second.
    """

    elevations_rad: Float64
    azimuths_rad: Float64
    rate_hz: float = RATE_HZ

    @property
    def times_s(self) -> Float64:
        """(W,) of each column after the start of the sweep."""
        return np.arange(len(self.azimuths_rad)) / len(self.azimuths_rad) / self.rate_hz


LIDARS = ("32", "16", "128", "forward")


def make_lidar(kind: str = "32") -> Lidar:
    """A spinning lidar of 16, 32 or 128 beams and 1080 columns, or one that looks 120 degrees ``forward``."""
    if kind == "forward":
        return Lidar(np.deg2rad(np.linspace(-20, 8, 96)), np.deg2rad(np.linspace(60, -60, 400)))
    low, high = LIDAR_ELEVATIONS_RAD[[0, -1]]
    elevations = LIDAR_ELEVATIONS_RAD if kind == "32" else np.linspace(low, high, int(kind))
    return Lidar(elevations, np.pi - 2 * np.pi * np.arange(1080) / 1080)


@dataclass(frozen=True, eq=False)
class Sweep:
    """One turn, H beams by W columns.

    Attributes:
        start_s: time of the first column in the drive.
        points: (H, W, 3) float32 metres, each in the frame of the lidar at its own time; NaN without return.
        labels: (H, W) uint8 classes, 17 without return.
        intensity: (H, W) float32 0 to 1.
    """

    start_s: float
    points: Float32
    labels: npt.NDArray[np.uint8]
    intensity: Float32


def base_from_lidar() -> Float64:
    """(4, 4) where it is mounted: level, on the roof."""
    pose = np.eye(4)
    pose[:3, 3] = LIDAR_MOUNT_M
    return pose


def scan(world: World, lidar: Lidar, number: int) -> Sweep:
    """Sweep ``number`` of a drive, which starts ``number / rate_hz`` seconds after it; the same numbers every time."""
    start = number / lidar.rate_hz
    knots = np.linspace(0, 1 / lidar.rate_hz, _POSES)
    poses = np.stack([world.ego_pose(start + k) @ base_from_lidar() for k in knots])
    share = lidar.times_s * lidar.rate_hz
    flat = poses.reshape(_POSES, 16)
    columns = np.stack([np.interp(share * knots[-1], knots, flat[:, i]) for i in range(16)], 1).reshape(-1, 4, 4)
    middle = start + 0.5 * knots[-1]
    solids, velocity = _moving_solids(world, middle, 0.5 * knots[-1], columns[len(columns) // 2, :3, 3])
    shape = len(lidar.elevations_rad), len(lidar.azimuths_rad)
    distance = np.full(shape, np.inf)
    labels = np.full(shape, FREE, np.uint8)
    color = np.zeros(shape, np.float32)
    _cast(
        solids, velocity, world.street.ground, columns, start + lidar.times_s - middle, lidar.elevations_rad,
        lidar.azimuths_rad, (world.seed * 7919 + number * 104729) & 0x7FFFFFFF, distance, labels, color,
    )  # fmt: skip
    distance[~np.isfinite(distance)] = np.nan
    cos = np.cos(lidar.elevations_rad)[:, None]
    directions = np.stack(
        np.broadcast_arrays(
            cos * np.cos(lidar.azimuths_rad), cos * np.sin(lidar.azimuths_rad), np.sin(lidar.elevations_rad)[:, None]
        ),
        -1,
    )
    return Sweep(start, (directions * distance[..., None]).astype(np.float32), labels, color)


def _moving_solids(world: World, t: float, reach_s: float, around: Float64) -> tuple[Solids, Float32]:
    """Solids around a point at time t and their velocity (P, 3) in metres per second, nearest first."""
    solids, owner = world.solids(t, around, RANGE_M)
    before, before_owner = world.solids(t - reach_s, around, RANGE_M + 5)
    common = np.isin(owner, before_owner)
    velocity = np.zeros_like(solids.center)
    was = before.center[np.isin(before_owner, owner)]
    velocity[common] = (solids.center[common] - was) / np.float32(reach_s)
    order = np.argsort(np.linalg.norm(solids.center - around, axis=1) - np.linalg.norm(solids.half, axis=1))
    return solids.select(order), velocity[order]


@numba.njit(cache=True, nogil=True)
def _bounds(solids, origin, reach_s, velocity, center_rad, half_rad, low, high, near):  # type: ignore[no-untyped-def]
    """Azimuths, slopes and distances between which each solid lies, seen from ``origin``."""
    for i in range(solids.center.shape[0]):
        c, r, h = solids.center[i], solids.rotation[i], solids.half[i]
        x, y = c[0] - origin[0], c[1] - origin[1]
        radius = np.sqrt(h[0] * h[0] + h[1] * h[1] + h[2] * h[2])
        travelled = 0.3 + reach_s * (abs(velocity[i, 0]) + abs(velocity[i, 1]) + 15.0)  # of both, at most
        flat = np.sqrt(x * x + y * y)
        near[i] = max(np.sqrt(flat * flat + (c[2] - origin[2]) ** 2) - radius - travelled, 0.0)
        center_rad[i] = np.arctan2(y, x)
        if flat < radius + travelled + 0.5:
            half_rad[i], low[i], high[i] = 4.0, -9.0, 9.0
            continue
        half_rad[i], low[i], high[i] = 0.0, 9.0, -9.0
        for corner in range(8):
            sx = h[0] if corner & 1 else -h[0]
            sy = h[1] if corner & 2 else -h[1]
            sz = h[2] if corner & 4 else -h[2]
            px = x + r[0, 0] * sx + r[0, 1] * sy + r[0, 2] * sz
            py = y + r[1, 0] * sx + r[1, 1] * sy + r[1, 2] * sz
            pz = c[2] - origin[2] + r[2, 0] * sx + r[2, 1] * sy + r[2, 2] * sz
            away = np.sqrt(px * px + py * py)
            turn = np.arctan2(py, px) - center_rad[i]
            turn -= 2 * np.pi * np.round(turn / (2 * np.pi))
            half_rad[i] = max(half_rad[i], abs(turn))
            low[i], high[i] = min(low[i], pz / away), max(high[i], pz / away)
        half_rad[i] += travelled / flat
        # The nearest point of a side may be nearer than its corners, and so seen steeper.
        steeper = (flat + radius) / (flat - radius)
        low[i] = (low[i] * steeper if low[i] < 0 else low[i] / steeper) - travelled / flat
        high[i] = (high[i] * steeper if high[i] > 0 else high[i] / steeper) + travelled / flat


@numba.njit(cache=True, nogil=True)
def _cast(  # type: ignore[no-untyped-def]
    solids, velocity, ground, poses, times, elevations, azimuths, seed, distance, labels, color
):
    """Fill ``distance`` (H, W; inf without return), ``labels`` and ``color`` of one sweep."""
    count, beams, width = solids.center.shape[0], len(elevations), len(azimuths)
    center_rad, half_rad = np.empty(count), np.empty(count)
    low, high, near = np.empty(count), np.empty(count), np.empty(count)
    reach_s = max(abs(times[0]), abs(times[-1]))
    _bounds(solids, poses[width // 2, :3, 3], reach_s, velocity, center_rad, half_rad, low, high, near)
    direction, slope = np.empty((beams, 3)), np.empty(beams)
    hit, end = np.empty(beams, np.int64), np.empty(beams)
    o = np.empty(3)
    u = np.empty(3)
    for a in range(width):
        pose, dt = poses[a], times[a]
        cos, sin = np.cos(azimuths[a]), np.sin(azimuths[a])
        for b in range(beams):
            level, up = np.cos(elevations[b]), np.sin(elevations[b])
            for j in range(3):
                direction[b, j] = pose[j, 0] * level * cos + pose[j, 1] * level * sin + pose[j, 2] * up
            slope[b] = direction[b, 2] / np.sqrt(direction[b, 0] ** 2 + direction[b, 1] ** 2)
            hit[b], end[b] = -1, RANGE_M
        heading = np.arctan2(pose[1, 0] * cos + pose[1, 1] * sin, pose[0, 0] * cos + pose[0, 1] * sin)
        farthest = RANGE_M
        for i in range(count):
            turn = heading - center_rad[i]
            turn -= 2 * np.pi * np.round(turn / (2 * np.pi))
            if abs(turn) > half_rad[i] or near[i] > farthest:
                continue
            r, h, kind = solids.rotation[i], solids.half[i], solids.kind[i]
            for j in range(3):
                o[j] = 0.0
                for m in range(3):
                    o[j] += r[m, j] * (pose[m, 3] - solids.center[i, m] - velocity[i, m] * dt)
                o[j] /= h[j]
            for b in range(beams):
                if near[i] > end[b] or slope[b] < low[i] or slope[b] > high[i]:
                    continue
                d = direction[b]
                for j in range(3):
                    u[j] = (r[0, j] * d[0] + r[1, j] * d[1] + r[2, j] * d[2]) / h[j]
                enter, leave = enter_exit(
                    kind, solids.taper[i, 0], solids.taper[i, 1], o[0], o[1], o[2], u[0], u[1], u[2]
                )
                if enter > leave or enter < _NEAR_M or enter >= end[b]:
                    continue
                chance = hash_cell(a, b, seed + i)
                if solids.material[i] == LEAVES:
                    enter -= _LEAF_DEPTH_M * np.log(chance + 1e-12)
                    if enter > leave or enter >= end[b]:
                        continue
                elif solids.material[i] == MESH and chance < 0.5:
                    continue
                hit[b], end[b] = i, enter
            if i % 64 == 63:
                farthest = end.max()
        _finish_column(solids, ground, pose, direction, hit, end, a, seed, distance, labels, color)


@numba.njit(cache=True, nogil=True)
def _finish_column(  # type: ignore[no-untyped-def]
    solids, ground, pose, direction, hit, end, a, seed, distance, labels, color
):
    """The ground under what was hit, rays that are lost, and noise."""
    for b in range(len(hit)):
        d = direction[b]
        loss = _LOSS
        if hit[b] >= 0:
            label, shade = solids.label[hit[b]], solids.color[hit[b], 1]
            if solids.material[hit[b]] == GLASS:
                loss += _GLASS_LOSS
        else:
            label, shade = FREE, np.float32(0.0)
        if d[2] < -1e-3:
            t, edge, _, across, paved, side = ground_hit(
                ground, pose[0, 3], pose[1, 3], pose[2, 3], d[0], d[1], d[2], min(-2.0 / d[2], RANGE_M), end[b]
            )
            if 0 < t < end[b]:
                end[b] = t
                label, shade = ground_class(ground.profile, edge, across, paved, side), np.float32(0.2)
        if label == FREE:
            continue
        loss += _FAR_LOSS * (end[b] / RANGE_M) ** 4
        if hash_cell(b, a, seed + 77) < loss:
            continue
        u, v = hash_cell(a, b, seed + 5), hash_cell(b, a, seed + 6)
        normal = np.sqrt(-2 * np.log(u + 1e-12)) * np.cos(2 * np.pi * v)  # Box and Muller
        distance[b, a] = end[b] + NOISE_M * normal
        labels[b, a] = label
        color[b, a] = shade
