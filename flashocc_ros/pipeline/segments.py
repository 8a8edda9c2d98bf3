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

"""Cut the voxels of countable classes into objects.

Connected voxels of one group of classes (``countable``) are one object unless something speaks against it. Strong
centres split them, each voxel going to the nearest. Pieces that no single object of their class could fill are split
once more at weaker centres; heads differ in what a weak score is, so these only compete with each other. Pieces that
together look like one object are joined, and so are those on one ray that may be one object seen at two distances.
Crumbs go to their neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.pipeline import segment_kernels as kernels
from flashocc_ros.pipeline.countable import traits_of
from flashocc_ros.pipeline.decode import Centers
from flashocc_ros.structures import VoxelGrid

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int = npt.NDArray[np.integer]

SUPPRESSION = 0.9
"""Centres closer than this many widths to a better one of the group are the same object."""
WEAK_SHARE = 0.5
"""Of the best weak score in a piece, for other weak centres to split it as well."""
MISMATCH = 1.5
"""A centre of another class of the group counts as that much further away."""
STRONG_BOX, LOOSE_BOX = 1.6, 2.0
"""An object's box may be that many times the usual one: around two strong centres, around anything. Distance is what
networks know least, so objects come out longer than they are; a second car beside the first needs more than that."""
MOST_SMEAR_M = 3.2
"""But no side may be more than this longer than usual: a car behind a bus is no part of it."""
AREA = 1.6
"""An object may cover that many times the ground of its usual box."""
RAY_WIDTHS, RAY_SHARE = 1.5, 0.1
"""Distance is known poorly: centres on one ray up to so many widths, and that share of their distance, apart are one
object seen twice."""
RAY_STRONG = 0.75
"""Of that for two strong centres."""
RAY_ASIDE = 0.8
"""On one ray means no further beside it than this many widths; less, the further the centres are apart."""
SMEAR_SHARE, LARGE_SMEAR_SHARE = 0.1, 0.03
"""But the two may cover no more ground than one object drawn out along the ray by that share of its distance; less for
vehicles, which are longer than that: a second car parked beside or behind the first covers more."""
LARGE_M = 4.0
"""Longer classes are vehicles."""
GAP_VOXELS = 2
"""Pieces no further apart than this touch."""
CRUMB_REACH_VOXELS = 10
"""A crumb joins an object up to this far."""


@dataclass(frozen=True, eq=False)
class Segments:
    """S objects, best score first.

    Attributes:
        voxels: (N, 3) int32 indices of all voxels of countable classes.
        segment: (N,) int32 object of each, -1 for none.
        class_id: (S,) occupancy class most of its voxels have.
        score: (S,) float32 of its centre in [0, 1], 0 without one.
        strong: (S,) whether that centre makes an object by itself.
        center_m: (S, 3) float64 metres, base frame: the head's centre, else the middle of the box around the voxels.
        count: (S,) voxels, at least 1.
        box: (S, 2, 3) lowest and highest index.
    """

    voxels: npt.NDArray[np.int32]
    segment: npt.NDArray[np.int32]
    class_id: npt.NDArray[np.int64]
    score: Float32
    strong: npt.NDArray[np.bool_]
    center_m: Float64
    count: npt.NDArray[np.int64]
    box: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.class_id)

    def middle_m(self, grid: VoxelGrid) -> Float64:
        """(S, 3) metres, base frame: the middles of the boxes."""
        return np.asarray((self.box.mean(axis=1) + 0.5) * grid.resolution_m + np.array(grid.origin_m))

    @cached_property
    def columns(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Footprints: (M, 2) indices x, y, grouped by object, and (S + 1,) where each object starts."""
        inside = self.segment >= 0
        keys = np.unique(self.segment[inside].astype(np.int64) << 32 | _pack(self.voxels[inside]))
        return _unpack(keys & 0xFFFFFFFF), np.searchsorted(keys >> 32, np.arange(len(self) + 1))


