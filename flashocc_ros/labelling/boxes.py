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

"""Boxes with ids over time: where each is at any moment, which points are in it, and whether it moves at all."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from flashocc_ros.labelling.sweeps import NOBODY, RETURN, Sweep

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

MARGIN_M = 0.3
"""Points this close around a box that moves belong to nobody: boxes are never exact, and what is left of traffic draws
walls along its way."""
SMOOTH_S = 0.55
"""A box is where a straight line through its detections this near in time says."""
HOLD_S = 0.15
"""A box is not carried further than this before its first and after its last detection."""
MOVING_M = 0.25
"""Standard deviation of its middle above which a box moves; detections of what stands scatter by 0.1 m per axis."""


@dataclass(frozen=True, eq=False)
class BoxFrame:
    """B boxes of one moment.

    Attributes:
        stamp_ns: when.
        ids: (B,) int64, above 0, the same thing keeps its number.
        classes: (B,) uint8 occupancy classes.
        poses: (B, 4, 4) float64 fixed frame from box (x along the length, z up), origin in its middle.
        sizes: (B, 3) float64 length, width, height in metres.
    """

    stamp_ns: int
    ids: Int64
    classes: npt.NDArray[np.uint8]
    poses: Float64
    sizes: Float64


@dataclass(frozen=True, eq=False)
class Placed:
    """Boxes at a moment that may lie between detections; fields as in `BoxFrame`."""

    ids: Int64
    classes: npt.NDArray[np.uint8]
    poses: Float64
    sizes: Float64

    @property
    def count(self) -> int:
        return len(self.ids)


NO_BOXES = Placed(np.empty(0, np.int64), np.empty(0, np.uint8), np.empty((0, 4, 4)), np.empty((0, 3)))


def poses_of(centers: npt.ArrayLike, yaws: npt.ArrayLike, target_from_frame: Float64) -> Float64:
    """(B, 4, 4) of boxes given by (B, 3) centre and (B,) yaw in some frame."""
    yaw = np.asarray(yaws, np.float64)
    poses = np.tile(np.eye(4), (len(yaw), 1, 1))
    poses[:, 0, 0], poses[:, 1, 1] = np.cos(yaw), np.cos(yaw)
    poses[:, 1, 0], poses[:, 0, 1] = np.sin(yaw), -np.sin(yaw)
    poses[:, :3, 3] = np.asarray(centers, np.float64).reshape(-1, 3)
    return np.asarray(target_from_frame @ poses)


class BoxHistory:
    """The boxes of the last and the next seconds.

    It holds the frames that were given to `add` and not yet dropped by `forget_before`.
    """

    def __init__(self) -> None:
        self._frames: deque[BoxFrame] = deque()
        self._stamps: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def newest_ns(self) -> int:
        return self._stamps[-1] if self._stamps else -(1 << 62)

    def add(self, frame: BoxFrame) -> None:
        """Of a later moment than all before; an earlier one is put in its place."""
        at = bisect_right(self._stamps, frame.stamp_ns)
        self._stamps.insert(at, frame.stamp_ns)
        self._frames.insert(at, frame)

    def forget_before(self, stamp_ns: int) -> None:
        while self._stamps and self._stamps[0] < stamp_ns:
            self._stamps.popleft()
            self._frames.popleft()

    def at(self, stamp_ns: int) -> Placed:
        """Every box at a moment, by a weighted straight line through its detections within ``SMOOTH_S``.

        A box without a detection on both sides is held for ``HOLD_S``.
        """
        near = self._between(stamp_ns, SMOOTH_S)
        if not near:
            return NO_BOXES
        count = [len(frame.ids) for frame in near]
        dt = np.repeat([(frame.stamp_ns - stamp_ns) / 1e9 for frame in near], count)
        ids = np.concatenate([frame.ids for frame in near])
        poses = np.concatenate([frame.poses for frame in near])
        unique, owner = np.unique(ids, return_inverse=True)
        earliest, latest = np.full(len(unique), np.inf), np.full(len(unique), -np.inf)
        np.minimum.at(earliest, owner, dt)
        np.maximum.at(latest, owner, dt)
        known = (earliest <= HOLD_S) & (latest >= -HOLD_S)
        values = np.concatenate([poses[:, :3, 3], poses[:, :3, 0], poses[:, :3, 2]], 1)
        fitted = _lines_at_zero(values, dt, owner, len(unique))
        x, z = fitted[:, 3:6], fitted[:, 6:9]
        z = z / np.linalg.norm(z, axis=1, keepdims=True)
        x = x - (x * z).sum(1, keepdims=True) * z
        x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
        result = np.tile(np.eye(4), (len(unique), 1, 1))
        result[:, :3, 0], result[:, :3, 1], result[:, :3, 2] = x, np.cross(z, x), z
        result[:, :3, 3] = fitted[:, :3]
        times = np.bincount(owner, minlength=len(unique))
        sizes = np.concatenate([frame.sizes for frame in near])
        mean = np.stack([np.bincount(owner, sizes[:, j], len(unique)) / times for j in range(3)], 1)
        classes = np.zeros(len(unique), np.uint8)
        classes[owner] = np.concatenate([frame.classes for frame in near])
        return Placed(unique[known], classes[known], result[known], mean[known])

    def moving(self) -> Int64:
        """Sorted ids of the boxes whose middles spread by more than ``MOVING_M`` in what is held."""
        if not self._frames:
            return np.empty(0, np.int64)
        ids, owner = np.unique(np.concatenate([frame.ids for frame in self._frames]), return_inverse=True)
        centers = np.concatenate([frame.poses[:, :3, 3] for frame in self._frames])
        count = np.bincount(owner)
        spread = np.zeros(len(ids))
        for j in range(3):
            mean = np.bincount(owner, centers[:, j]) / count
            spread += np.bincount(owner, (centers[:, j] - mean[owner]) ** 2) / count
        return ids[np.sqrt(spread) > MOVING_M]

    def _between(self, stamp_ns: int, reach_s: float) -> Sequence[BoxFrame]:
        reach_ns = round(reach_s * 1e9)
        first, last = bisect_left(self._stamps, stamp_ns - reach_ns), bisect_right(self._stamps, stamp_ns + reach_ns)
        return [self._frames[i] for i in range(first, last)]


def _lines_at_zero(values: Float64, dt: Float64, owner: npt.NDArray[np.intp], count: int) -> Float64:
    """Weighted least squares lines through (D, V) values at (D,) times, one per owner: their (count, V) at time 0."""
    weight = 1 - np.abs(dt) / (SMOOTH_S + 0.05)
    s0, s1, s2 = (np.bincount(owner, weight * dt**k, count) for k in range(3))
    determinant = s0 * s2 - s1**2
    line = determinant > 1e-6 * s0**2  # else one moment only: the mean
    fitted = np.empty((count, values.shape[1]))
    for j in range(values.shape[1]):
        m0, m1 = (np.bincount(owner, weight * dt**k * values[:, j], count) for k in range(2))
        fitted[:, j] = np.where(line, (s2 * m0 - s1 * m1) / np.where(line, determinant, 1), m0 / s0)
    return fitted


def assign(sweep: Sweep, begin: Placed, end: Placed) -> None:
    """Fill ``owner``, ``inside``, ``owned`` and ``local`` of a sweep from the boxes at its start and at its end."""
    ids = np.intersect1d(begin.ids, end.ids)
    if not len(ids):
        return
    first = begin.poses[np.searchsorted(begin.ids, ids)].copy()
    second = end.poses[np.searchsorted(end.ids, ids)].copy()
    sizes = end.sizes[np.searchsorted(end.ids, ids)]
    first[:, :3, 3] -= sweep.anchor
    second[:, :3, 3] -= sweep.anchor
    local = np.empty_like(sweep.ends)
    span = max((sweep.end_ns - sweep.start_ns) / 1e9, 1e-9)
    _assign(
        sweep.ends,
        sweep.kind,
        sweep.times / np.float32(span),
        first,
        second,
        sizes / 2,
        ids,
        sweep.owner,
        sweep.inside,
        local,
    )
    sweep.owned = np.flatnonzero(sweep.owner != NOBODY).astype(np.int32)
    sweep.local = local[sweep.owned]


@numba.njit(cache=True, nogil=True)
def _assign(ends, kind, share, first, second, half, ids, owner, inside, local):  # type: ignore[no-untyped-def]
    """Each hit belongs to a box that it lies in, else to one within the margin; the last of several."""
    turns = second - first
    side, cells = 4.0, 64
    room = min(len(ids), 24)
    number = np.zeros((cells, cells), np.int64)
    there = np.zeros((cells, cells, room), np.int64)
    reach = np.empty(len(ids))
    for b in range(len(ids)):
        reach[b] = (
            np.sqrt(half[b, 0] ** 2 + half[b, 1] ** 2) + MARGIN_M + np.abs(second[b, :2, 3] - first[b, :2, 3]).sum()
        )
        low_x = max(int((first[b, 0, 3] - reach[b]) / side + cells / 2), 0)
        low_y = max(int((first[b, 1, 3] - reach[b]) / side + cells / 2), 0)
        for jx in range(low_x, min(int((first[b, 0, 3] + reach[b]) / side + cells / 2) + 1, cells)):
            for jy in range(low_y, min(int((first[b, 1, 3] + reach[b]) / side + cells / 2) + 1, cells)):
                if number[jx, jy] < room:
                    there[jx, jy, number[jx, jy]] = b
                    number[jx, jy] += 1
    for i in range(len(ends)):
        if kind[i] != RETURN:
            continue
        jx, jy = int(ends[i, 0] / side + cells / 2), int(ends[i, 1] / side + cells / 2)
        if jx < 0 or jy < 0 or jx >= cells or jy >= cells:
            continue
        f = share[i]
        for n in range(number[jx, jy]):
            b = there[jx, jy, n]
            r = first[b]
            x, y = ends[i, 0] - r[0, 3], ends[i, 1] - r[1, 3]
            if x * x + y * y > reach[b] * reach[b]:
                continue
            turn = turns[b]
            x -= f * turn[0, 3]
            y -= f * turn[1, 3]
            z = ends[i, 2] - r[2, 3] - f * turn[2, 3]
            u = (r[0, 0] + f * turn[0, 0]) * x + (r[1, 0] + f * turn[1, 0]) * y + (r[2, 0] + f * turn[2, 0]) * z
            v = (r[0, 1] + f * turn[0, 1]) * x + (r[1, 1] + f * turn[1, 1]) * y + (r[2, 1] + f * turn[2, 1]) * z
            w = (r[0, 2] + f * turn[0, 2]) * x + (r[1, 2] + f * turn[1, 2]) * y + (r[2, 2] + f * turn[2, 2]) * z
            out = max(abs(u) - half[b, 0], max(abs(v) - half[b, 1], abs(w) - half[b, 2]))
            if out > MARGIN_M or (inside[i] and out > 0):
                continue
            owner[i] = ids[b]
            inside[i] = out <= 0
            local[i, 0], local[i, 1], local[i, 2] = u, v, w
