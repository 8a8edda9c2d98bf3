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

"""Compiled loops over rays: hits into voxels, free space along rays, heights of the ground.

All take ``base_from_rays`` (3, 4) float64, metres, into the base frame at the key stamp, and ``origin``, ``cell`` of
the grid. ``kind`` of a ray is one of the constants of `sweeps` or of those here; ``flats`` are those of
`class_ids.flat_numbers`.
"""

from __future__ import annotations

import numba
import numpy as np

from flashocc_ros.labelling.class_ids import UNKNOWN
from flashocc_ros.labelling.clouds import UNKNOWN_CLASS
from flashocc_ros.labelling.sweeps import NO_RETURN, RETURN

DROPPED, BOXED = 3, 4
"""A hit of something that moves, or near it; a hit in a box that stands."""
MOMENTS = 12
"""Per voxel: sums of x, y, z, of xx, xy, xz, yy, yz, zz about its lower corner, and of the ways of the rays."""
LAST, SWEEPS, PASSED_HIT, PASSED = range(4)
"""Columns of ``met``."""
INWARD_M = 0.1
DENSE_M = 12.0
_FULL = 60000


@numba.njit(cache=True, nogil=True)
def ground_heights(  # type: ignore[no-untyped-def]
    ends, kind, classes, by_class, flats, base_from_rays, origin, cell, bins, low_m, step_m
):
    """Count hits in ``bins`` (X, Y, B): histograms of heights per column from ``low_m`` in steps of ``step_m``."""
    m = base_from_rays
    for i in range(len(ends)):
        if kind[i] != RETURN or (by_class and flats[classes[i]] < 0):
            continue
        x, y, z = ends[i, 0], ends[i, 1], ends[i, 2]
        ix = int(np.floor((m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3] - origin[0]) / cell))
        iy = int(np.floor((m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3] - origin[1]) / cell))
        iz = int(np.floor((m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3] - low_m) / step_m))
        if 0 <= ix < bins.shape[0] and 0 <= iy < bins.shape[1] and 0 <= iz < bins.shape[2]:
            bins[ix, iy, iz] += 1


@numba.njit(cache=True, nogil=True)
def tell_by_boxes(kind, classes, owned, owner, inside, moves, box_classes, flats):  # type: ignore[no-untyped-def]
    """Change kinds and classes of the rays ``owned`` (P,) by what their boxes are.

    Args:
        moves, box_classes: by number of a box, of `counts.Owners`.
    """
    for i in owned:
        label = box_classes[owner[i]]
        if moves[owner[i]]:
            kind[i] = DROPPED
        elif inside[i]:
            kind[i] = BOXED
            if flats[label] != UNKNOWN and flats[classes[i]] < 0:
                classes[i] = label
        elif classes[i] == UNKNOWN_CLASS:
            # Sides scatter by the noise of the lidar: what lies beside a box and has no class of its own is the box's.
            classes[i] = label


