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

"""Labels of one key frame from the sweeps and boxes around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from flashocc_ros.labelling import ground as ground_of
from flashocc_ros.labelling.boxes import NO_BOXES, Placed
from flashocc_ros.labelling.class_ids import flat_numbers
from flashocc_ros.labelling.counts import Counts, Owners, View, ground_below, movers_at_key
from flashocc_ros.labelling.drift import shift_m
from flashocc_ros.labelling.kernels import INWARD_M, PASSED, PASSED_HIT, SWEEPS, ground_heights, mark_boxes
from flashocc_ros.labelling.planes import FLAT_M, Planes, shallow, surface_planes
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.sweeps import Sweep

Float64 = npt.NDArray[np.float64]
Uint8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]

_LEAST_RATE = 0.06
"""Of the rays that came to a voxel of ``solid``, the share that must have hit in it."""
_TRAIL, _TRAIL_LOOSE, _TRAIL_NO_BOXES = 100.0, 10.0, 5.0
"""What moved was hit in a few sweeps and is passed in many others by rays that would have hit, at the rate of those
few: so many of them for each sweep that hit. With boxes, for things outside of them, and without boxes."""
_GROUND_SHARE = 0.12


@dataclass(frozen=True, eq=False)
class Labels:
    """Of one key frame, in the base frame at its stamp; (X, Y, Z) each.

    Attributes:
        semantics: uint8 classes, free also where nothing is known.
        observed: bool, a ray hit or passed the voxel, or it is ground between what rays hit.
        instances: int32 ids of boxes, 0 none.
        guessed: bool, occupied but of a class that nothing tells.
        drift_m: how far the sweeps at the key frame lie beside those of the other seconds; None where nothing tells.
    """

    semantics: Uint8
    observed: npt.NDArray[np.bool_]
    instances: npt.NDArray[np.int32]
    guessed: npt.NDArray[np.bool_]
    drift_m: float | None = None


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
    highest = max([0, *(int(sweep.owner[sweep.owned].max(initial=0)) for sweep in sweeps)])
    who = Owners.of(placed, moving, highest)
    ordered = sorted(sweeps, key=lambda sweep: sweep.start_ns)
    flats = flat_numbers(settings.classes)
    views = [View(sweep, stamp_ns, base_from_fixed, who, flats) for sweep in ordered]

    bins = ground_of.bins_for(grid.size)
    # The ground lies where the vehicle stands, whatever height its base frame has above it.
    low_m = ground_below(views, by_class, origin, cell) + ground_of.LOW_M
    for view in views:
        s = view.sweep
        ground_heights(
            s.ends, view.kind, view.classes, by_class, flats, view.matrix, origin, cell, bins, low_m, ground_of.STEP_M
        )
    height, _ = ground_of.heights(bins, low_m, cell, by_class)

    movers = movers_at_key(ordered, placed, who, flats, base_from_fixed)
    solid = settings.convention == "solid"
    with_votes = by_class or boxes is not None
    counts = Counts(count, nx * ny, settings.classes, with_votes and not solid, True, False)
    nothing = np.empty((0, 3), np.float32)
    counts.add(views, movers, by_class, origin, cell, height, nothing, None if solid else grid.size)
    raw_recent = counts.recent_hits
    planes = surface_planes(counts.moments, counts.hits, grid.size, cell)
    drift_m = shift_m(views, planes, counts.moments, counts.hits, height, grid)
    if solid:
        counts = Counts(count, nx * ny, settings.classes, with_votes, False, True)
        counts.add(views, movers, by_class, origin, cell, height, planes.normal, grid.size)
    there = np.zeros(grid.size, np.uint8)
    present = np.isin(placed.ids, moving)
    mark_boxes(base_from_fixed @ placed.poses[present], placed.sizes[present] / 2 + 0.1, origin, cell, there)
    labels = _decide(counts, planes, raw_recent, height, there.ravel() > 0, by_class, boxes is None, settings)
    return replace(labels, drift_m=drift_m)


def _decide(
    counts: Counts,
    planes: Planes,
    raw_recent: Uint8,
    height: npt.NDArray[np.float32],
    movers: Bool,
    by_class: bool,
    no_boxes: bool,
    settings: Settings,
) -> Labels:
    grid = settings.grid
    size, cell = grid.size, grid.resolution_m
    nx, ny, nz = size
    solid = settings.convention == "solid"
    hit = np.flatnonzero(counts.hits)
    classes, known = _classes(counts, hit)
    loose = by_class & known & (counts.holder[hit] == 0) & np.isin(classes, settings.classes.things)
    keep = _hit_enough(counts, hit, loose, no_boxes, solid) & _of_the_plane(counts, planes, hit, settings)
    occupied = np.zeros(nx * ny * nz, bool)
    occupied[hit[keep]] = True
    semantics = np.full(nx * ny * nz, settings.classes.free, np.uint8)
    semantics[occupied] = np.where(known, classes, settings.unknown)[keep]
    guessed = np.zeros(len(semantics), bool)
    guessed[occupied] = ~known[keep]
    instances = np.where(occupied & (counts.held > 0), counts.holder, 0)
    between = _between_beams(counts, planes, occupied, settings)
    for values in (semantics, guessed, instances):
        values[between] = values[between + 1]
    occupied[between] = True

    is_ground, ground_class, ground_known = _ground(counts, height, occupied, settings)
    semantics[is_ground] = ground_class
    guessed[is_ground] = ~ground_known
    filled = occupied | is_ground

    middle = grid.origin_m[2] + (np.arange(nz) + 0.5) * cell
    below = middle < height.reshape(-1, 1) - cell / 2
    free = (
        ((counts.met[:, PASSED_HIT] | counts.met[:, PASSED]) > 0) & ~filled & ~below.ravel()
    )  # lost rays seem to pass the ground too
    # Rays that passed when a mover was elsewhere say nothing of the place where it is now.
    free &= ~movers | (counts.recent_passes > 0)
    if not solid:
        free &= (raw_recent == 0) & (counts.recent_ground == 0)  # whatever the other sweeps say, something is there now
    return Labels(
        semantics.reshape(size),
        (filled | free).reshape(size),
        instances.reshape(size).astype(np.int32),
        guessed.reshape(size),
    )


def _hit_enough(counts: Counts, hit: npt.NDArray[np.intp], loose: Bool, no_boxes: bool, solid: bool) -> Bool:
    """Which of the voxels ``hit`` hold something at the key frame, by the rays that hit and those that passed."""
    hits, met = counts.hits[hit].astype(np.float32), counts.met[hit].astype(np.float32)
    missed = met[:, PASSED] * hits / np.maximum(hits + met[:, PASSED_HIT], 1)
    limit = np.where(loose, _TRAIL_LOOSE, _TRAIL_NO_BOXES if no_boxes else _TRAIL)
    stays = missed < limit * met[:, SWEEPS]
    if solid:
        stays &= hits > _LEAST_RATE * (hits + met[:, PASSED])
    return stays | (counts.recent_hits[hit] > 0)


def _of_the_plane(counts: Counts, planes: Planes, hit: npt.NDArray[np.intp], settings: Settings) -> Bool:
    """Which of the voxels ``hit`` the surface reaches into, or whose middle it contains, whatever noise hit in them."""
    size, cell = settings.grid.size, settings.grid.resolution_m
    solid = settings.convention == "solid"
    limit = INWARD_M if solid else planes.reach_m(cell, hit)
    fits = (planes.offset_m[hit] <= limit) | (planes.spread_m[hit] > FLAT_M)
    return fits & ~shallow(counts.hits, counts.extent, size)[hit] if solid else fits


def _between_beams(counts: Counts, planes: Planes, occupied: Bool, settings: Settings) -> npt.NDArray[np.intp]:
    """Voxels that no beam hit between two that are occupied above each other, where the plane goes on."""
    grid = occupied.reshape(settings.grid.size)
    inner = np.zeros_like(grid)
    inner[:, :, 1:-1] = grid[:, :, 2:] & grid[:, :, :-2]
    between = np.flatnonzero(inner.ravel() & (counts.hits == 0))
    shift = INWARD_M if settings.convention == "solid" else 0.0
    reach = planes.reach_m(settings.grid.resolution_m, between)
    return between[np.abs(planes.offset_m[between] + shift) < reach]


def _classes(counts: Counts, hit: npt.NDArray[np.intp]) -> tuple[Uint8, Bool]:
    """Class of each of the voxels by vote, and whether there was one."""
    if not len(counts.votes):
        return np.zeros(len(hit), np.uint8), np.zeros(len(hit), bool)
    votes = counts.votes[hit]
    return votes.argmax(1).astype(np.uint8), np.asarray(votes.any(1))


def _ground(
    counts: Counts, height: npt.NDArray[np.float32], occupied: npt.NDArray[np.bool_], settings: Settings
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
    known = np.asarray(votes.any(1))
    if known.any():
        best = np.array(settings.classes.flat, np.uint8)[votes.argmax(1)]
        nearest = ndimage.distance_transform_edt(~known.reshape(nx, ny), return_distances=False, return_indices=True)
        best = best.reshape(nx, ny)[tuple(nearest)].ravel()
        known[:] = True
    else:
        best = np.full(nx * ny, settings.unknown_ground, np.uint8)
    column = np.flatnonzero(flat) // nz
    return flat, best[column], known[column]
