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

"""Instances as the published code makes them, mistakes included: for comparisons with it.

It looks centres up in class tables that assume another order of detection classes than the one the head was trained
with (pedestrian voxels look for bicycle centres, trailers and construction vehicles are swapped, cones and barriers get
no instance) and has no distance limit. Ids do not stay with an object.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

from flashocc_ros.labels import FIRST_INSTANCE_ID, NUM_CLASSES
from flashocc_ros.pipeline.decode import Centers
from flashocc_ros.structures import OCC3D_GRID, Instance, VoxelGrid

SPARSE = 4
"""Voxels of a class in a column of 16 up to which they are searched one by one."""

OCC_FROM_DETECTION = (4, 10, 9, 3, 5, 2, 6, 7, 8, 1)
DETECTION_FROM_OCC = (-1, -1, 5, 3, 0, 4, 6, 7, -1, 2, 1) + (-1,) * 7
"""The tables of the published code, mistakes included; -1 means that no centre is ever found."""


def reference_instances(
    semantics: npt.NDArray[np.uint8], centers: Centers, grid: VoxelGrid = OCC3D_GRID
) -> tuple[npt.NDArray[np.int32], tuple[Instance, ...]]:
    """Give every voxel an instance id, its class id, or 0 where its class has centres but no way to them.

    Args:
        semantics: (X, Y, Z) uint8 class ids.
        centers: K centres, best score first.
        grid: where the voxels lie.

    Returns:
        (X, Y, Z) int32 ids, and the K instances in the order of ``centers``; one may own no voxel. Ids are 18 plus a
        permutation of the centres.
    """
    ids = (FIRST_INSTANCE_ID + np.argsort(centers.detection, kind="stable")).astype(np.int32)
    classes = np.array(OCC_FROM_DETECTION)[centers.detection]
    searched = np.array(DETECTION_FROM_OCC)
    # in whole voxels, relative to the lower corner of a voxel
    position = np.trunc((centers.xyz_m - np.array(grid.origin_m, np.float32)) / np.float32(grid.resolution_m))

    claimed = np.zeros(NUM_CLASSES, bool)
    claimed[classes] = True
    # centres grouped by the class whose voxels look for them; score order inside a group settles equal distances
    groups = [np.flatnonzero(claimed[c] & (centers.detection == searched[c])) for c in range(NUM_CLASSES)]
    start = np.cumsum([0] + [len(g) for g in groups])
    member = np.concatenate(groups).astype(np.int64)
    fallback = np.where(claimed, 0, np.arange(NUM_CLASSES)).astype(np.int32)

    result = np.empty(semantics.shape, np.int32)
    count = np.zeros(len(centers), np.int64)
    box = np.zeros((len(centers), 2, 3), np.int64)
    box[:, 0] = np.iinfo(np.int64).max
    _assign(
        np.ascontiguousarray(semantics),
        np.ascontiguousarray(position[member], np.float32),
        member,
        start,
        ids,
        fallback,
        result,
        count,
        box,
    )
    extent = np.where(count[:, None] > 0, (box[:, 1] - box[:, 0] + 1) * grid.resolution_m, 0.0)
    instances = tuple(
        Instance(
            id=int(ids[k]),
            class_id=int(classes[k]),
            score=float(centers.score[k]),
            center_m=tuple(centers.xyz_m[k].tolist()),
            extent_m=tuple(extent[k].tolist()),
            voxel_count=int(count[k]),
        )
        for k in range(len(centers))
    )
    return result, instances


@nb.njit(nogil=True, cache=True)
def _search_column(
    ix: int,
    iy: int,
    position: npt.NDArray[np.float32],
    first: int,
    last: int,
    best: npt.NDArray[np.float32],
    owner: npt.NDArray[np.int32],
) -> None:
    """Index of the nearest of the centres ``first`` to ``last`` for every height."""
    best[:] = np.inf
    owner[:] = -1
    worst = np.float32(np.inf)
    for m in range(first, last):
        dx, dy = np.float32(ix) - position[m, 0], np.float32(iy) - position[m, 1]
        flat, z = dx * dx + dy * dy, position[m, 2]
        if flat >= worst:
            continue
        for iz in range(len(best)):
            dz = np.float32(iz) - z
            distance = flat + dz * dz
            closer = distance < best[iz]
            best[iz] = distance if closer else best[iz]
            owner[iz] = np.int32(m) if closer else owner[iz]
        worst = best.max()


@nb.njit(nogil=True, cache=True)
def _search_voxel(
    ix: int,
    iy: int,
    iz: int,
    position: npt.NDArray[np.float32],
    first: int,
    last: int,
) -> int:
    """The same for one voxel."""
    best, owner = np.float32(np.inf), -1
    for m in range(first, last):
        dx, dy = np.float32(ix) - position[m, 0], np.float32(iy) - position[m, 1]
        dz = np.float32(iz) - position[m, 2]
        distance = dx * dx + dy * dy + dz * dz
        if distance < best:
            best, owner = distance, m
    return owner


@nb.njit(nogil=True, cache=True)
def _assign(
    semantics: npt.NDArray[np.uint8],
    position: npt.NDArray[np.float32],
    member: npt.NDArray[np.int64],
    start: npt.NDArray[np.int64],
    ids: npt.NDArray[np.int32],
    fallback: npt.NDArray[np.int32],
    result: npt.NDArray[np.int32],
    count: npt.NDArray[np.int64],
    box: npt.NDArray[np.int64],
) -> None:
    """Nearest centre per voxel, one column of voxels at a time.

    A class that fills much of a column is searched for the whole column at once, in vectors along z; one that has a
    voxel here and there, voxel by voxel.
    """
    size_x, size_y, size_z = semantics.shape
    classes = len(fallback)
    best = np.empty(size_z, np.float32)
    owner = np.empty((classes, size_z), np.int32)
    voxels = np.empty(classes, np.int64)
    for ix in range(size_x):
        for iy in range(size_y):
            voxels[:] = 0
            for iz in range(size_z):
                label = semantics[ix, iy, iz]
                result[ix, iy, iz] = fallback[label]
                voxels[label] += 1
            for label in range(classes):
                if start[label + 1] == start[label]:
                    voxels[label] = 0
                elif voxels[label] > SPARSE:
                    _search_column(ix, iy, position, start[label], start[label + 1], best, owner[label])
            for iz in range(size_z):
                label = semantics[ix, iy, iz]
                if voxels[label] == 0:
                    continue
                found = owner[label, iz]
                if voxels[label] <= SPARSE:
                    found = _search_voxel(ix, iy, iz, position, start[label], start[label + 1])
                if found < 0:
                    continue
                k = member[found]
                result[ix, iy, iz] = ids[k]
                count[k] += 1
                box[k, 0, 0] = min(box[k, 0, 0], ix)
                box[k, 1, 0] = max(box[k, 1, 0], ix)
                box[k, 0, 1] = min(box[k, 0, 1], iy)
                box[k, 1, 1] = max(box[k, 1, 1], iy)
                box[k, 0, 2] = min(box[k, 0, 2], iz)
                box[k, 1, 2] = max(box[k, 1, 2], iz)
