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

"""The drive the demo shows: a given recording, or one drawn for the occasion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.voxel_grid import OCC3D_GRID, VoxelGrid

SEED = 1000
"""Seeds of 1000 and more are never trained on."""
SECONDS = 6.0
SETS_PER_S = 4.0
FILM_SECONDS, FILM_SETS_PER_S = 20.0, 10.0
"""Of a drive that is to be a film which moves smoothly."""
FILM_PICTURE_EVERY = 10
"""Of the sets of a film, one in so many is kept as a picture too: all would be 400 MB."""


@dataclass(frozen=True)
class GeneratedDrive:
    """A drive of the synthetic world: which, how long in seconds, how many camera sets a second, and its truth."""

    seed: int = SEED
    seconds: float = SECONDS
    sets_per_s: float = SETS_PER_S
    grid: VoxelGrid = OCC3D_GRID
    classes: ClassTable = OCC3D

    def write(self, path: Path, progress: Callable[[int, int], None]) -> Path:
        """Draw it, with ground truth for every set, into a new recording; ``progress`` gets sets done and in all."""
        from flashocc_ros.data.synthetic import Drive
        from flashocc_ros.data.synthetic.bag import write_bag

        drive = Drive(self.seed, self.seconds, grid=self.grid)
        write_bag(path, drive, self.sets_per_s, truth_every=1, progress=progress, classes=self.classes)
        return path
