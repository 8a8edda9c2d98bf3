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

"""What a user may set of a labelling."""

from __future__ import annotations

from dataclasses import dataclass, field

from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid

CONVENTIONS = ("touch", "solid")


@dataclass(frozen=True)
class Settings:
    """How labels are made.

    Attributes:
        convention: ``touch``: a voxel that a surface reaches into is occupied, as in Occ3D; ``solid``: one whose
            middle lies in the thing grown by 0.1 m.
        key_rate_hz: labels per second.
        window_s: sweeps this long before and after a key frame count.
        grid: voxels in the base frame.
        classes: of the labels.
        unknown: class of what is above ground and has none; unknown_ground: the same for the ground.
        own_box_m: x, y, z from and x, y, z to of the vehicle itself in the base frame, whose points do not count.
        range_m: nearest and farthest hits that count.
        max_rays: of all sweeps of a window; beyond it sweeps are left out evenly.
    """

    convention: str = "touch"
    key_rate_hz: float = 2.0
    window_s: float = 5.0
    grid: VoxelGrid = field(default=OCC3D_GRID)
    classes: ClassTable = OCC3D
    unknown: int = 15
    unknown_ground: int = 11
    own_box_m: tuple[float, ...] = (-1.3, -1.1, -0.2, 3.9, 1.1, 1.7)
    range_m: tuple[float, float] = (1.0, 100.0)
    max_rays: int = 16_000_000
