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

"""What each pixel and each sun ray hits: a z-buffer of analytic solids, the ground, and a shadow map.

A pixel's ray is ``camera + z * direction`` where ``direction`` has unit z in the optical frame, so the ray parameter is
the z-depth that the labels use. Lenses bring rays of their own, of unit length where depth is range.
"""

from __future__ import annotations

import numba
import numpy as np

from flashocc_ros.data.synthetic.materials import LEAVES, MESH
from flashocc_ros.data.synthetic.solids import ELLIPSOID, enter_exit
from flashocc_ros.data.synthetic.street import base_height, street_at

NEAR_M = 0.15
FAR_M = 160.0
TILE_PX = 16
SHADOW_CELL_M = 0.2
SHADOW_CELLS = 560


@numba.njit(inline="always", cache=True)
def hash32(a):  # type: ignore[no-untyped-def]
    """Well mixed 32 bits of an integer, as int64."""
    x = np.int64(a) & 0xFFFFFFFF  # numba widens uint32 products to 64 bits: mask by hand
    x ^= x >> 16
    x = (x * 0x7FEB352D) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


@numba.njit(inline="always", cache=True)
def hash_cell(x, y, seed):  # type: ignore[no-untyped-def]
    """A number in [0, 1) for an integer cell."""
    return hash32(np.int64(x) * 374761393 + np.int64(y) * 668265263 + np.int64(seed) * 2246822519) * 2.3283064e-10


@numba.njit(cache=True, nogil=True)
def _screen_box(center, rotation, half, origin, world_from_camera, k, height, width):  # type: ignore[no-untyped-def]
    """(left, right, top, bottom, nearest z) of the pixels a solid can touch; empty when left >= right."""
    points = np.empty((8, 3))
    for i in range(8):
        sx = half[0] if i & 1 else -half[0]
        sy = half[1] if i & 2 else -half[1]
        sz = half[2] if i & 4 else -half[2]
        px = center[0] - origin[0] + rotation[0, 0] * sx + rotation[0, 1] * sy + rotation[0, 2] * sz
        py = center[1] - origin[1] + rotation[1, 0] * sx + rotation[1, 1] * sy + rotation[1, 2] * sz
        pz = center[2] - origin[2] + rotation[2, 0] * sx + rotation[2, 1] * sy + rotation[2, 2] * sz
        for j in range(3):
            points[i, j] = world_from_camera[0, j] * px + world_from_camera[1, j] * py + world_from_camera[2, j] * pz
    nearest = 1e9
    left, right, top, bottom = 1e9, -1e9, 1e9, -1e9
    for i in range(8):
        nearest = min(nearest, points[i, 2])
        for bit in (0, 1, 2, 4):
            x, y, z = points[i, 0], points[i, 1], points[i, 2]
            if bit:
                j = i ^ bit
                if (z < NEAR_M) == (points[j, 2] < NEAR_M):
                    continue
                share = (NEAR_M - z) / (points[j, 2] - z)
                x += share * (points[j, 0] - x)
                y += share * (points[j, 1] - y)
                z = NEAR_M
            elif z < NEAR_M:
                continue
            u, v = k[0, 0] * x / z + k[0, 2], k[1, 1] * y / z + k[1, 2]
            left, right, top, bottom = min(left, u), max(right, u), min(top, v), max(bottom, v)
    if left > right:
        return 0, 0, 0, 0, nearest
    u0, u1 = max(int(max(left, -1.0)), 0), int(min(right, width - 1.0)) + 1
    v0, v1 = max(int(max(top, -1.0)), 0), int(min(bottom, height - 1.0)) + 1
    if right < 0 or bottom < 0 or left > width or top > height:
        return 0, 0, 0, 0, nearest
    return u0, u1, v0, v1, nearest


@numba.njit(cache=True, inline="always")
def _leaf_seed(h):  # type: ignore[no-untyped-def]
    """Of the crown itself: its outline must not change from frame to frame."""
    return int(h[0] * 977.0 + h[2] * 3181.0)


