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

"""One sweep as rays in the fixed frame, each from where the lidar was at its own time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from flashocc_ros.labelling.beams import complete_directions, free_lengths
from flashocc_ros.labelling.clouds import UNKNOWN_CLASS, Cloud

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

KNOTS = 11
"""Poses per sweep; between them the lidar moves on a straight line."""
NO_RETURN, RETURN, OWN = 0, 1, 2
NOBODY = -1
FREE_RANGE_M = 60.0
"""A ray without return passes this far where those around it give none either."""


@dataclass(eq=False)
class Sweep:
    """M rays.

    Attributes:
        start_ns, end_ns: times of the first and of the last ray.
        anchor: (3,) float64 metres, fixed frame; what follows is relative to it, so that float32 is exact enough.
        origins: (K, 3) float32, the lidar at K evenly spaced times; knot: (M,) uint8, the nearest of them to each ray.
        ends: (M, 3) float32, where each ray hit, or as far as it is free.
        kind: (M,) uint8 ``NO_RETURN``, ``RETURN``, or ``OWN`` (the vehicle itself: neither hit nor free).
        classes: (M,) uint8, 255 unknown.
        times: (M,) float32 seconds after ``start_ns``.
        owner: (M,) int32 number of the box that a hit lies in or near, -1 none; inside: (M,) bool, in it.
        local: (M, 3) float32 metres, hits of an owner in its box; empty before boxes are known.
    """

    start_ns: int
    end_ns: int
    anchor: Float64
    origins: Float32
    knot: npt.NDArray[np.uint8]
    ends: Float32
    kind: npt.NDArray[np.uint8]
    classes: npt.NDArray[np.uint8]
    times: Float32
    owner: npt.NDArray[np.int32]
    inside: npt.NDArray[np.bool_]
    local: Float32
    owned: npt.NDArray[np.int32]

    @property
    def rays(self) -> int:
        return len(self.ends)


def make_sweep(
    cloud: Cloud,
    stamp_ns: int,
    fixed_from_lidar: Callable[[int], Float64],
    base_from_lidar: Float64,
    own_box_m: tuple[float, ...],
    range_m: tuple[float, float],
) -> tuple[Sweep, bool]:
    """Rays of a cloud, and whether those without return are among them.

    Args:
        fixed_from_lidar: pose (4, 4) at a time in nanoseconds; asked for `KNOTS` times within the sweep.
        base_from_lidar: (4, 4) mounting.
        own_box_m: x, y, z from and x, y, z to in the base frame: the vehicle itself.
        range_m: hits nearer or farther do not count.
    """
    times = cloud.times_s
    if times is None or times.size == 0:
        begin_s, end_s, times = 0.0, 0.0, np.zeros(len(cloud.points))
        knots = np.zeros(1)
    else:
        begin_s, end_s = float(times.min()), float(times.max())
        knots = np.linspace(begin_s, end_s, KNOTS)
    poses = np.stack([fixed_from_lidar(stamp_ns + round(t * 1e9)) for t in knots])
    anchor = poses[len(poses) // 2, :3, 3].copy()
    poses[:, :3, 3] -= anchor
    directions = None if cloud.shape is None else complete_directions(cloud.points, cloud.shape)
    points = cloud.points.copy()
    kind = np.where(np.isfinite(points[:, 0]), RETURN, OWN).astype(np.uint8)
    if directions is not None and cloud.shape is not None:
        gone = kind == OWN
        points[gone] = directions[gone] * free_lengths(cloud.points, *cloud.shape, FREE_RANGE_M)[gone, None]
        kind[gone] = NO_RETURN
    _mark_own(points, kind, base_from_lidar, np.asarray(own_box_m, np.float64), *range_m)
    keep = kind != OWN
    points, kind = np.ascontiguousarray(points[keep]), kind[keep]
    offsets = (times[keep] - begin_s).astype(np.float32)
    ends, knot = np.empty_like(points), np.empty(len(points), np.uint8)
    _move(points, offsets, max(end_s - begin_s, 1e-9), poses, ends, knot)
    classes = np.full(len(points), UNKNOWN_CLASS, np.uint8) if cloud.classes is None else cloud.classes[keep]
    start_ns = stamp_ns + round(begin_s * 1e9)
    sweep = Sweep(
        start_ns,
        stamp_ns + round(end_s * 1e9),
        anchor,
        poses[:, :3, 3].astype(np.float32),
        knot,
        ends,
        kind,
        classes,
        offsets,
        np.full(len(points), NOBODY, np.int32),
        np.zeros(len(points), bool),
        np.empty((0, 3), np.float32),
        np.empty(0, np.int32),
    )
    return sweep, directions is not None


@numba.njit(cache=True, nogil=True)
def _mark_own(points, kind, pose, box, nearest, farthest):  # type: ignore[no-untyped-def]
    for i in range(len(points)):
        if kind[i] != RETURN:
            continue
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        away = np.sqrt(x * x + y * y + z * z)
        bx = pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3]
        by = pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3]
        bz = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z + pose[2, 3]
        own = box[0] < bx < box[3] and box[1] < by < box[4] and box[2] < bz < box[5]
        if own or away < nearest or away > farthest:
            kind[i] = OWN


@numba.njit(cache=True, nogil=True)
def _move(points, offsets, span, poses, ends, knot):  # type: ignore[no-untyped-def]
    last = len(poses) - 1
    for i in range(len(points)):
        at = offsets[i] / span * last
        k = min(int(at), max(last - 1, 0))
        f = at - k
        n = min(k + 1, last)
        for j in range(3):
            a = poses[k, j, 3]
            b = poses[n, j, 3]
            for m in range(3):
                a += poses[k, j, m] * points[i, m]
                b += poses[n, j, m] * points[i, m]
            ends[i, j] = a + f * (b - a)
        knot[i] = min(int(at + 0.5), last)
