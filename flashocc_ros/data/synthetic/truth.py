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

"""Exact labels of the voxel grid and which voxels cameras and lidar see, in the base frame at the key stamp."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt

from flashocc_ros.camera_model import PINHOLE, CameraModel
from flashocc_ros.data.synthetic.solids import Solids, inside
from flashocc_ros.data.synthetic.street import Ground, ground_class, street_at
from flashocc_ros.geometry.camera_models import max_angle_rad
from flashocc_ros.labels import CLASS_NAMES, FLAT_CLASSES, FREE
from flashocc_ros.structures import OCC3D_GRID, CameraRig, VoxelGrid

Float64 = npt.NDArray[np.float64]
Uint8 = npt.NDArray[np.uint8]

GROWTH_M, LEAST_HALF_M = 0.1, 0.21
"""A voxel belongs to a solid that reaches 0.1 m into it; solids thinner than a voxel count as 0.42 m thick, so that
none falls between voxel centres 0.4 m apart; likewise on other grids."""

FLAT = (min(FLAT_CLASSES), max(FLAT_CLASSES))
LIDAR_MOUNT_M = (0.94, 0.0, 1.84)
LIDAR_ELEVATIONS_RAD = np.deg2rad(np.linspace(-30.67, 10.67, 32))

# Where solids share a voxel the later class wins: small things over large ones over stuff.
_PAINT_ORDER = (
    "vegetation", "manmade", "others", "bus", "trailer", "truck", "construction_vehicle", "car", "barrier",
    "motorcycle", "bicycle", "pedestrian", "traffic_cone",
)  # fmt: skip
PAINT_RANK = np.array([_PAINT_ORDER.index(n) if n in _PAINT_ORDER else 0 for n in CLASS_NAMES])


def voxel_labels(
    solids: Solids, ground: Ground, world_from_base: Float64, grid: VoxelGrid = OCC3D_GRID
) -> tuple[Uint8, npt.NDArray[np.int32]]:
    """Semantics (X, Y, Z) uint8 and instance ids (X, Y, Z) int32 (0: none) from solids in the base frame."""
    semantics = np.full(grid.size, FREE, np.uint8)
    instances = np.zeros(grid.size, np.int32)
    origin = np.array(grid.origin_m)
    label_ground(ground, world_from_base, origin, grid.resolution_m, 1, semantics)
    order = np.argsort(PAINT_RANK[solids.label], kind="stable")
    least_half_m = LEAST_HALF_M * (grid.resolution_m / OCC3D_GRID.resolution_m)
    _label_solids(solids, order, origin, grid.resolution_m, least_half_m, semantics, instances)
    return semantics, instances


@numba.njit(cache=True, nogil=True)
def label_ground(ground, world_from_base, origin, cell, steps, semantics):  # type: ignore[no-untyped-def]
    """The voxels that the ground lies in, looked up at ``steps`` places along each side of a voxel."""
    m = world_from_base
    for ix in range(semantics.shape[0] * steps):
        x = origin[0] + (ix + 0.5) * cell / steps
        for iy in range(semantics.shape[1] * steps):
            y = origin[1] + (iy + 0.5) * cell / steps
            z = 0.0
            for _ in range(2):  # the vehicle is tilted a little: find the height by repetition
                wx = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
                wy = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
                wz = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
                edge, _, d, height, paved, side = street_at(ground, wx, wy)
                z += height - wz
            iz = int(np.floor((z - origin[2]) / cell))
            if 0 <= iz < semantics.shape[2]:
                semantics[ix // steps, iy // steps, iz] = ground_class(ground.profile, edge, d, paved, side)


@numba.njit(cache=True, nogil=True)
def _label_solids(solids, order, origin, cell, least_half, semantics, instances):  # type: ignore[no-untyped-def]
    low = np.empty(3, np.int64)
    high = np.empty(3, np.int64)
    half = np.empty(3)
    for i in order:
        c, r = solids.center[i], solids.rotation[i]
        for j in range(3):
            half[j] = max(solids.half[i, j] + GROWTH_M, least_half)
        # Growing keeps the slant of tapered sides: a cone's tip grows as much as its foot.
        taper_x = solids.taper[i, 0] * solids.half[i, 0] / half[0]
        taper_y = solids.taper[i, 1] * solids.half[i, 1] / half[1]
        empty = False
        for j in range(3):
            reach = abs(r[j, 0]) * half[0] + abs(r[j, 1]) * half[1] + abs(r[j, 2]) * half[2]
            low[j] = max(int(np.ceil((c[j] - reach - origin[j]) / cell - 0.5)), 0)
            high[j] = min(int(np.floor((c[j] + reach - origin[j]) / cell - 0.5)), semantics.shape[j] - 1)
            empty |= low[j] > high[j]
        if empty:
            continue
        for ix in range(low[0], high[0] + 1):
            x = origin[0] + (ix + 0.5) * cell - c[0]
            for iy in range(low[1], high[1] + 1):
                y = origin[1] + (iy + 0.5) * cell - c[1]
                for iz in range(low[2], high[2] + 1):
                    z = origin[2] + (iz + 0.5) * cell - c[2]
                    ux = (r[0, 0] * x + r[1, 0] * y + r[2, 0] * z) / half[0]
                    uy = (r[0, 1] * x + r[1, 1] * y + r[2, 1] * z) / half[1]
                    uz = (r[0, 2] * x + r[1, 2] * y + r[2, 2] * z) / half[2]
                    if inside(solids.kind[i], taper_x, taper_y, ux, uy, uz):
                        semantics[ix, iy, iz] = solids.label[i]
                        instances[ix, iy, iz] = solids.instance[i]


def camera_mask(
    semantics: Uint8,
    rig: CameraRig,
    image_size: tuple[int, int] | Sequence[tuple[int, int]],
    grid: VoxelGrid = OCC3D_GRID,
) -> Uint8:
    """Voxels that some camera sees, uint8 of the shape of ``semantics``.

    A free voxel counts when its centre is in a picture and nothing lies between; an occupied one when this holds for
    the centre of one of its exposed faces. Ground does not hide what is occupied: a gentle slope turns into steps of a
    whole voxel, and those would hide ground that the pictures show.

    Args:
        image_size: (height, width) of all pictures, or one per camera.
        grid: at most 60 voxels high.
    """
    sizes = [image_size] * rig.num_cameras if isinstance(image_size[0], int) else image_size
    mask = np.zeros(semantics.shape, np.uint8)
    origin = np.array(grid.origin_m)
    columns = _columns(semantics)
    cameras = zip(rig.intrinsics, rig.base_from_camera, map(_lens, rig.models), sizes, strict=True)
    for intrinsics, base_from_camera, lens, size in cameras:
        _see(semantics, columns, intrinsics, base_from_camera, lens, size, origin, grid.resolution_m, mask)
    return mask


def _lens(model: CameraModel) -> Float64:
    """For compiled code: nothing for a pinhole, else whether it is equidistant, its widest angle in rad and eight
    coefficients. Thin prisms and tilts of a rational one are left out: they move a border by a few pixels."""
    if model == PINHOLE:
        return np.empty(0)
    coefficients = (*model.coefficients, *(0.0,) * 8)[:8]
    return np.array([model.kind == "equidistant", max_angle_rad(model), *coefficients], np.float64)


@numba.njit(cache=True)
def _in_lens_picture(lens, k, pose, size, x, y, z):  # type: ignore[no-untyped-def]
    cx = pose[0, 0] * x + pose[1, 0] * y + pose[2, 0] * z
    cy = pose[0, 1] * x + pose[1, 1] * y + pose[2, 1] * z
    cz = pose[0, 2] * x + pose[1, 2] * y + pose[2, 2] * z
    side = np.sqrt(cx * cx + cy * cy)
    angle = np.arctan2(side, cz)
    if angle > lens[1] or side * side + cz * cz < 0.01:
        return False
    d = lens[2:]
    if lens[0] > 0:
        q = angle * angle
        scale = angle * (1 + q * (d[0] + q * (d[1] + q * (d[2] + q * d[3])))) / max(side, 1e-9)
        cx, cy = cx * scale, cy * scale
    else:
        cx, cy = cx / cz, cy / cz
        q = cx * cx + cy * cy
        radial = (1 + q * (d[0] + q * (d[1] + q * d[4]))) / (1 + q * (d[5] + q * (d[6] + q * d[7])))
        cx, cy = (
            cx * radial + 2 * d[2] * cx * cy + d[3] * (q + 2 * cx * cx),
            cy * radial + d[2] * (q + 2 * cy * cy) + 2 * d[3] * cx * cy,
        )
    u, v = k[0, 0] * cx + k[0, 2], k[1, 1] * cy + k[1, 2]
    return -0.5 <= u < size[1] - 0.5 and -0.5 <= v < size[0] - 0.5


@numba.njit(inline="always", cache=True)
def _in_picture(k, pose, lens, size, x, y, z):  # type: ignore[no-untyped-def]
    if lens.size:
        return _in_lens_picture(lens, k, pose, size, x - pose[0, 3], y - pose[1, 3], z - pose[2, 3])
    x -= pose[0, 3]
    y -= pose[1, 3]
    z -= pose[2, 3]
    cz = pose[0, 2] * x + pose[1, 2] * y + pose[2, 2] * z
    if cz < 0.1:
        return False
    u = k[0, 0] * (pose[0, 0] * x + pose[1, 0] * y + pose[2, 0] * z) / cz + k[0, 2]
    v = k[1, 1] * (pose[0, 1] * x + pose[1, 1] * y + pose[2, 1] * z) / cz + k[1, 2]
    return -0.5 <= u < size[1] - 0.5 and -0.5 <= v < size[0] - 0.5


@numba.njit(cache=True, nogil=True, fastmath=True)
def _column_outside(k, pose, size, x, y, low, height):  # type: ignore[no-untyped-def]
    """Whether a vertical line lies wholly beyond one side of the view (half a metre of slack for side faces)."""
    x -= pose[0, 3]
    y -= pose[1, 3]
    slack = 0.5 * k[0, 0]
    behind, left, right, above, under = 0, 0, 0, 0, 0
    for end in range(2):
        z = low + end * height - pose[2, 3]
        cx = pose[0, 0] * x + pose[1, 0] * y + pose[2, 0] * z
        cy = pose[0, 1] * x + pose[1, 1] * y + pose[2, 1] * z
        cz = pose[0, 2] * x + pose[1, 2] * y + pose[2, 2] * z
        behind += cz < -0.5
        left += k[0, 0] * cx + k[0, 2] * cz < -slack - 0.5 * size[1]
        right += k[0, 0] * cx + (k[0, 2] - size[1]) * cz > slack + 0.5 * size[1]
        above += k[1, 1] * cy + k[1, 2] * cz < -slack - 0.5 * size[0]
        under += k[1, 1] * cy + (k[1, 2] - size[0]) * cz > slack + 0.5 * size[0]
    return behind == 2 or left == 2 or right == 2 or above == 2 or under == 2


@numba.njit(cache=True, nogil=True)
def _columns(semantics):  # type: ignore[no-untyped-def]
    """Bit k of (X, Y) int64: voxel k of the column is occupied [0], is occupied by more than ground [1]."""
    out = np.zeros((2, semantics.shape[0], semantics.shape[1]), np.int64)
    for ix in range(semantics.shape[0]):
        for iy in range(semantics.shape[1]):
            for iz in range(semantics.shape[2]):
                found = semantics[ix, iy, iz]
                if found != FREE:
                    out[0, ix, iy] |= 1 << iz
                    if found < FLAT[0] or found > FLAT[1]:
                        out[1, ix, iy] |= 1 << iz
    return out


@numba.njit(cache=True, nogil=True, fastmath=True)
def _clear(columns, fx, fy, start_x, start_y, heights, layers, gx, gy, gz, alive):  # type: ignore[no-untyped-def]
    """Which of several points above one another see a point g: the ``alive`` bits that are left.

    Point k lies at (fx, fy, heights[k]) in voxel units and is hidden by ``columns[layers[k]]``; as all share one line
    from above, one walk over the columns from (start_x, start_y) to g serves them all.
    """
    dx, dy = gx - fx, gy - fy
    end_x, end_y = int(np.floor(gx)), int(np.floor(gy))
    step_x, step_y = (1 if dx > 0 else -1), (1 if dy > 0 else -1)
    delta_x, delta_y = 1 / max(abs(dx), 1e-9), 1 / max(abs(dy), 1e-9)
    ix, iy = start_x, start_y
    tx = ((ix + 1 - fx) if dx > 0 else (fx - ix)) * delta_x
    ty = ((iy + 1 - fy) if dy > 0 else (fy - iy)) * delta_y
    t = 0.0
    lowest = 0
    while alive and 0 <= ix < columns.shape[1] and 0 <= iy < columns.shape[2]:
        last = ix == end_x and iy == end_y
        leave = 1.0 if last else min(min(tx, ty), 1.0)
        while not alive >> lowest & 1:
            lowest += 1
        # All lines meet in g, so the lowest stays the lowest: over empty columns nothing needs a closer look.
        a = heights[lowest] + t * (gz - heights[lowest])
        b = heights[lowest] + leave * (gz - heights[lowest])
        if columns[0, ix, iy] >> max(int(np.floor(min(a, b))), 0):
            for k in range(lowest, heights.shape[0]):
                if alive >> k & 1:
                    a = heights[k] + t * (gz - heights[k])
                    b = heights[k] + leave * (gz - heights[k])
                    low, high = int(np.floor(min(a, b))), int(np.floor(max(a, b)))
                    if high < 0:
                        continue
                    bits = (2 << min(high, 60)) - (1 << min(max(low, 0), 60))
                    if columns[layers[k], ix, iy] & bits:
                        alive &= ~(1 << k)
        if last or leave >= 1.0:
            break
        if tx < ty:
            ix += step_x
            t = tx
            tx += delta_x
        else:
            iy += step_y
            t = ty
            ty += delta_y
    return alive


@numba.njit(cache=True, nogil=True, fastmath=True)
def _see(semantics, columns, k, pose, lens, size, origin, cell, mask):  # type: ignore[no-untyped-def]
    nx, ny, nz = semantics.shape
    gx, gy, gz = (pose[0, 3] - origin[0]) / cell, (pose[1, 3] - origin[1]) / cell, (pose[2, 3] - origin[2]) / cell
    heights = np.empty(nz)
    layers = np.empty(nz, np.int64)
    for ix in range(nx):
        for iy in range(ny):
            fx, fy = ix + 0.5, iy + 0.5
            if not lens.size and _column_outside(
                k, pose, size, origin[0] + fx * cell, origin[1] + fy * cell, origin[2], nz * cell
            ):
                continue
            # Centres of free voxels, upper or lower faces of occupied ones.
            alive = 0
            for iz in range(nz):
                heights[iz], layers[iz] = iz + 0.5, 0
                if mask[ix, iy, iz]:
                    continue
                if semantics[ix, iy, iz] != FREE:
                    way = 1 if gz > iz + 0.5 else -1
                    if not 0 <= iz + way < nz or semantics[ix, iy, iz + way] != FREE or abs(gz - iz - 0.5) < 0.5:
                        continue
                    heights[iz] += 0.501 * way
                    layers[iz] = 1
                x, y, z = origin[0] + fx * cell, origin[1] + fy * cell, origin[2] + heights[iz] * cell
                if _in_picture(k, pose, lens, size, x, y, z):
                    alive |= 1 << iz
            alive = _clear(columns, fx, fy, ix, iy, heights, layers, gx, gy, gz, alive)
            for iz in range(nz):
                if alive >> iz & 1:
                    mask[ix, iy, iz] = 1
            if not columns[0, ix, iy]:
                continue
            # Side faces of occupied voxels.
            for axis in range(2):
                toward = gx - fx if axis == 0 else gy - fy
                if abs(toward) < 0.5:
                    continue
                way = 1 if toward > 0 else -1
                jx, jy = ix + way * (axis == 0), iy + way * (axis == 1)
                if jx < 0 or jy < 0 or jx >= nx or jy >= ny:
                    continue
                px, py = fx + 0.501 * (jx - ix), fy + 0.501 * (jy - iy)
                alive = 0
                for iz in range(nz):
                    heights[iz], layers[iz] = iz + 0.5, 1
                    if mask[ix, iy, iz] or semantics[ix, iy, iz] == FREE or semantics[jx, jy, iz] != FREE:
                        continue
                    x, y, z = origin[0] + px * cell, origin[1] + py * cell, origin[2] + heights[iz] * cell
                    if _in_picture(k, pose, lens, size, x, y, z):
                        alive |= 1 << iz
                alive = _clear(columns, px, py, jx, jy, heights, layers, gx, gy, gz, alive)
                for iz in range(nz):
                    if alive >> iz & 1:
                        mask[ix, iy, iz] = 1


def lidar_mask(semantics: Uint8, grid: VoxelGrid = OCC3D_GRID) -> Uint8:
    """Voxels that a 32-beam lidar on the roof passes or hits, uint8 of the shape of ``semantics``."""
    mask = np.zeros(semantics.shape, np.uint8)
    start = (np.array(LIDAR_MOUNT_M) - np.array(grid.origin_m)) / grid.resolution_m
    _scan(semantics, start, LIDAR_ELEVATIONS_RAD, 1080, mask)
    return mask


@numba.njit(cache=True, nogil=True, fastmath=True)
def _scan(semantics, start, elevations, azimuths, mask):  # type: ignore[no-untyped-def]
    nx, ny, nz = semantics.shape
    for elevation in elevations:
        for a in range(azimuths):
            angle = 2 * np.pi * a / azimuths
            dx, dy, dz = np.cos(elevation) * np.cos(angle), np.cos(elevation) * np.sin(angle), np.sin(elevation)
            ix, iy, iz = int(start[0]), int(start[1]), int(start[2])
            sx, sy, sz = (1 if dx > 0 else -1), (1 if dy > 0 else -1), (1 if dz > 0 else -1)
            ax, ay, az = 1 / max(abs(dx), 1e-9), 1 / max(abs(dy), 1e-9), 1 / max(abs(dz), 1e-9)
            tx = ((ix + 1 - start[0]) if dx > 0 else (start[0] - ix)) * ax
            ty = ((iy + 1 - start[1]) if dy > 0 else (start[1] - iy)) * ay
            tz = ((iz + 1 - start[2]) if dz > 0 else (start[2] - iz)) * az
            while 0 <= ix < nx and 0 <= iy < ny and 0 <= iz < nz:
                mask[ix, iy, iz] = 1
                if semantics[ix, iy, iz] != FREE:
                    break
                if tx < ty and tx < tz:
                    ix += sx
                    tx += ax
                elif ty < tz:
                    iy += sy
                    ty += ay
                else:
                    iz += sz
                    tz += az