class _Frame:
    """Voxels and centres of one frame, in voxel units, and the connected parts of the voxels."""

    def __init__(
        self,
        semantics: npt.NDArray[np.uint8],
        centers: Centers,
        strong: npt.NDArray[np.bool_],
        reach_m: Float64,
        grid: VoxelGrid,
        classes: ClassTable,
    ) -> None:
        self.traits, self.num_classes = traits_of(classes), len(classes)
        group_of_class = self.traits.group
        self.where = np.empty(semantics.shape, np.int32)
        self.voxels = kernels.gather(np.ascontiguousarray(semantics), group_of_class >= 0, self.where)
        self.label = semantics[tuple(self.voxels.T)].astype(np.int64)
        self.group = group_of_class[self.label]
        self.part = np.full(len(self.voxels), -1, np.int32)
        self.parts = kernels.connect(self.voxels, self.group, self.where, self.part, 0)
        self.length, self.width = self.traits.length_m / grid.resolution_m, self.traits.width_m / grid.resolution_m
        self.most_smear = MOST_SMEAR_M / grid.resolution_m
        origin_m = np.array(grid.origin_m[:2])
        self.position = (centers.xyz_m[:, :2].astype(np.float64) - origin_m) / grid.resolution_m - 0.5
        self.viewer = -origin_m / grid.resolution_m - 0.5
        self.class_id, self.score = self.traits.detection_class[centers.detection], centers.score
        self.strong = strong
        self.reach = reach_m[self.class_id] / grid.resolution_m
        # a strong centre may lie inside an object of which only the near side shows; a weak one must lie on it
        near = np.where(strong, self.reach, np.minimum(0.5 * self.width[self.class_id] + 1.0, self.reach))
        self.anchor = kernels.anchor(
            self.position, self.class_id, group_of_class, near, self.voxels, self.label, self.where
        )

    def with_seeds(self, seeds: Int, candidates: Int) -> npt.NDArray[np.int64]:
        """``seeds`` and the candidates, best first, that are no second centre of the same object."""
        return np.asarray(
            kernels.separate(
                seeds, candidates, self.position, self.class_id, self.traits.group, self.width, SUPPRESSION
            )
        )

    def split(self, seeds: Int) -> _Pieces:
        """The voxels by the seed they belong to; past the seeds, connected ones that no seed reaches."""
        part_of_seed = self.part[self.anchor[seeds]]
        order = np.argsort(part_of_seed, kind="stable")
        ends = np.searchsorted(part_of_seed[order], np.arange(self.parts + 1))
        chosen = seeds[order]
        owner = np.empty(len(self.voxels), np.int32)
        kernels.split(
            self.voxels,
            self.label,
            self.part,
            ends,
            self.position[chosen],
            self.class_id[chosen],
            self.reach[chosen],
            0.5 * self.length[self.class_id[chosen]],
            MISMATCH,
            owner,
        )
        piece = np.full(len(owner), -1, np.int32)
        piece[owner >= 0] = order[owner[owner >= 0]]
        return _Pieces(self, piece, kernels.connect(self.voxels, self.group, self.where, piece, len(seeds)), seeds)

    def single(self, columns: npt.NDArray[np.int64], class_id: int, allowance: float) -> bool:
        """Whether columns could be one object of a class: neither their box nor the ground they cover is too large."""
        # voxels that a box only touches may belong to it: half a voxel on each side
        length, width = self.length[class_id] + 1.0, self.width[class_id] + 1.0
        if len(columns) > AREA * length * width:
            return False
        length, width = (min(allowance * side, side + self.most_smear) for side in (length, width))
        return bool(kernels.fits(_unpack(columns), length, width))


