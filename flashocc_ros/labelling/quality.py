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

"""Numbers by which a user can judge labels without any truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from flashocc_ros.labelling.boxes import Placed
from flashocc_ros.labelling.frame import Labels
from flashocc_ros.labelling.sweeps import RETURN, Sweep
from flashocc_ros.labels import ClassTable
from flashocc_ros.structures import VoxelGrid

Float64 = npt.NDArray[np.float64]

_DIRECTIONS = 72
"""Sectors around the lidar."""
_SLACK_VOXELS = 1.5
"""A ray that ends this far behind what it passes agrees with it."""


@dataclass(frozen=True)
class Quality:
    """Of one key frame; shares in [0, 1] but for the drift, None where there is nothing to count.

    Attributes:
        coverage: voxels that cameras see by the labels and that are labelled.
        pierced: rays of the sweeps nearest in time that go through what is labelled as occupied.
        missed: their hits around which nothing is labelled as occupied.
        outside: their hits beside a box, of those in it and beside it: boxes that are too small or elsewhere.
        empty_boxes: boxes within 30 m and where the lidar looks, without a hit in the sweeps nearest in time.
        guessed: occupied voxels whose class nothing tells.
        drift_m: metres by which the sweeps nearest in time lie beside those of the other seconds.
    """

    coverage: float | None
    pierced: float | None
    missed: float | None
    outside: float | None
    empty_boxes: float | None
    guessed: float | None
    drift_m: float | None

    def as_dict(self) -> dict[str, float | None]:
        """Rounded for a file."""
        return {name: None if value is None else round(value, 5) for name, value in asdict(self).items()}


def shown(name: str, value: float) -> str:
    """A number with its unit, for people."""
    return f"{value * 100:.1f} cm" if name.endswith("_m") else f"{value:.1%}"


def judge(
    labels: Labels,
    seen: npt.NDArray[np.bool_] | None,
    sweeps: Sequence[Sweep],
    boxes: Placed | None,
    base_from_fixed: Float64,
    grid: VoxelGrid,
    classes: ClassTable,
) -> Quality:
    """Compare labels with the sweeps nearest in time.

    Args:
        seen: (X, Y, Z) what cameras see, whether it is labelled or not; None without cameras.
        boxes: at the key frame.
    """
    occupied = classes.occupied(labels.semantics) & labels.observed
    solid = occupied & ~np.isin(labels.semantics, classes.flat)
    counts = np.zeros(3, np.int64)
    for sweep in sweeps[:1]:
        matrix = base_from_fixed[:3].copy()
        matrix[:, 3] += base_from_fixed[:3, :3] @ sweep.anchor
        _walk(
            sweep.ends, sweep.origins, sweep.knot, sweep.kind, np.ascontiguousarray(matrix), np.array(grid.origin_m),
            grid.resolution_m, occupied, solid, counts,
        )  # fmt: skip
    outside, empty = _boxes(sweeps, boxes, base_from_fixed)
    return Quality(
        _share(int((labels.observed & seen).sum()), int(seen.sum())) if seen is not None else None,
        _share(int(counts[1]), int(counts[0])),
        _share(int(counts[2]), int(counts[0])),
        outside,
        empty,
        _share(int(labels.guessed.sum()), int(occupied.sum())),
        labels.drift_m,
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _boxes(
    sweeps: Sequence[Sweep], boxes: Placed | None, base_from_fixed: Float64
) -> tuple[float | None, float | None]:
    if boxes is None or not boxes.count or not sweeps:
        return None, None
    half_height = dict(zip(boxes.ids.tolist(), (boxes.sizes[:, 2] / 2).tolist(), strict=True))
    inside, around = 0, 0
    hit: set[int] = set()
    for sweep in sweeps:
        owner = sweep.owner[sweep.owned]
        limit = np.array([half_height.get(int(i), 0.0) for i in owner]) - 0.15
        beside = np.abs(sweep.local[:, 2]) < limit  # above the ground and below the roof
        is_in = sweep.inside[sweep.owned]
        inside += int((is_in & beside).sum())
        around += int((~is_in & beside).sum())
        hit.update(np.unique(owner[is_in & beside]).tolist())  # the ground under a box is none of it
    centers = boxes.poses[:, :3, 3] @ base_from_fixed[:3, :3].T + base_from_fixed[:3, 3]
    near = (np.hypot(centers[:, 0], centers[:, 1]) < 30.0) & _looked_at(sweeps, centers, base_from_fixed)
    missing = sum(int(i) not in hit for i in boxes.ids[near])
    return _share(around, around + inside), _share(missing, int(near.sum()))


def _looked_at(sweeps: Sequence[Sweep], centers: Float64, base_from_fixed: Float64) -> npt.NDArray[np.bool_]:
    """Which of the points (B, 3) in the base frame lie in a direction that some ray of the sweeps went."""
    found = np.zeros(len(centers), bool)
    for sweep in sweeps:
        away = (sweep.ends - sweep.origins[sweep.knot]) @ base_from_fixed[:3, :3].T
        lidar = base_from_fixed[:3, :3] @ (sweep.anchor + sweep.origins.mean(0)) + base_from_fixed[:3, 3]
        reached = np.zeros(_DIRECTIONS, bool)
        reached[_direction(away)] = True
        found |= reached[_direction(centers - lidar)]
    return found


def _direction(vectors: Float64) -> npt.NDArray[np.intp]:
    """(M,) sector of each of (M, 3) seen from above."""
    turn = np.arctan2(vectors[:, 1], vectors[:, 0]) / (2 * np.pi) + 0.5
    return np.minimum((turn * _DIRECTIONS).astype(np.intp), _DIRECTIONS - 1)


@numba.njit(cache=True, nogil=True)
def _walk(ends, origins, knot, kind, m, origin, cell, occupied, solid, counts):  # type: ignore[no-untyped-def]
    """Add rays that end in the grid, those that pierce, those that end at nothing to ``counts`` (3,)."""
    nx, ny, nz = occupied.shape
    o, d, e = np.empty(3), np.empty(3), np.empty(3)
    for i in range(len(ends)):
        if kind[i] != RETURN:
            continue
        length = 0.0
        for j in range(3):
            o[j] = (m[j, 3] - origin[j]) / cell
            e[j] = o[j]
            for n in range(3):
                o[j] += m[j, n] * origins[knot[i], n] / cell
                e[j] += m[j, n] * ends[i, n] / cell
            d[j] = e[j] - o[j]
            length += d[j] * d[j]
        length = np.sqrt(length)
        ix, iy, iz = int(np.floor(e[0])), int(np.floor(e[1])), int(np.floor(e[2]))
        if ix < 1 or iy < 1 or iz < 1 or ix >= nx - 1 or iy >= ny - 1 or iz >= nz - 1:
            continue
        counts[0] += 1
        found = False
        for a in range(-1, 2):
            for b in range(-1, 2):
                for c in range(-1, 2):
                    found |= occupied[ix + a, iy + b, iz + c]
        if not found:
            counts[2] += 1
        steps = int((length - _SLACK_VOXELS) * 2)
        run = 0
        for k in range(steps):  # every half voxel; a side that is grazed does not count, two voxels in a row do
            t = 0.5 * k / length
            jx, jy, jz = int(np.floor(o[0] + t * d[0])), int(np.floor(o[1] + t * d[1])), int(np.floor(o[2] + t * d[2]))
            if jx < 0 or jy < 0 or jz < 0 or jx >= nx or jy >= ny or jz >= nz:
                continue
            run = run + 1 if solid[jx, jy, jz] else 0
            if run == 4:
                counts[1] += 1
                break


def mean_of(frames: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Mean of each number over frames, None where none has it."""
    result: dict[str, float | None] = {}
    for name in frames[0] if frames else ():
        values = [frame[name] for frame in frames if frame[name] is not None]
        result[name] = round(float(np.mean(values)), 5) if values else None
    return result