@numba.njit(cache=True, nogil=True, fastmath=True, inline="always")
def _hit(kind, kx, ky, material, h, leaf_seed, o, dx, dy, dz, limit):  # type: ignore[no-untyped-def]
    """Parameter at which a ray (unit space) meets a solid of half extents ``h`` before ``limit``; -1 if it does not."""
    near, far = enter_exit(kind, kx, ky, o[0], o[1], o[2], dx, dy, dz)
    if near > far or near < NEAR_M or near >= limit:
        return -1.0
    if material == LEAVES and kind == ELLIPSOID:
        # Ragged silhouettes: drop leaves where the ray only grazes the crown.
        middle = 0.5 * (near + far)
        qx, qy, qz = o[0] + middle * dx, o[1] + middle * dy, o[2] + middle * dz
        graze = qx * qx + qy * qy + qz * qz
        if graze > 0.55:
            cx, cz = int(np.floor((qx + qy) * h[0] * 7)), int(np.floor((qz - 0.5 * qy) * h[2] * 7))
            if hash_cell(cx, cz, leaf_seed) > (1.0 - graze) * 2.2:
                return -1.0
    elif material == MESH:
        along = (o[0] + near * dx) * h[0] * 7.0
        if along - np.floor(along) > 0.45 and abs(o[2] + near * dz) < 0.9:
            return -1.0
    return near


@numba.njit(cache=True, nogil=True, fastmath=True)
def _unit_space(r, h, c, origin, world_from_camera, o, a):  # type: ignore[no-untyped-def]
    """Fill ``o`` (3,), the camera in the unit space of a solid, and ``a`` (3, 3), unit from camera."""
    for m in range(3):
        o[m] = 0.0
        for n in range(3):
            o[m] += r[n, m] * (origin[n] - c[n]) / h[m]
            a[m, n] = 0.0
            for q in range(3):
                a[m, n] += r[q, m] * world_from_camera[q, n] / h[m]


@numba.njit(cache=True, nogil=True, fastmath=True)
def draw_solids(solids, origin, world_from_camera, k, depth, index):  # type: ignore[no-untyped-def]
    """Z-buffer of all solids: fills ``depth`` (H, W) float32 and ``index`` (H, W) int32 (-1 stays where nothing is)."""
    height, width = depth.shape
    count = solids.center.shape[0]
    boxes = np.empty((count, 4), np.int64)
    nearest = np.empty(count)
    for i in range(count):
        c, h = solids.center[i], solids.half[i]
        reach = np.sqrt(h[0] * h[0] + h[1] * h[1] + h[2] * h[2])
        z = 0.0
        for j in range(3):
            z += world_from_camera[j, 2] * (c[j] - origin[j])
        nearest[i] = 1e9
        if z + reach > NEAR_M:
            u0, u1, v0, v1, near = _screen_box(c, solids.rotation[i], h, origin, world_from_camera, k, height, width)
            boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = u0, u1, v0, v1
            if u0 < u1 and v0 < v1:
                nearest[i] = near
    for i in np.argsort(nearest):
        if nearest[i] > 1e8:
            break
        r, h, c = solids.rotation[i], solids.half[i], solids.center[i]
        kind, kx, ky, material = solids.kind[i], solids.taper[i, 0], solids.taper[i, 1], solids.material[i]
        leaf_seed = _leaf_seed(h)
        o, a = np.empty(3), np.empty((3, 3))
        _unit_space(r, h, c, origin, world_from_camera, o, a)
        for v in range(boxes[i, 2], boxes[i, 3]):
            y = (v - k[1, 2]) / k[1, 1]
            for u in range(boxes[i, 0], boxes[i, 1]):
                if depth[v, u] <= nearest[i]:
                    continue
                x = (u - k[0, 2]) / k[0, 0]
                dx = a[0, 0] * x + a[0, 1] * y + a[0, 2]
                dy = a[1, 0] * x + a[1, 1] * y + a[1, 2]
                dz = a[2, 0] * x + a[2, 1] * y + a[2, 2]
                near = _hit(kind, kx, ky, material, h, leaf_seed, o, dx, dy, dz, depth[v, u])
                if near < 0:
                    continue
                depth[v, u] = near
                index[v, u] = i