class _Pieces:
    """A division of the voxels of a frame.

    Attributes:
        piece: (N,) piece of each voxel; the first have the centres ``seeds`` and may be empty.
        columns: per piece, its footprint as packed indices; histogram: (count, classes) voxels per class.
    """

    def __init__(self, frame: _Frame, piece: npt.NDArray[np.int32], count: int, seeds: Int) -> None:
        self.frame, self.piece, self.count, self.seeds = frame, piece, count, seeds
        self.seeded = np.arange(count) < len(seeds)
        keys = np.unique(piece.astype(np.int64) << 32 | _pack(frame.voxels))
        ends = np.searchsorted(keys >> 32, np.arange(count + 1))
        self.columns = np.split(keys & 0xFFFFFFFF, ends[1:-1]) if count else []
        classes = frame.num_classes
        flat = piece * classes + frame.label
        self.histogram = np.bincount(flat, minlength=count * classes).reshape(count, classes)

    def seeds_to_split(self, seeds: Int, weak: Int) -> npt.NDArray[np.int64]:
        """The seeds, and the weak centres inside pieces that are too large for one object."""
        frame = self.frame
        home = self.piece[frame.anchor[weak]]
        chosen = []
        for p in np.unique(home).tolist():
            if not frame.single(self.columns[p], int(self.histogram[p].argmax()), LOOSE_BOX):
                inside = weak[home == p]
                chosen += inside[frame.score[inside] >= WEAK_SHARE * frame.score[inside].max()].tolist()
        return frame.with_seeds(seeds, np.sort(np.array(chosen, np.int64)))

    def is_crumb(self) -> npt.NDArray[np.bool_]:
        """Which pieces have neither a centre nor enough voxels for an object of their own."""
        least = self.frame.traits.least_voxels
        return np.asarray(~self.seeded & (self.histogram.sum(axis=1) < least[self.histogram.argmax(axis=1)]))

    def on_one_ray(self) -> list[tuple[int, int]]:
        """Pairs of pieces that may be one object seen at two distances, likeliest first."""
        frame, used = self.frame, np.flatnonzero(self.histogram.any(axis=1) & ~self.is_crumb())
        seeded = np.flatnonzero(used < len(self.seeds))
        class_id = self.histogram[used].argmax(axis=1)
        position = np.empty((len(used), 2))
        for k in np.flatnonzero(used >= len(self.seeds)).tolist():
            position[k] = _unpack(self.columns[used[k]]).mean(axis=0)
        strong = np.zeros(len(used), bool)
        seeds = self.seeds[used[seeded]]
        class_id[seeded], position[seeded], strong[seeded] = (
            frame.class_id[seeds],
            frame.position[seeds],
            frame.strong[seeds],
        )
        group, width = frame.traits.group[class_id], frame.width[class_id]
        view = position - frame.viewer
        distance = np.linalg.norm(view, axis=1)
        ray = view / np.maximum(distance, 1.0)[:, None]
        first, second = np.nonzero((group[:, None] == group[None]) & np.triu(np.ones((len(used), len(used)), bool), 1))
        step = position[second] - position[first]
        along = (step * ray[first]).sum(axis=1)
        aside = step[:, 1] * ray[first, 0] - step[:, 0] * ray[first, 1]
        far = RAY_WIDTHS * width + RAY_SHARE * distance
        most_along = np.where(strong[first] & strong[second], RAY_STRONG, 1.0) * np.maximum(far[first], far[second])
        most_aside = RAY_ASIDE * np.maximum(width[first], width[second])
        off = (along / most_along) ** 2 + (aside / most_aside) ** 2
        order = np.argsort(off, kind="stable")[: np.count_nonzero(off < 1.0)]
        return list(zip(used[first[order]].tolist(), used[second[order]].tolist(), strict=True))

    def smeared(self, a: int, b: int) -> bool:
        """Whether two pieces on one ray cover no more ground than one object drawn out along it."""
        frame = self.frame
        columns = np.union1d(self.columns[a], self.columns[b])
        class_id = int((self.histogram[a] + self.histogram[b]).argmax())
        view = _unpack(columns) - frame.viewer
        x, y = view.mean(axis=0).tolist()
        distance = max(float(np.hypot(x, y)), 1.0)
        aside = float(np.ptp(view @ (-y / distance, x / distance))) + 1.0
        usual = (frame.length[class_id] + 1.0) * (frame.width[class_id] + 1.0)
        if frame.traits.length_m[class_id] > LARGE_M:
            return bool(len(columns) <= usual + LARGE_SMEAR_SHARE * distance * aside)
        return bool(len(columns) <= max(AREA * usual, usual + SMEAR_SHARE * distance * aside))

    def joined(self) -> npt.NDArray[np.int32]:
        """Object (N,) of every voxel: pieces that are one object together joined, -1 for crumbs far from any."""
        frame = self.frame
        keys = kernels.contacts(frame.voxels, frame.group, self.piece, frame.where, GAP_VOXELS)
        keys, contacts = np.unique(keys, return_counts=True)
        pairs = list(zip((keys >> 32).tolist(), (keys & 0xFFFFFFFF).tolist(), strict=True))
        touching: list[dict[int, int]] = [{} for _ in range(self.count)]
        for (a, b), voxels in zip(pairs, contacts.tolist(), strict=True):
            touching[a][b] = touching[b][a] = voxels
        root = np.arange(self.count)

        def join(a: int, b: int) -> None:
            """Piece b becomes part of a."""
            root[root == b] = a
            self.columns[a] = np.union1d(self.columns[a], self.columns[b])
            self.histogram[a] += self.histogram[b]
            self.histogram[b] = 0
            for c, voxels in touching[b].items():
                del touching[c][b]
                if c != a:
                    touching[a][c] = touching[c][a] = touching[a].get(c, 0) + voxels
            touching[b] = {}
            self.seeded[a] |= self.seeded[b]

        for k in np.argsort(-contacts, kind="stable").tolist():
            first, second = pairs[k]
            a, b = sorted((int(root[first]), int(root[second])))
            if a == b:
                continue
            class_id = int((self.histogram[a] + self.histogram[b]).argmax())
            allowance = STRONG_BOX if self.seeded[a] and self.seeded[b] else LOOSE_BOX
            if frame.single(np.union1d(self.columns[a], self.columns[b]), class_id, allowance):
                join(a, b)

        for first, second in self.on_one_ray():
            a, b = sorted((int(root[first]), int(root[second])))
            if a != b and self.smeared(a, b):
                join(a, b)

        for p in np.flatnonzero(self.is_crumb()).tolist():
            if touching[p]:
                join(max(touching[p], key=lambda c: (touching[p][c], -c)), p)
        result = root[self.piece].astype(np.int32) if self.count else self.piece
        crumb = self.is_crumb() & (self.histogram.sum(axis=1) > 0)
        if crumb.any():
            in_crumb = crumb[result]
            result[in_crumb] = kernels.nearest_object(
                frame.voxels, frame.group, result, in_crumb, np.flatnonzero(crumb), CRUMB_REACH_VOXELS
            )
        return result


