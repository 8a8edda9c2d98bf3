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

"""The plane in which the surface in and around each voxel lies, from the hits there, and what it says of the voxel."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from flashocc_ros.labelling.kernels import MOMENTS

Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

FLAT_M = 0.05
"""Standard deviation of hits along the normal up to which they lie in a plane: noise and roughness, no edge or bush."""
_SCATTER = 0.5
"""Least over middle eigenvalue; above it there is no surface, and the way of the rays stands for its normal."""
_FEWEST = 5.0
_SHALLOW, _SHARE = 200, 0.2
"""Hits that reach less than 55 / 255 of a voxel into it, and fewer than that share of those beyond, belong there."""


class Planes(NamedTuple):
    """Per voxel of the flat grid; zeros and ``spread_m`` infinite where nothing was hit in it and the 26 around it.

    Attributes:
        normal: (V, 3) float32, unit, outward: towards the lidar.
        offset_m: (V,) float32, of the middle of the voxel, along the normal from the plane.
        spread_m: (V,) float32, standard deviation of the hits along the normal.
    """

    normal: Float32
    offset_m: Float32
    spread_m: Float32

    def reach_m(self, cell_m: float, voxels: npt.NDArray[np.intp]) -> Float32:
        """How far the planes of some voxels may lie from their middles and still touch them."""
        return np.asarray(np.abs(self.normal[voxels]).sum(-1) * np.float32(cell_m / 2))


def surface_planes(moments: Float32, hits: npt.NDArray[np.uint16], size: tuple[int, int, int], cell_m: float) -> Planes:
    """Planes through the hits of 27 voxels, those of the voxel itself with the most weight.

    Args:
        moments: (V, MOMENTS) of `kernels.bin_hits`; hits: (V,).
    """
    count = len(hits)
    planes = Planes(np.zeros((count, 3), np.float32), np.zeros(count, np.float32), np.full(count, np.inf, np.float32))
    _fit(moments, hits, size, cell_m, *planes)
    return planes


@numba.njit(cache=True, nogil=True)
def _fit(moments, hits, size, cell, normal, offset, spread):  # type: ignore[no-untyped-def]
    nx, ny, nz = size
    near = np.zeros(len(hits), np.uint8)
    for ix in range(nx):
        for iy in range(ny):
            for iz in range(nz):
                if hits[(ix * ny + iy) * nz + iz]:
                    for jx in range(max(ix - 1, 0), min(ix + 2, nx)):
                        for jy in range(max(iy - 1, 0), min(iy + 2, ny)):
                            for jz in range(max(iz - 1, 0), min(iz + 2, nz)):
                                near[(jx * ny + jy) * nz + jz] = 1
    weights = np.exp(-0.5 * np.arange(4))  # by the square of the distance in voxels
    s, c, d, n = np.zeros(MOMENTS), np.empty((3, 3)), np.empty(3), np.empty(3)
    for ix in range(nx):
        for iy in range(ny):
            for iz in range(nz):
                v = (ix * ny + iy) * nz + iz
                if not near[v]:
                    continue
                total = 0.0
                s[:] = 0.0
                for jx in range(max(ix - 1, 0), min(ix + 2, nx)):
                    for jy in range(max(iy - 1, 0), min(iy + 2, ny)):
                        for jz in range(max(iz - 1, 0), min(iz + 2, nz)):
                            u = (jx * ny + jy) * nz + jz
                            if not hits[u]:
                                continue
                            d[0], d[1], d[2] = (jx - ix) * cell, (jy - iy) * cell, (jz - iz) * cell
                            w = weights[abs(jx - ix) + abs(jy - iy) + abs(jz - iz)]
                            _add(s, moments[u], w, w * hits[u], d)
                            total += w * hits[u]
                k = 3
                for a in range(3):
                    for b in range(a, 3):
                        c[a, b] = c[b, a] = s[k] / total - s[a] * s[b] / (total * total)
                        k += 1
                least, middle = _least_direction(c, n)
                inward = np.sqrt(s[9] * s[9] + s[10] * s[10] + s[11] * s[11])
                along = n[0] * s[9] + n[1] * s[10] + n[2] * s[11]
                scattered = least > _SCATTER * middle or total < _FEWEST
                for a in range(3):
                    if scattered:
                        n[a] = -s[9 + a] / max(inward, 1e-9)
                    elif along > 0:
                        n[a] = -n[a]
                    normal[v, a] = n[a]
                    offset[v] += n[a] * (0.5 * cell - s[a] / total)
                spread[v] = np.inf if scattered else np.sqrt(max(least, 0.0))


@numba.njit(cache=True, nogil=True)
def _add(s, m, w, count, d):  # type: ignore[no-untyped-def]
    """Add moments ``m``, taken about a corner that lies ``d`` away, with weight ``w``; ``count`` is weighted."""
    k = 3
    for a in range(3):
        s[a] += w * m[a] + count * d[a]
        s[9 + a] += w * m[9 + a]
        for b in range(a, 3):
            s[k] += w * (m[k] + m[a] * d[b] + m[b] * d[a]) + count * d[a] * d[b]
            k += 1


@numba.njit(cache=True, nogil=True)
def _least_direction(c, n):  # type: ignore[no-untyped-def]
    """Least and middle eigenvalue of a symmetric matrix, and in ``n`` the unit eigenvector of the least.

    Eigenvalues by the trigonometric formula of Smith (1961); the vector is the longest cross product of two rows of
    the matrix less the least eigenvalue.
    """
    mean = (c[0, 0] + c[1, 1] + c[2, 2]) / 3
    a, b, e = c[0, 0] - mean, c[1, 1] - mean, c[2, 2] - mean
    p = np.sqrt((a * a + b * b + e * e + 2 * (c[0, 1] ** 2 + c[0, 2] ** 2 + c[1, 2] ** 2)) / 6)
    n[0], n[1], n[2] = 0.0, 0.0, 1.0
    if p < 1e-12:
        return mean, mean
    determinant = (
        a * (b * e - c[1, 2] ** 2)
        - c[0, 1] * (c[0, 1] * e - c[1, 2] * c[0, 2])
        + c[0, 2] * (c[0, 1] * c[1, 2] - b * c[0, 2])
    )
    angle = np.arccos(min(max(determinant / (2 * p * p * p), -1.0), 1.0)) / 3
    most = mean + 2 * p * np.cos(angle)
    least = mean + 2 * p * np.cos(angle + 2 * np.pi / 3)
    middle = 3 * mean - most - least
    longest = 0.0
    a, b, e = c[0, 0] - least, c[1, 1] - least, c[2, 2] - least
    rows = ((a, c[0, 1], c[0, 2]), (c[0, 1], b, c[1, 2]), (c[0, 2], c[1, 2], e))
    for first, second in ((0, 1), (0, 2), (1, 2)):
        q, r = rows[first], rows[second]
        x, y, z = q[1] * r[2] - q[2] * r[1], q[2] * r[0] - q[0] * r[2], q[0] * r[1] - q[1] * r[0]
        length = np.sqrt(x * x + y * y + z * z)
        if length > longest:
            longest = length
            n[0], n[1], n[2] = x / length, y / length, z / length
    return least, middle


def shallow(hits: npt.NDArray[np.uint16], extent: npt.NDArray[np.uint8], size: tuple[int, int, int]) -> Bool:
    """(V,) where all hits lie near one side, beyond which there are many more: a thing of the next voxel.

    Args:
        extent: (V, 6) of `kernels.bin_hits`.
    """
    grid = hits.reshape(size).astype(np.float32)
    out = np.zeros(size, bool)
    for axis in range(3):
        for side in (0, 1):  # the lower and the upper
            # Near the lower side: even the highest hit is low, so far from the upper one.
            near = extent[:, axis + 3 * (1 - side)].reshape(size) > _SHALLOW
            there = np.zeros_like(grid)
            inner, outer = [slice(None)] * 3, [slice(None)] * 3
            inner[axis], outer[axis] = (
                (slice(1, None), slice(None, -1)) if side == 0 else (slice(None, -1), slice(1, None))
            )
            there[tuple(inner)] = grid[tuple(outer)]
            out |= near & (grid < _SHARE * there)
    return np.asarray(out.ravel() & (hits > 0))