@numba.njit(cache=True, nogil=True)
def draw_solids_by_rays(solids, origin, world_from_camera, rays, depth, index):  # type: ignore[no-untyped-def]
    """``draw_solids`` for any lens: ``rays`` (H, W, 3) float32 in the optical frame, zeros for pixels without one.

    Depth is in units of the rays. Solids are tried tile by tile, where the cone around a solid meets the one around
    the rays of the tile.
    """
    height, width = depth.shape
    order = np.empty(solids.center.shape[0])
    reaches = np.empty(solids.center.shape[0])
    for i in range(solids.center.shape[0]):
        h, c = solids.half[i], solids.center[i]
        reaches[i] = np.sqrt(h[0] * h[0] + h[1] * h[1] + h[2] * h[2])
        x, y, z = c[0] - origin[0], c[1] - origin[1], c[2] - origin[2]
        order[i] = np.sqrt(x * x + y * y + z * z) - reaches[i]
    front_to_back = np.argsort(order)
    o, a, axis = np.empty(3), np.empty((3, 3)), np.empty(3)
    rows, columns = (height + TILE_PX - 1) // TILE_PX, (width + TILE_PX - 1) // TILE_PX
    cones = _tile_cones(rays, rows, columns)
    for i in front_to_back:
        r, h, c = solids.rotation[i], solids.half[i], solids.center[i]
        distance = order[i] + reaches[i]
        for m in range(3):
            axis[m] = 0.0
            for n in range(3):
                axis[m] += world_from_camera[n, m] * (c[n] - origin[n]) / max(distance, 1e-6)
        cone = np.pi if order[i] <= 0 else np.arcsin(reaches[i] / distance)
        kind, kx, ky, material = solids.kind[i], solids.taper[i, 0], solids.taper[i, 1], solids.material[i]
        leaf_seed = _leaf_seed(h)
        _unit_space(r, h, c, origin, world_from_camera, o, a)
        for row in range(rows):
            for column in range(columns):
                tile = cones[row, column]
                cosine = tile[0] * axis[0] + tile[1] * axis[1] + tile[2] * axis[2]
                if np.arccos(min(max(cosine, -1.0), 1.0)) > cone + tile[3]:
                    continue
                nearest = order[i] / tile[4]
                for v in range(row * TILE_PX, min((row + 1) * TILE_PX, height)):
                    for u in range(column * TILE_PX, min((column + 1) * TILE_PX, width)):
                        if depth[v, u] <= nearest:
                            continue
                        x, y, z = rays[v, u, 0], rays[v, u, 1], rays[v, u, 2]
                        if x == 0 and y == 0 and z == 0:
                            continue
                        dx = a[0, 0] * x + a[0, 1] * y + a[0, 2] * z
                        dy = a[1, 0] * x + a[1, 1] * y + a[1, 2] * z
                        dz = a[2, 0] * x + a[2, 1] * y + a[2, 2] * z
                        near = _hit(kind, kx, ky, material, h, leaf_seed, o, dx, dy, dz, depth[v, u])
                        if near < 0:
                            continue
                        depth[v, u] = near
                        index[v, u] = i


@numba.njit(cache=True, nogil=True)
def _tile_cones(rays, rows, columns):  # type: ignore[no-untyped-def]
    """(rows, columns, 5): mean direction of a tile's rays, the widest angle to it in rad (-9 where there are none) and
    the longest ray."""
    height, width = rays.shape[:2]
    cones = np.zeros((rows, columns, 5))
    for row in range(rows):
        for column in range(columns):
            mean = np.zeros(3)
            longest = 0.0
            below, right = min((row + 1) * TILE_PX, height), min((column + 1) * TILE_PX, width)
            for v in range(row * TILE_PX, below):
                for u in range(column * TILE_PX, right):
                    d = rays[v, u]
                    length = np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
                    if length > 0:
                        longest = max(longest, length)
                        for m in range(3):
                            mean[m] += d[m] / length
            size = np.sqrt((mean * mean).sum())
            cones[row, column, 3], cones[row, column, 4] = -9.0, max(longest, 1e-6)
            if size == 0:
                continue
            cones[row, column, :3] = mean / size
            least = 1.0
            for v in range(row * TILE_PX, below):
                for u in range(column * TILE_PX, right):
                    d = rays[v, u]
                    length = np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
                    if length > 0:
                        least = min(least, (d[0] * mean[0] + d[1] * mean[1] + d[2] * mean[2]) / (length * size))
            cones[row, column, 3] = np.arccos(max(least, -1.0)) + 1e-3
    return cones