def segment(
    semantics: npt.NDArray[np.uint8],
    centers: Centers,
    strong: npt.NDArray[np.bool_],
    reach_m: Float64,
    grid: VoxelGrid,
    classes: ClassTable = OCC3D,
) -> Segments:
    """Objects of one frame.

    Args:
        semantics: (X, Y, Z) uint8 class ids.
        centers: K centres, best score first, weak ones included.
        strong: (K,) which centres are objects by themselves.
        reach_m: (classes,) per class, how far a voxel may lie from the centre of its object.
        grid: where the voxels lie.
        classes: what the ids mean.
    """
    frame = _Frame(semantics, centers, strong, reach_m, grid, classes)
    anchored = frame.anchor >= 0
    seeds = frame.with_seeds(np.zeros(0, np.int64), np.flatnonzero(strong & anchored))
    pieces = frame.split(seeds)
    more = pieces.seeds_to_split(seeds, np.flatnonzero(~strong & anchored))
    if len(more) > len(seeds):
        pieces = frame.split(more)
    return _summed(frame, pieces.joined(), centers, grid)


def _summed(frame: _Frame, piece: npt.NDArray[np.int32], centers: Centers, grid: VoxelGrid) -> Segments:
    """Number the objects best score first and measure them."""
    inside = piece >= 0
    used, number = np.unique(piece[inside], return_inverse=True)
    objects = np.full(len(piece), -1, np.int64)
    objects[inside] = number
    score, center = np.zeros(len(used), np.float32), np.full((len(used), 3), np.nan)
    strong = np.zeros(len(used), bool)
    for k in np.flatnonzero(frame.anchor >= 0)[::-1].tolist():  # the best centre in an object is written last
        home = objects[frame.anchor[k]]
        if home >= 0:
            score[home], strong[home], center[home] = centers.score[k], frame.strong[k], centers.xyz_m[k]
    order = np.argsort(-score, kind="stable")
    rank = np.empty(len(used) + 1, np.int64)
    rank[order], rank[-1] = np.arange(len(used)), -1
    objects = rank[objects]
    histogram, box = kernels.measure(frame.voxels, frame.label, objects, len(used), frame.num_classes)
    found = Segments(
        voxels=frame.voxels,
        segment=objects.astype(np.int32),
        class_id=histogram.argmax(axis=1),
        score=score[order],
        strong=strong[order],
        center_m=center[order],
        count=histogram.sum(axis=1),
        box=box,
    )
    return replace(found, center_m=np.where(np.isnan(found.center_m), found.middle_m(grid), found.center_m))


def _pack(voxels: Int) -> npt.NDArray[np.int64]:
    """One number per column of the grid from indices (M, 3)."""
    return np.asarray(voxels[:, 0].astype(np.int64) << 16 | voxels[:, 1])


def _unpack(columns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.stack([columns >> 16, columns & 0xFFFF], axis=1)
