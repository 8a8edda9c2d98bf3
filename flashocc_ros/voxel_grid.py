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

"""Where voxels lie. Cheap to import: the table of networks reads it without numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

GROUND_TOP_M = 0.2
"""Voxels that end no higher than this above the base frame are the ground."""


@dataclass(frozen=True)
class VoxelGrid:
    """A regular grid in the base frame; voxel (i, j, k) covers ``origin_m + (i, j, k) * resolution_m`` and one step on.

    Attributes:
        resolution_m: edge length of a voxel in metres.
        origin_m: lower corner (x, y, z) of voxel (0, 0, 0) in metres.
        size: number of voxels along x, y, z.
    """

    resolution_m: float = 0.4
    origin_m: tuple[float, float, float] = (-40.0, -40.0, -1.0)
    size: tuple[int, int, int] = (200, 200, 16)

    def centers_m(self, indices: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Centres in metres, base frame, (M, 3) float64, of voxel indices (M, 3)."""
        import numpy as np

        return (np.asarray(indices, np.float64) + 0.5) * self.resolution_m + np.asarray(self.origin_m)

    @property
    def extent_m(self) -> tuple[float, float, float]:
        """Edge lengths of the whole grid along x, y, z in metres."""
        x, y, z = (count * self.resolution_m for count in self.size)
        return x, y, z

    @property
    def upper_m(self) -> tuple[float, float, float]:
        """Upper corner (x, y, z) of the grid in metres."""
        x, y, z = (low + length for low, length in zip(self.origin_m, self.extent_m, strict=True))
        return x, y, z

    @property
    def map_size(self) -> tuple[int, int]:
        """(Dy, Dx): rows and columns of a bird's-eye map."""
        return self.size[1], self.size[0]

    @property
    def symmetric(self) -> tuple[bool, bool]:
        """Whether the grid reaches as far back as ahead, and as far right as left, so that it can be mirrored."""
        ahead, left, _ = (abs(low + high) < 1e-6 for low, high in zip(self.origin_m, self.upper_m, strict=True))
        return ahead, left

    @property
    def ground_layers(self) -> int:
        """How many of the lowest layers are the ground: those that end at ``GROUND_TOP_M`` or below."""
        layers = (GROUND_TOP_M - self.origin_m[2]) / self.resolution_m
        return min(max(int(layers + 1e-6), 0), self.size[2])

    def __str__(self) -> str:
        ranges = zip("xyz", self.origin_m, self.upper_m, strict=True)
        sizes = " x ".join(map(str, self.size))
        where = ", ".join(f"{axis} {low:g} to {high:g} m" for axis, low, high in ranges)
        return f"{sizes} voxels of {self.resolution_m:g} m ({where})"


OCC3D_GRID = VoxelGrid()
"""The grid of Occ3D-nuScenes, which the published networks predict."""
