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

"""Analytic solids: everything above ground is a tapered box, an ellipsoid or a tapered cylinder.

A solid lives in a unit cube: ``unit = rotation.T @ (point - center) / half``. A ray that is a straight line in the
world is one there too, with the same parameter, so one intersection routine per kind serves all sizes and poses.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

BOX, ELLIPSOID, CYLINDER = 0, 1, 2

Float32 = npt.NDArray[np.float32]


class Solids(NamedTuple):
    """P solids in one frame (world or base), metres; a structure of arrays so that compiled code can take it.

    Attributes:
        center: (P, 3) float32.
        rotation: (P, 3, 3) float32, frame from local.
        half: (P, 3) float32 half extents along the local axes.
        taper: (P, 2) float32, share of x and y extent lost from the bottom to the top.
        color: (P, 3) float32 linear RGB in [0, 1].
        kind: (P,) uint8 BOX, ELLIPSOID or CYLINDER (axis = local z).
        material: (P,) uint8, see ``materials``.
        label: (P,) uint8 semantic class.
        instance: (P,) int32 id of the thing it belongs to, 0 for stuff.
    """

    center: Float32
    rotation: Float32
    half: Float32
    taper: Float32
    color: Float32
    kind: npt.NDArray[np.uint8]
    material: npt.NDArray[np.uint8]
    label: npt.NDArray[np.uint8]
    instance: npt.NDArray[np.int32]

    def select(self, index: npt.NDArray[np.intp]) -> Solids:
        """The solids with these numbers."""
        return Solids._make(values[index] for values in self)

    def moved(self, target_from_frame: npt.NDArray[np.float64]) -> Solids:
        """The same solids in another frame, given a rigid (4, 4) transform."""
        rotation = target_from_frame[:3, :3].astype(np.float32)
        center = self.center @ target_from_frame[:3, :3].T + target_from_frame[:3, 3]
        return self._replace(center=center.astype(np.float32), rotation=np.matmul(rotation, self.rotation))


@numba.njit(inline="always", cache=True)
def _clip(numerator, denominator, near, far):  # type: ignore[no-untyped-def]
    """Keep the part of [near, far] in which ``denominator * t <= numerator``."""
    if denominator > 1e-12:
        far = min(far, numerator / denominator)
    elif denominator < -1e-12:
        near = max(near, numerator / denominator)
    elif numerator < 0:
        far = near - 1.0
    return near, far


@numba.njit(cache=True)
def enter_exit(kind, taper_x, taper_y, ox, oy, oz, dx, dy, dz):  # type: ignore[no-untyped-def]
    """Parameters at which the ray o + t d (unit space) enters and leaves the unit solid; enter > exit is a miss."""
    if kind == ELLIPSOID:
        a = dx * dx + dy * dy + dz * dz
        b = ox * dx + oy * dy + oz * dz
        c = ox * ox + oy * oy + oz * oz - 1.0
        root = b * b - a * c
        if root < 0:
            return 1.0, 0.0
        root = np.sqrt(root)
        return (-b - root) / a, (-b + root) / a
    near, far = -1e9, 1e9
    near, far = _clip(1.0 - oz, dz, near, far)
    near, far = _clip(1.0 + oz, -dz, near, far)
    if near > far:
        return 1.0, 0.0
    if kind == BOX:
        kx, ky = 0.5 * taper_x, 0.5 * taper_y
        near, far = _clip(1.0 - ox - kx * (oz + 1.0), dx + kx * dz, near, far)
        near, far = _clip(1.0 + ox - kx * (oz + 1.0), -dx + kx * dz, near, far)
        near, far = _clip(1.0 - oy - ky * (oz + 1.0), dy + ky * dz, near, far)
        near, far = _clip(1.0 + oy - ky * (oz + 1.0), -dy + ky * dz, near, far)
        return near, far
    k = 0.5 * taper_x
    r, slope = 1.0 - k * (oz + 1.0), -k * dz
    a = dx * dx + dy * dy - slope * slope
    b = ox * dx + oy * dy - r * slope
    c = ox * ox + oy * oy - r * r
    if a < 1e-12:  # along the axis: inside or outside for good
        return (near, far) if c <= 0 else (1.0, 0.0)
    root = b * b - a * c
    if root < 0:
        return 1.0, 0.0
    root = np.sqrt(root)
    return max(near, (-b - root) / a), min(far, (-b + root) / a)


@numba.njit(cache=True)
def inside(kind, taper_x, taper_y, x, y, z):  # type: ignore[no-untyped-def]
    """Whether a point of unit space lies in the unit solid."""
    if kind == ELLIPSOID:
        return x * x + y * y + z * z <= 1.0
    if abs(z) > 1.0:
        return False
    up = 0.5 * (z + 1.0)
    if kind == BOX:
        return abs(x) <= 1.0 - taper_x * up and abs(y) <= 1.0 - taper_y * up
    r = 1.0 - taper_x * up
    return x * x + y * y <= r * r


@numba.njit(cache=True)
def unit_normal(kind, taper_x, taper_y, x, y, z):  # type: ignore[no-untyped-def]
    """Outward gradient in unit space at a surface point."""
    if kind == ELLIPSOID:
        return x, y, z
    kx, ky = 0.5 * taper_x, 0.5 * taper_y
    if kind == BOX:
        gx = abs(x) + kx * (z + 1.0)
        gy = abs(y) + ky * (z + 1.0)
        if abs(z) >= gx and abs(z) >= gy:
            return 0.0, 0.0, np.sign(z)
        if gx >= gy:
            return np.sign(x), 0.0, kx
        return 0.0, np.sign(y), ky
    r = 1.0 - kx * (z + 1.0)
    if abs(z) > 0.9999 or x * x + y * y < 0.98 * r * r:
        return 0.0, 0.0, np.sign(z)
    return x, y, kx * r