@numba.njit(cache=True, nogil=True, fastmath=True)
def ground_hit(ground, ox, oy, oz, dx, dy, dz, guess, limit):  # type: ignore[no-untyped-def]
    """Where a ray meets the ground: (t, edge, s, d, paved, side) with t = -1 beyond ``limit``, rest as ``street_at``.

    Newton steps on the hills from ``guess`` (the neighbour's solution), then one for the kerb.
    """
    t = guess
    top = 1.3 * limit + 1.0
    for _ in range(8):
        step = (base_height(ground, ox + t * dx, oy + t * dy) - (oz + t * dz)) / dz
        t = min(max(t + step, 0.0), top)
        if abs(step) < 0.01:
            break
    if t >= top or t <= 0:
        return -1.0, 0.0, 0.0, 0.0, False, -1
    edge, s, d, height, paved, side = street_at(ground, ox + t * dx, oy + t * dy)
    lift = height - (oz + t * dz)
    if lift > 1e-3:
        behind, beyond = edge, t
        t += lift / dz
        edge, s, d, height, paved, side = street_at(ground, ox + t * dx, oy + t * dy)
        if edge < 0 < behind:  # the face of the kerb
            t += (beyond - t) * edge / (edge - behind)
            edge = 1e-3
    if t > limit:
        return -1.0, edge, s, d, paved, side
    return t, edge, s, d, paved, side


@numba.njit(cache=True, nogil=True, fastmath=True)
def draw_shadows(solids, sun, origin_x, origin_y, z_low, tops):  # type: ignore[no-untyped-def]
    """Fill ``tops`` (CELLS, CELLS): ray parameter along the sun at which the topmost solid is left, 0 where none is.

    Cell (row, column) belongs to the sun ray that starts at height ``z_low`` and x, y of the cell.
    """
    cells = tops.shape[0]
    for i in range(solids.center.shape[0]):
        r, h, c = solids.rotation[i], solids.half[i], solids.center[i]
        x0, x1, y0, y1 = 1e9, -1e9, 1e9, -1e9
        for corner in range(8):
            sx = h[0] if corner & 1 else -h[0]
            sy = h[1] if corner & 2 else -h[1]
            sz = h[2] if corner & 4 else -h[2]
            z = c[2] + r[2, 0] * sx + r[2, 1] * sy + r[2, 2] * sz - z_low
            x = c[0] + r[0, 0] * sx + r[0, 1] * sy + r[0, 2] * sz - sun[0] * z / sun[2]
            y = c[1] + r[1, 0] * sx + r[1, 1] * sy + r[1, 2] * sz - sun[1] * z / sun[2]
            x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
        u0 = max(int((x0 - origin_x) / SHADOW_CELL_M), 0)
        u1 = min(int((x1 - origin_x) / SHADOW_CELL_M) + 2, cells)
        v0 = max(int((y0 - origin_y) / SHADOW_CELL_M), 0)
        v1 = min(int((y1 - origin_y) / SHADOW_CELL_M) + 2, cells)
        if u0 >= u1 or v0 >= v1:
            continue
        kind, kx, ky = solids.kind[i], solids.taper[i, 0], solids.taper[i, 1]
        d = np.empty(3)
        for m in range(3):
            d[m] = (r[0, m] * sun[0] + r[1, m] * sun[1] + r[2, m] * sun[2]) / h[m]
        for v in range(v0, v1):
            py = origin_y + v * SHADOW_CELL_M - c[1]
            for u in range(u0, u1):
                px = origin_x + u * SHADOW_CELL_M - c[0]
                pz = z_low - c[2]
                ox = (r[0, 0] * px + r[1, 0] * py + r[2, 0] * pz) / h[0]
                oy = (r[0, 1] * px + r[1, 1] * py + r[2, 1] * pz) / h[1]
                oz = (r[0, 2] * px + r[1, 2] * py + r[2, 2] * pz) / h[2]
                near, far = enter_exit(kind, kx, ky, ox, oy, oz, d[0], d[1], d[2])
                if near <= far and far > tops[v, u]:
                    tops[v, u] = far


@numba.njit(cache=True, nogil=True, fastmath=True)
def sunlit(sun, origin_x, origin_y, z_low, tops, x, y, z):  # type: ignore[no-untyped-def]
    """Share of the sun that reaches a point: mean of the four cells around it."""
    cells = tops.shape[0]
    t = (z - z_low) / sun[2]
    fu = (x - sun[0] * t - origin_x) / SHADOW_CELL_M
    fv = (y - sun[1] * t - origin_y) / SHADOW_CELL_M
    if fu < 0 or fv < 0 or fu >= cells - 1 or fv >= cells - 1:
        return 1.0
    u, v = int(fu), int(fv)
    fu -= u
    fv -= v
    t += 0.12 / sun[2]
    light = (tops[v, u] < t) * (1 - fu) * (1 - fv) + (tops[v, u + 1] < t) * fu * (1 - fv)
    return light + (tops[v + 1, u] < t) * (1 - fu) * fv + (tops[v + 1, u + 1] < t) * fu * fv
