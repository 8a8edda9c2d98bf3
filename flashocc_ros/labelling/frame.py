"""Labels of one key frame from the sweeps and boxes around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from flashocc_ros.labelling import ground as ground_of
from flashocc_ros.labelling.boxes import NO_BOXES, Placed
from flashocc_ros.labelling.kernels import (
    BOXED,
    DROPPED,
    FIRST_FLAT,
    MOMENTS,
    bin_hits,
    carve,
    ground_heights,
    mark_boxes,
    put_back,
)
from flashocc_ros.labelling.normals import denser_than_neighbours, outward_normals, spilled
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.sweeps import RETURN, Sweep
from flashocc_ros.labels import FREE, NUM_CLASSES

Float64 = npt.NDArray[np.float64]
Uint8 = npt.NDArray[np.uint8]

RECENT_S = 0.08
"""Sweeps that reach this near to the key frame show where things are that move, boxes or none: about three of them."""
CARVE_ALL_S, CARVE_EVERY = 0.6, 4
"""Of sweeps farther from the key frame than that in time only every fourth ray carves."""
_BANDS_M = np.array([0.12, 0.07])
_LEAST_SHARE = 0.15
_TRAIL = (5.0, 100.0)
"""Without boxes and with them. What moved was hit in a few sweeps and is passed in many others by rays that would have
hit, at the rate of those few: so many of them for each sweep that hit."""
_GROUND_SHARE = 0.12


@dataclass(frozen=True, eq=False)
class Labels:
    """Of one key frame, in the base frame at its stamp; (X, Y, Z) each.

    Attributes:
        semantics: uint8 classes, 17 free, also where nothing is known.
        observed: bool, a ray hit or passed the voxel, or it is ground between what rays hit.
        instances: int32 ids of boxes, 0 none.
        guessed: bool, occupied but of a class that nothing tells.
    """

    semantics: Uint8
    observed: npt.NDArray[np.bool_]
    instances: npt.NDArray[np.int32]
    guessed: npt.NDArray[np.bool_]


def label_frame(
    sweeps: Sequence[Sweep],
    stamp_ns: int,
    base_from_fixed: Float64,
    boxes: Placed | None,
    moving: npt.NDArray[np.int64],
    by_class: bool,
    settings: Settings,
) -> Labels:
    """Occupancy around the vehicle.

    Args:
        sweeps: all that count.
        stamp_ns: of the key frame; base_from_fixed: (4, 4) then.
        boxes: at that moment; None where the drive has none, and what moves shows by what passes it.
        moving: sorted ids of boxes that move.
        by_class: hits have classes.
    """
    grid = settings.grid
    nx, ny, nz = grid.size
    count, cell, origin = nx * ny * nz, grid.resolution_m, np.array(grid.origin_m)
    placed = NO_BOXES if boxes is None else boxes
    highest = max([0, *(int(sweep.owner.max(initial=0)) for sweep in sweeps)])
    who = _Owners.of(placed, moving, highest)
    ordered = sorted(sweeps, key=lambda sweep: sweep.start_ns)
    views = [_View(sweep, stamp_ns, base_from_fixed, who) for sweep in ordered]

    bins = ground_of.bins_for(grid.size)
    # The ground lies where the vehicle stands, whatever height its base frame has above it.
    low_m = _ground_below(views, by_class, origin, cell) + ground_of.LOW_M
    for view in views:
        s = view.sweep
        ground_heights(
            s.ends, view.kind, view.classes, by_class, view.matrix, origin, cell, bins, low_m, ground_of.STEP_M
        )
    height, _ = ground_of.heights(bins, low_m, cell, by_class)

    movers = _movers_at_key(ordered, placed, who, base_from_fixed)
    solid = settings.convention == "solid"
    counts = _Counts(count, nx * ny, by_class or boxes is not None, solid)
    nothing = np.empty((0, 3), np.float32)
    counts.add(views, movers, by_class, origin, cell, height, nothing, None if solid else grid.size)
    raw_recent = counts.recent_hits
    if solid:
        normals = outward_normals(counts.moments, counts.hits, grid.size, cell)
        counts = _Counts(count, nx * ny, by_class or boxes is not None, False)
        counts.add(views, movers, by_class, origin, cell, height, normals, grid.size)
    return _decide(counts, raw_recent, height, placed, moving, base_from_fixed, boxes is None, settings)


class _View:
    """A sweep as a key frame sees it: kinds and classes with what boxes say."""

    def __init__(self, sweep: Sweep, stamp_ns: int, base_from_fixed: Float64, who: _Owners) -> None:
        self.sweep = sweep
        self.age_s = max(sweep.start_ns - stamp_ns, stamp_ns - sweep.end_ns, 0) / 1e9
        self.recent = self.age_s <= RECENT_S
        self.matrix = _through(base_from_fixed, sweep.anchor)
        self.kind, self.classes = sweep.kind, sweep.classes
        if len(sweep.owned):
            self.kind, self.classes = sweep.kind.copy(), sweep.classes.copy()
            owner = sweep.owner[sweep.owned]
            moves = who.moves[owner]
            self.kind[sweep.owned[moves]] = DROPPED
            standing = sweep.owned[~moves & sweep.inside[sweep.owned]]
            self.kind[standing] = BOXED
            labels, flat = who.classes[sweep.owner[standing]], self.classes[standing]
            known_ground = (flat >= FIRST_FLAT) & (flat < FIRST_FLAT + 4)
            self.classes[standing] = np.where((labels < FREE) & ~known_ground, labels, flat)


@dataclass(frozen=True, eq=False)
class _Owners:
    """By number of a box: whether it moves, its class (255 where it is not there at the key frame), its place among the
    boxes that are there and move (-1: none)."""

    moves: npt.NDArray[np.bool_]
    classes: Uint8
    place: npt.NDArray[np.int32]

    @classmethod
    def of(cls, placed: Placed, moving: npt.NDArray[np.int64], highest: int) -> _Owners:
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


def _ground_below(views: Sequence[_View], by_class: bool, origin: Float64, cell: float) -> float:
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
class _Movers:
    """Hits of what moves, where they are at the key frame; rays as in `kernels.bin_hits`."""

    ends: npt.NDArray[np.float32]
    origins: npt.NDArray[np.float32]
    classes: Uint8
    owner: npt.NDArray[np.int32]


def _movers_at_key(sweeps: Sequence[Sweep], placed: Placed, who: _Owners, base_from_fixed: Float64) -> _Movers:
    present = who.moves[placed.ids]
    ids, poses = placed.ids[present], (base_from_fixed @ placed.poses[present])
    half_height = placed.sizes[present][:, 2] / 2
    local, owner = [np.empty((0, 3), np.float32)], [np.empty(0, np.int32)]
    classes = [np.empty(0, np.uint8)]
    for sweep in sweeps if len(ids) else ():
        mine = sweep.inside[sweep.owned] & (who.place[sweep.owner[sweep.owned]] >= 0)
        local.append(sweep.local[mine])
        owner.append(sweep.owner[sweep.owned[mine]])
        classes.append(sweep.classes[sweep.owned[mine]])
    points, numbers, seen = np.concatenate(local), np.concatenate(owner), np.concatenate(classes)
    index = who.place[numbers]
    on_ground = (seen >= FIRST_FLAT) & (seen < FIRST_FLAT + 4)
    keep = ~on_ground
    if len(points):
        keep &= points[:, 2] > -half_height[index] + _BANDS_M[1]
    points, index, numbers = points[keep], index[keep], numbers[keep]
    ends = put_back(points, index, poses)
    # Seen from outside: a ray to the middle of the box goes inward.
    origins = 2 * ends - poses[index, :3, 3].astype(np.float32)
    return _Movers(ends, origins, placed.classes[present][index].astype(np.uint8), numbers)


class _Counts:
    """Hits per voxel; see `kernels.bin_hits`."""

    def __init__(self, count: int, columns: int, with_votes: bool, with_moments: bool) -> None:
        self.hits = np.zeros(count, np.uint16)
        self.recent_hits = np.zeros(count, np.uint8)
        self.extent = np.full((count, 6), 255, np.uint8)
        self.visits = np.zeros((count, 2), np.uint16)
        self.passes, self.recent_passes = np.zeros((count, 2), np.uint16), np.zeros(count, np.uint8)
        self.ground_hits = np.zeros(count, np.uint16)
        self.recent_ground = np.zeros(count, np.uint8)
        self.ground_votes = np.zeros((columns, 4), np.uint16)
        self.votes = np.zeros((count if with_votes else 0, NUM_CLASSES), np.uint16)
        self.holder, self.held = np.zeros(count, np.int32), np.zeros(count, np.int16)
        self.moments = np.zeros((count if with_moments else 0, MOMENTS), np.float32)

    def add(
        self,
        views: Sequence[_View],
        movers: _Movers,
        by_class: bool,
        origin: Float64,
        cell: float,
        height: npt.NDArray[np.float32],
        normals: npt.NDArray[np.float32],
        carve_size: tuple[int, int, int] | None = None,
    ) -> None:
        """Hits of sweeps and movers, and with ``carve_size`` of the grid what rays pass."""
        out = (
            self.hits, self.recent_hits, self.visits, self.extent, self.ground_hits, self.recent_ground,
            self.ground_votes, self.votes, self.holder, self.held, self.moments,
        )  # fmt: skip
        for number, view in enumerate(views, 1):
            s = view.sweep
            bin_hits(
                s.ends, view.kind, view.classes, s.owner, s.origins, s.knot, by_class, view.matrix, origin, cell,
                height, _BANDS_M, number, view.recent, normals, *out,
            )  # fmt: skip
            if carve_size is not None:
                every = 1 if view.age_s <= CARVE_ALL_S else CARVE_EVERY
                carve(
                    s.ends, s.origins, s.knot, s.kind, number, every, view.matrix, origin, cell, carve_size,
                    self.visits, self.passes, view.recent, self.recent_passes,
                )  # fmt: skip
        count = len(movers.ends)
        bin_hits(
            movers.ends, np.full(count, BOXED, np.uint8), movers.classes, movers.owner, movers.origins,
            np.arange(count, dtype=np.int32), by_class, np.eye(4)[:3], origin, cell, np.full_like(height, np.nan),
            _BANDS_M, 1, True, normals, *out,
        )  # fmt: skip


def _decide(
    counts: _Counts,
    raw_recent: Uint8,
    height: npt.NDArray[np.float32],
    placed: Placed,
    moving: npt.NDArray[np.int64],
    base_from_fixed: Float64,
    no_boxes: bool,
    settings: Settings,
) -> Labels:
    grid = settings.grid
    size, cell = grid.size, grid.resolution_m
    nx, ny, nz = size
    hits, recent = counts.hits, counts.recent_hits > 0
    passes, recent_passes = counts.passes, counts.recent_passes
    rate = hits / np.maximum(hits + passes[:, 0].astype(np.float32), 1)
    missed = passes[:, 1] * rate
    occupied = (hits > 0) & (recent | (missed < _TRAIL[0 if no_boxes else 1] * counts.visits[:, 1]))
    if settings.convention == "solid":
        occupied &= denser_than_neighbours(hits, size, _LEAST_SHARE)
    else:
        occupied &= ~spilled(hits, counts.extent, size, cell)
    semantics = np.full(nx * ny * nz, FREE, np.uint8)
    classes, known = _classes(counts, occupied)
    semantics[occupied] = np.where(known, classes, settings.unknown)
    guessed = np.zeros(len(semantics), bool)
    guessed[occupied] = ~known
    instances = np.where(occupied & (counts.held > 0), counts.holder, 0)

    is_ground, ground_class, ground_known = _ground(counts, height, occupied, settings)
    semantics[is_ground] = ground_class
    guessed[is_ground] = ~ground_known
    filled = occupied | is_ground

    free = passes.any(1) & ~filled
    present = np.isin(placed.ids, moving)
    if present.any():
        there = np.zeros(size, np.uint8)
        poses = base_from_fixed @ placed.poses[present]
        mark_boxes(poses, placed.sizes[present] / 2 + 0.1, np.array(grid.origin_m), cell, there)
        # Rays that passed when it was elsewhere say nothing of the place where it is now.
        free &= (there.ravel() == 0) | (recent_passes > 0)
    if settings.convention == "touch":
        free &= (raw_recent == 0) & (counts.recent_ground == 0)  # whatever the other sweeps say, something is there now
    return Labels(
        semantics.reshape(size),
        (filled | free).reshape(size),
        instances.reshape(size).astype(np.int32),
        guessed.reshape(size),
    )


def _classes(counts: _Counts, occupied: npt.NDArray[np.bool_]) -> tuple[Uint8, npt.NDArray[np.bool_]]:
    """Class of each occupied voxel by vote, and whether there was one."""
    if not len(counts.votes):
        number = int(occupied.sum())
        return np.zeros(number, np.uint8), np.zeros(number, bool)
    votes = counts.votes[occupied]
    return votes.argmax(1).astype(np.uint8), np.asarray(votes.any(1))


def _ground(
    counts: _Counts, height: npt.NDArray[np.float32], occupied: npt.NDArray[np.bool_], settings: Settings
) -> tuple[npt.NDArray[np.bool_], Uint8, npt.NDArray[np.bool_]]:
    """Which voxels are ground and nothing else, the class of each, and whether hits told it."""
    nx, ny, nz = settings.grid.size
    ground = np.zeros((nx * ny, nz), bool)
    hits = counts.ground_hits.reshape(nx * ny, nz)
    total = hits.sum(1, keepdims=True)
    if settings.convention == "touch":
        ground |= (hits > 0) & (hits >= _GROUND_SHARE * total)
    layer = np.floor((height.ravel() - settings.grid.origin_m[2]) / settings.grid.resolution_m)
    inside = np.flatnonzero(np.isfinite(layer) & (layer >= 0) & (layer < nz))
    known_height = inside if settings.convention == "solid" else inside[total[inside, 0] == 0]
    ground[known_height, layer[known_height].astype(int)] = True
    flat = ground.ravel() & ~occupied
    votes = counts.ground_votes
    best, known = (FIRST_FLAT + votes.argmax(1)).astype(np.uint8), np.asarray(votes.any(1))
    if known.any():
        nearest = ndimage.distance_transform_edt(~known.reshape(nx, ny), return_distances=False, return_indices=True)
        best = best.reshape(nx, ny)[tuple(nearest)].ravel()
        known[:] = True
    else:
        best = np.full(nx * ny, settings.unknown_ground, np.uint8)
    column = np.flatnonzero(flat) // nz
    return flat, best[column], known[column]
