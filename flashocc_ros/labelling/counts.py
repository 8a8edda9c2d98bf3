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

"""Hits and passes of the sweeps around a key frame, counted in its voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flashocc_ros.labelling.boxes import Placed
from flashocc_ros.labelling.class_ids import flat_numbers
from flashocc_ros.labelling.kernels import BOXED, MOMENTS, bin_hits, carve, put_back, tell_by_boxes
from flashocc_ros.labelling.sweeps import RETURN, Sweep
from flashocc_ros.labels import ClassTable

Float64 = npt.NDArray[np.float64]
Uint8 = npt.NDArray[np.uint8]
Int16 = npt.NDArray[np.int16]

RECENT_S = 0.08
"""Sweeps that reach this near to the key frame show where things are that move, boxes or none: about three of them."""
CARVE_ALL_S, CARVE_EVERY = 0.6, 4
"""Of sweeps farther from the key frame than that in time only every fourth ray carves."""
BANDS_M = np.array([0.12, 0.07])


class View:
    """A sweep as a key frame sees it: kinds and classes with what boxes say."""

    def __init__(self, sweep: Sweep, stamp_ns: int, base_from_fixed: Float64, who: Owners, flats: Int16) -> None:
        self.sweep = sweep
        self.age_s = max(sweep.start_ns - stamp_ns, stamp_ns - sweep.end_ns, 0) / 1e9
        self.recent = self.age_s <= RECENT_S
        self.matrix = _through(base_from_fixed, sweep.anchor)
        self.kind, self.classes = sweep.kind, sweep.classes
        if len(sweep.owned):
            self.kind, self.classes = sweep.kind.copy(), sweep.classes.copy()
            tell_by_boxes(
                self.kind, self.classes, sweep.owned, sweep.owner, sweep.inside, who.moves, who.classes, flats
            )


@dataclass(frozen=True, eq=False)
class Owners:
    """By number of a box: whether it moves, its class (255 where it is not there at the key frame), its place among the
    boxes that are there and move (-1: none)."""

    moves: npt.NDArray[np.bool_]
    classes: Uint8
    place: npt.NDArray[np.int32]

    @classmethod
    def of(cls, placed: Placed, moving: npt.NDArray[np.int64], highest: int) -> Owners:
        length = 1 + max([highest, *placed.ids.tolist(), *moving.tolist()])
        moves, classes = np.zeros(length, bool), np.full(length, 255, np.uint8)
        moves[moving] = True
        classes[placed.ids] = placed.classes
        place = np.full(length, -1, np.int32)
        present = placed.ids[moves[placed.ids]]
        place[present] = np.arange(len(present))
        return cls(moves, classes, place)


def _through(base_from_fixed: Float64, anchor: Float64) -> Float64:
    """(3, 4) into the base frame from coordinates relative to ``anchor``."""
    matrix = base_from_fixed[:3].copy()
    matrix[:, 3] += base_from_fixed[:3, :3] @ anchor
    return np.ascontiguousarray(matrix)


def ground_below(views: Sequence[View], by_class: bool, origin: Float64, cell: float) -> float:
    """Height of the ground near the vehicle: the low end of hits within some metres."""
    nearest = sorted(views, key=lambda view: view.age_s)[:3]
    heights = []
    for view in nearest:
        ends = view.sweep.ends[(view.kind == RETURN)] @ view.matrix[:, :3].T + view.matrix[:, 3]
        around = ends[np.hypot(ends[:, 0], ends[:, 1]) < 8.0, 2]
        heights.append(around)
    found = np.concatenate(heights) if heights else np.empty(0)
    return float(np.percentile(found, 10)) if len(found) >= 50 else 0.0


@dataclass(frozen=True, eq=False)
class Movers:
    """Hits of what moves, where they are at the key frame; rays as in `kernels.bin_hits`."""

    ends: npt.NDArray[np.float32]
    origins: npt.NDArray[np.float32]
    classes: Uint8
    owner: npt.NDArray[np.int32]


def movers_at_key(
    sweeps: Sequence[Sweep], placed: Placed, who: Owners, flats: Int16, base_from_fixed: Float64
) -> Movers:
    present = who.moves[placed.ids]
    ids, poses = placed.ids[present], (base_from_fixed @ placed.poses[present])
    half_height = placed.sizes[present][:, 2] / 2
    local, owner = [np.empty((0, 3), np.float32)], [np.empty(0, np.int32)]
    classes = [np.empty(0, np.uint8)]
    for sweep in sweeps if len(ids) else ():
        numbers = sweep.owner[sweep.owned]
        mine = np.flatnonzero(sweep.inside[sweep.owned] & (who.place[numbers] >= 0))
        local.append(sweep.local.take(mine, 0))
        owner.append(numbers[mine])
        classes.append(sweep.classes[sweep.owned[mine]])
    points, numbers, seen = np.concatenate(local), np.concatenate(owner), np.concatenate(classes)
    index = who.place[numbers]
    keep = flats[seen] < 0
    if len(points):
        keep &= points[:, 2] > -half_height[index] + BANDS_M[1]
    points, index, numbers = points[keep], index[keep], numbers[keep]
    ends = put_back(points, index, poses)
    # Seen from outside: a ray to the middle of the box goes inward.
    origins = 2 * ends - poses[index, :3, 3].astype(np.float32)
    return Movers(ends, origins, placed.classes[present][index].astype(np.uint8), numbers)


class Counts:
    """Hits per voxel; see `kernels.bin_hits`."""

    def __init__(
        self, count: int, columns: int, classes: ClassTable, with_votes: bool, with_moments: bool, with_extent: bool
    ) -> None:
        self.flats = flat_numbers(classes)
        self.hits = np.zeros(count, np.uint16)
        self.recent_hits = np.zeros(count, np.uint8)
        self.extent = np.full((count if with_extent else 0, 6), 255, np.uint8)
        self.met, self.recent_passes = np.zeros((count, 4), np.uint16), np.zeros(count, np.uint8)
        self.ground_hits = np.zeros(count, np.uint16)
        self.recent_ground = np.zeros(count, np.uint8)
        self.ground_votes = np.zeros((columns, max(len(classes.flat), 1)), np.uint16)
        self.votes = np.zeros((count if with_votes else 0, len(classes)), np.uint16)
        self.holder, self.held = np.zeros(count, np.int32), np.zeros(count, np.int16)
        self.moments = np.zeros((count if with_moments else 0, MOMENTS), np.float32)

    def add(
        self,
        views: Sequence[View],
        movers: Movers,
        by_class: bool,
        origin: Float64,
        cell: float,
        height: npt.NDArray[np.float32],
        normals: npt.NDArray[np.float32],
        carve_size: tuple[int, int, int] | None = None,
    ) -> None:
        """Hits of sweeps and movers, and with ``carve_size`` of the grid what rays pass."""
        out = (
            self.hits, self.recent_hits, self.met, self.extent, self.ground_hits, self.recent_ground,
            self.ground_votes, self.votes, self.holder, self.held, self.moments,
        )  # fmt: skip
        for number, view in enumerate(views, 1):
            s = view.sweep
            bin_hits(
                s.ends, view.kind, view.classes, s.owner, s.origins, s.knot, by_class, self.flats, view.matrix, origin,
                cell, height, BANDS_M, number, view.recent, normals, *out,
            )  # fmt: skip
            if carve_size is not None:
                every = 1 if view.age_s <= CARVE_ALL_S else CARVE_EVERY
                carve(
                    s.ends, s.origins, s.knot, s.kind, number, every, view.matrix, origin, cell, carve_size,
                    self.met, view.recent, self.recent_passes,
                )  # fmt: skip
        count = len(movers.ends)
        bin_hits(
            movers.ends, np.full(count, BOXED, np.uint8), movers.classes, movers.owner, movers.origins,
            np.arange(count, dtype=np.int32), by_class, self.flats, np.eye(4)[:3], origin, cell,
            np.full_like(height, np.nan), BANDS_M, 1, True, normals, *out,
        )  # fmt: skip