@numba.njit(cache=True, nogil=True)
def bin_hits(  # type: ignore[no-untyped-def]
    ends, kind, classes, owner, origins, knot, by_class, flats, base_from_rays, origin, cell, ground, bands, number,
    recent, normals, hits, recent_hits, met, extent, ground_hits, recent_ground, ground_votes, votes, holder, held,
    moments,
):  # fmt: skip
    """Count hits in voxels; those of the ground apart.

    Args:
        ground: (X, Y) float32 height of the ground, NaN unknown; bands: metres above it that belong to it, for hits and
            for hits in boxes.
        number: of this sweep in the order of time, from 1; recent: whether it was near the key frame.
        normals: (V, 3) float32 outward, per voxel, along which hits are moved ``INWARD_M`` back; empty for none.
        extent: (V, 6) uint8, lowest x, y, z of the hits and 255 less the highest, in 255ths of the voxel; or empty.
        met: (V, 4) uint16 number of the last sweep that hit, how many did, and what ``carve`` counts.
        hits, recent_hits, ground_hits, recent_ground: (V,) of the flat grid; ground_votes: (X Y, F).
        votes: (V, C) or empty.
        holder, held: (V,) whose hits these are, by majority (Boyer and Moore).
        moments: (V, MOMENTS) or empty.
    """
    m = base_from_rays
    nx, ny = ground.shape
    nz = hits.shape[0] // (nx * ny)
    for i in range(len(ends)):
        if kind[i] != RETURN and kind[i] != BOXED:
            continue
        x, y, z = ends[i, 0], ends[i, 1], ends[i, 2]
        px = (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3] - origin[0]) / cell
        py = (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3] - origin[1]) / cell
        ix, iy = int(np.floor(px)), int(np.floor(py))
        if ix < 0 or iy < 0 or ix >= nx or iy >= ny:
            continue
        height = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
        pz = (height - origin[2]) / cell
        iz = int(np.floor(pz))
        label = classes[i]
        flat = flats[label]
        if by_class and flat != UNKNOWN:
            is_ground = flat >= 0
        else:
            above = height - ground[ix, iy]
            is_ground = above < (bands[1] if kind[i] == BOXED else bands[0])
        if is_ground:
            if 0 <= iz < nz:
                v = (ix * ny + iy) * nz + iz
                ground_hits[v] = min(ground_hits[v] + 1, _FULL)
                if recent:
                    recent_ground[v] = 1
                if flat >= 0:
                    ground_votes[ix * ny + iy, flat] += 1
            continue
        if normals.shape[0]:
            if not 0 <= iz < nz:
                continue
            v = (ix * ny + iy) * nz + iz
            px -= normals[v, 0] * INWARD_M / cell
            py -= normals[v, 1] * INWARD_M / cell
            pz -= normals[v, 2] * INWARD_M / cell
            ix, iy, iz = int(np.floor(px)), int(np.floor(py)), int(np.floor(pz))
            if ix < 0 or iy < 0 or ix >= nx or iy >= ny:
                continue
        if not 0 <= iz < nz:
            continue
        v = (ix * ny + iy) * nz + iz
        if hits[v] < _FULL:
            hits[v] += 1
            if votes.shape[0] and flat != UNKNOWN:
                votes[v, label] += 1
        a, b, c = px - ix, py - iy, pz - iz
        if extent.shape[0]:
            extent[v, 0], extent[v, 3] = min(extent[v, 0], int(255 * a)), min(extent[v, 3], int(255 * (1 - a)))
            extent[v, 1], extent[v, 4] = min(extent[v, 1], int(255 * b)), min(extent[v, 4], int(255 * (1 - b)))
            extent[v, 2], extent[v, 5] = min(extent[v, 2], int(255 * c)), min(extent[v, 5], int(255 * (1 - c)))
        if met[v, LAST] != number:
            met[v, LAST] = number
            met[v, SWEEPS] += 1
        if recent:
            recent_hits[v] = min(recent_hits[v] + 1, 255)
        whose = owner[i] if kind[i] == BOXED else 0
        if held[v] == 0:
            holder[v], held[v] = whose, 1
        elif holder[v] == whose:
            held[v] = min(held[v] + 1, 30000)
        else:
            held[v] -= 1
        if moments.shape[0]:
            a, b, c = a * cell, b * cell, c * cell
            ray_x, ray_y = x - origins[knot[i], 0], y - origins[knot[i], 1]
            ray_z = z - origins[knot[i], 2]
            scale = 1 / max(np.sqrt(ray_x * ray_x + ray_y * ray_y + ray_z * ray_z), 1e-6)
            s = moments[v]
            s[0] += a
            s[1] += b
            s[2] += c
            s[3] += a * a
            s[4] += a * b
            s[5] += a * c
            s[6] += b * b
            s[7] += b * c
            s[8] += c * c
            s[9] += scale * (m[0, 0] * ray_x + m[0, 1] * ray_y + m[0, 2] * ray_z)
            s[10] += scale * (m[1, 0] * ray_x + m[1, 1] * ray_y + m[1, 2] * ray_z)
            s[11] += scale * (m[2, 0] * ray_x + m[2, 1] * ray_y + m[2, 2] * ray_z)


