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

"""How good labels from lidar are: exact truth of the synthetic world in both conventions, and the numbers against it.

``solid`` is what the world itself says (`data.synthetic.truth`): the middle of the voxel lies in the solid grown by
0.1 m. ``touch`` is what points give and Occ3D has: any surface reaches into the voxel, or its middle lies inside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from flashocc_ros.data.synthetic.drive import Drive
from flashocc_ros.data.synthetic.solids import BOX, ELLIPSOID, Solids, inside
from flashocc_ros.data.synthetic.truth import PAINT_RANK, camera_mask, label_ground, voxel_labels
from flashocc_ros.labels import CLASS_NAMES, FLAT_CLASSES, FREE, NUM_CLASSES
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid

Uint8 = npt.NDArray[np.uint8]
_SPACING_M = 0.05
_GROUND_STEPS = 4
"""Places along a voxel at which the ground is looked up."""


def true_labels(drive: Drive, t: float, convention: str) -> tuple[Uint8, Uint8]:
    """Semantics and camera mask (200, 200, 16) uint8 at a time of a drive, seconds."""
    pose = drive.world.ego_pose(t)
    base_from_world = np.asarray(np.linalg.inv(pose), np.float64)
    solids, _ = drive.world.solids(t, pose[:3, 3], 62.0)
    local, ground = solids.moved(base_from_world), drive.world.street.ground
    semantics = voxel_labels(local, ground, pose)[0] if convention == "solid" else touched(local, ground, pose)
    return semantics, camera_mask(semantics, drive.full_rig.cameras, drive.full_rig.image_size)


def touched(
    solids: Solids, ground: Any, world_from_base: npt.NDArray[np.float64], grid: VoxelGrid = OCC3D_GRID
) -> Uint8:
    """Classes of the voxels that a surface reaches into, of those of several the same one as in ``voxel_labels``."""
    out = np.full(grid.size, FREE, np.uint8)
    origin = np.array(grid.origin_m)
    label_ground(ground, world_from_base, origin, grid.resolution_m, _GROUND_STEPS, out)
    order = np.argsort(PAINT_RANK[solids.label], kind="stable")
    _touch_solids(solids, order, origin, grid.resolution_m, out)
    return out


@numba.njit(cache=True, nogil=True)
def _set(out, origin, cell, c, r, x, y, z, label):  # type: ignore[no-untyped-def]
    ix = int(np.floor((c[0] + r[0, 0] * x + r[0, 1] * y + r[0, 2] * z - origin[0]) / cell))
    iy = int(np.floor((c[1] + r[1, 0] * x + r[1, 1] * y + r[1, 2] * z - origin[1]) / cell))
    iz = int(np.floor((c[2] + r[2, 0] * x + r[2, 1] * y + r[2, 2] * z - origin[2]) / cell))
    if 0 <= ix < out.shape[0] and 0 <= iy < out.shape[1] and 0 <= iz < out.shape[2]:
        out[ix, iy, iz] = label


@numba.njit(cache=True, nogil=True)
def _touch_solids(solids, order, origin, cell, out):  # type: ignore[no-untyped-def]
    for i in order:
        c, r, h, kind = solids.center[i], solids.rotation[i], solids.half[i], solids.kind[i]
        taper, label = solids.taper[i], solids.label[i]
        # the middle of a voxel inside
        steps = np.empty(3, np.int64)
        for j in range(3):
            steps[j] = int(np.ceil(2 * h[j] / _SPACING_M)) + 1
        reach = np.empty(3)
        low, high = np.empty(3, np.int64), np.empty(3, np.int64)
        for j in range(3):
            reach[j] = abs(r[j, 0]) * h[0] + abs(r[j, 1]) * h[1] + abs(r[j, 2]) * h[2]
            low[j] = max(int(np.floor((c[j] - reach[j] - origin[j]) / cell)), 0)
            high[j] = min(int(np.floor((c[j] + reach[j] - origin[j]) / cell)) + 1, out.shape[j])
        if low[0] >= high[0] or low[1] >= high[1] or low[2] >= high[2]:
            continue
        for ix in range(low[0], high[0]):
            x = origin[0] + (ix + 0.5) * cell - c[0]
            for iy in range(low[1], high[1]):
                y = origin[1] + (iy + 0.5) * cell - c[1]
                for iz in range(low[2], high[2]):
                    z = origin[2] + (iz + 0.5) * cell - c[2]
                    ux = (r[0, 0] * x + r[1, 0] * y + r[2, 0] * z) / h[0]
                    uy = (r[0, 1] * x + r[1, 1] * y + r[2, 1] * z) / h[1]
                    uz = (r[0, 2] * x + r[1, 2] * y + r[2, 2] * z) / h[2]
                    if inside(kind, taper[0], taper[1], ux, uy, uz):
                        out[ix, iy, iz] = label
        # the surface: pairs of opposite sides for every point of a face of the unit cube
        for axis in range(3):
            a, b = (axis + 1) % 3, (axis + 2) % 3
            for ia in range(steps[a]):
                ua = 2.0 * ia / (steps[a] - 1) - 1.0
                for ib in range(steps[b]):
                    ub = 2.0 * ib / (steps[b] - 1) - 1.0
                    u = np.empty(3)
                    u[a], u[b] = ua, ub
                    for side in range(2):
                        if kind == ELLIPSOID:
                            rest = 1.0 - ua * ua - ub * ub
                            if rest < 0:
                                continue
                            u[axis] = np.sqrt(rest) if side else -np.sqrt(rest)
                        elif axis == 2:
                            u[2] = 1.0 if side else -1.0
                            if not inside(kind, taper[0], taper[1], u[0], u[1], u[2] * 0.999999):
                                continue
                        else:
                            shrink = 1.0 - (taper[axis] if kind == BOX else taper[0]) * 0.5 * (u[2] + 1.0)
                            if kind == BOX:
                                other = 1 - axis
                                if abs(u[other]) > 1.0 - taper[other] * 0.5 * (u[2] + 1.0):
                                    continue
                                u[axis] = shrink if side else -shrink
                            else:
                                rest = shrink * shrink - u[1 - axis] ** 2
                                if rest < 0:
                                    continue
                                u[axis] = np.sqrt(rest) if side else -np.sqrt(rest)
                        _set(out, origin, cell, c, r, u[0] * h[0], u[1] * h[1], u[2] * h[2], label)


@dataclass
class Score:
    """Sums over frames of one convention."""

    confusion: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64))
    mask_both: int = 0
    mask_either: int = 0
    seen: int = 0
    labelled: int = 0

    def update(
        self, semantics: Uint8, observed: npt.NDArray, mask: npt.NDArray, truth: Uint8, true_mask: Uint8
    ) -> None:
        """One frame: labels, where they are known, their camera mask; truth and its camera mask."""
        observed, mask, true_mask = (np.asarray(v, bool) for v in (observed, mask, true_mask))
        where = observed & true_mask
        pairs = truth[where].astype(np.int64) * NUM_CLASSES + semantics[where]
        self.confusion += np.bincount(pairs, minlength=NUM_CLASSES**2).reshape(NUM_CLASSES, NUM_CLASSES)
        self.mask_both += int((mask & true_mask).sum())
        self.mask_either += int((mask | true_mask).sum())
        self.seen += int(true_mask.sum())
        self.labelled += int(where.sum())

    def result(self) -> dict[str, Any]:
        """``above_ground`` IoU, ``miou``, IoU of ``mask_camera``, ``coverage`` of the exact mask, ``per_class``."""
        above = np.ones(NUM_CLASSES, bool)
        above[[*FLAT_CLASSES, FREE]] = False
        c = self.confusion
        both = c[np.ix_(above, above)].sum()
        either = c[above].sum() + c[:, above].sum() - both
        hit = np.diag(c).astype(float)
        union = c.sum(0) + c.sum(1) - hit
        iou = np.divide(hit, union, out=np.full(NUM_CLASSES, np.nan), where=union > 0)
        return {
            "above_ground": float(both / max(either, 1)),
            "miou": float(np.nanmean(iou[:FREE])),
            "mask_camera": self.mask_both / max(self.mask_either, 1),
            "coverage": self.labelled / max(self.seen, 1),
            "precision": float(both / max(c[:, above].sum(), 1)),
            "recall": float(both / max(c[above].sum(), 1)),
            "per_class": {name: round(float(v), 3) for name, v in zip(CLASS_NAMES, iou, strict=True)},
        }