@numba.njit(cache=True, nogil=True, fastmath=True)
def carve(  # type: ignore[no-untyped-def]
    ends,
    origins,
    knot,
    kind,
    number,
    every,
    base_from_rays,
    origin,
    cell,
    size,
    met,
    recent,
    recent_passes,
):
    """Count rays that pass voxels, from the lidar to the voxel before the one that is hit.

    Walk of Amanatides and Woo (1987) through the part of each ray that lies in the grid.

    Args:
        number: of the sweep, as in ``bin_hits``; every: only each n-th ray, others in the next sweep. Where rays lie
            closer than voxels, up to ``DENSE_M``, of those again only each fourth.
        met: of ``bin_hits`` for the same sweep; in it passes in sweeps that hit the voxel too, and in others. It is
            one array because this loop waits for the memory.
        recent: count in ``recent_passes`` (V,) uint8 too.
    """
    m = base_from_rays
    nx, ny, nz = size
    for i in range(number % every, len(ends), every):
        k = knot[i]
        ox = (m[0, 0] * origins[k, 0] + m[0, 1] * origins[k, 1] + m[0, 2] * origins[k, 2] + m[0, 3] - origin[0]) / cell
        oy = (m[1, 0] * origins[k, 0] + m[1, 1] * origins[k, 1] + m[1, 2] * origins[k, 2] + m[1, 3] - origin[1]) / cell
        oz = (m[2, 0] * origins[k, 0] + m[2, 1] * origins[k, 1] + m[2, 2] * origins[k, 2] + m[2, 3] - origin[2]) / cell
        ex = (m[0, 0] * ends[i, 0] + m[0, 1] * ends[i, 1] + m[0, 2] * ends[i, 2] + m[0, 3] - origin[0]) / cell
        ey = (m[1, 0] * ends[i, 0] + m[1, 1] * ends[i, 1] + m[1, 2] * ends[i, 2] + m[1, 3] - origin[1]) / cell
        ez = (m[2, 0] * ends[i, 0] + m[2, 1] * ends[i, 1] + m[2, 2] * ends[i, 2] + m[2, 3] - origin[2]) / cell
        dx, dy, dz = ex - ox, ey - oy, ez - oz
        # the part of the ray within the grid
        near, far = 0.0, 1.0
        outside = False
        for axis in range(3):
            o = ox if axis == 0 else (oy if axis == 1 else oz)
            d = dx if axis == 0 else (dy if axis == 1 else dz)
            n = nx if axis == 0 else (ny if axis == 1 else nz)
            if abs(d) < 1e-9:
                outside |= o < 0 or o >= n
                continue
            a, b = -o / d, (n - o) / d
            near, far = max(near, min(a, b)), min(far, max(a, b))
        if (i // every) % 4:
            near = max(near, DENSE_M / cell / max(np.sqrt(dx * dx + dy * dy + dz * dz), 1e-6))
        if outside or near >= far:
            continue
        t = near + 1e-7
        ix = min(max(int(np.floor(ox + t * dx)), 0), nx - 1)
        iy = min(max(int(np.floor(oy + t * dy)), 0), ny - 1)
        iz = min(max(int(np.floor(oz + t * dz)), 0), nz - 1)
        last_x, last_y, last_z = int(np.floor(ex)), int(np.floor(ey)), int(np.floor(ez))
        if kind[i] == NO_RETURN:
            last_x = -9
        sx, sy, sz = (1 if dx > 0 else -1), (1 if dy > 0 else -1), (1 if dz > 0 else -1)
        ax, ay, az = 1 / max(abs(dx), 1e-9), 1 / max(abs(dy), 1e-9), 1 / max(abs(dz), 1e-9)
        tx = ((ix + 1 - ox) if dx > 0 else (ox - ix)) * ax
        ty = ((iy + 1 - oy) if dy > 0 else (oy - iy)) * ay
        tz = ((iz + 1 - oz) if dz > 0 else (oz - iz)) * az
        v = (ix * ny + iy) * nz + iz
        while not (ix == last_x and iy == last_y and iz == last_z):
            side = PASSED_HIT if met[v, LAST] == number else PASSED
            if met[v, side] < _FULL:
                met[v, side] += 1
            if recent and recent_passes[v] < 255:
                recent_passes[v] += 1
            if tx < ty and tx < tz:
                ix += sx
                v += sx * ny * nz
                if tx > far or ix < 0 or ix >= nx:
                    break
                tx += ax
            elif ty < tz:
                iy += sy
                v += sy * nz
                if ty > far or iy < 0 or iy >= ny:
                    break
                ty += ay
            else:
                iz += sz
                v += sz
                if tz > far or iz < 0 or iz >= nz:
                    break
                tz += az


@numba.njit(cache=True, nogil=True)
def mark_boxes(poses, half, origin, cell, out):  # type: ignore[no-untyped-def]
    """Set ``out`` (X, Y, Z) uint8 where the middle of a voxel lies in one of the boxes (B, 4, 4), (B, 3)."""
    for b in range(len(poses)):
        r, h = poses[b], half[b]
        low, high = np.empty(3, np.int64), np.empty(3, np.int64)
        for j in range(3):
            reach = abs(r[j, 0]) * h[0] + abs(r[j, 1]) * h[1] + abs(r[j, 2]) * h[2]
            low[j] = max(int((r[j, 3] - reach - origin[j]) / cell), 0)
            high[j] = min(int((r[j, 3] + reach - origin[j]) / cell) + 1, out.shape[j])
        for ix in range(low[0], high[0]):
            x = origin[0] + (ix + 0.5) * cell - r[0, 3]
            for iy in range(low[1], high[1]):
                y = origin[1] + (iy + 0.5) * cell - r[1, 3]
                for iz in range(low[2], high[2]):
                    z = origin[2] + (iz + 0.5) * cell - r[2, 3]
                    if (
                        abs(r[0, 0] * x + r[1, 0] * y + r[2, 0] * z) <= h[0]
                        and abs(r[0, 1] * x + r[1, 1] * y + r[2, 1] * z) <= h[1]
                        and abs(r[0, 2] * x + r[1, 2] * y + r[2, 2] * z) <= h[2]
                    ):
                        out[ix, iy, iz] = 1


@numba.njit(cache=True, nogil=True)
def put_back(points, index, poses):  # type: ignore[no-untyped-def]
    """(P, 3) float32 of points in boxes, ``index`` (P,) of ``poses`` (B, 4, 4)."""
    out = np.empty_like(points)
    for i in range(len(points)):
        m = poses[index[i]]
        for j in range(3):
            out[i, j] = m[j, 0] * points[i, 0] + m[j, 1] * points[i, 1] + m[j, 2] * points[i, 2] + m[j, 3]
    return out
