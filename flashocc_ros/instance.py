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

"""One object of a result, and how the objects of a result are stored as columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MOVING_MPS = 1.0
"""What is slower may as well stand: a centre wanders that much from frame to frame."""
MOVING_DEVIATIONS = 2.0
"""The velocity of what is said to move is that many standard deviations from zero, at least."""


@dataclass(frozen=True)
class Instance:
    """One object found by a panoptic variant.

    Attributes:
        id: value of its voxels in ``Occupancy.instances``; stable over frames.
        class_id: occupancy class most of its voxels have.
        score: detection score in [0, 1], 0 where the head found no centre.
        center_m: (x, y, z) in metres, base frame; the head's centre, or the middle of the box where that is weak.
        extent_m: size of the axis-aligned box around its voxels in metres.
        voxel_count: number of voxels that carry its id, at least one but in the reference mode.
        velocity_mps: (x, y, z) in metres per second along the axes of the base frame, over ground as odometry has it.
            None for an object seen for the first time, and without odometry.
        velocity_std_mps: its standard deviation along each axis of the ground plane, as the tracker has it; None
            together with the velocity.
    """

    id: int
    class_id: int
    score: float
    center_m: tuple[float, float, float]
    extent_m: tuple[float, float, float]
    voxel_count: int
    velocity_mps: tuple[float, float, float] | None = None
    velocity_std_mps: float | None = None

    @property
    def moves(self) -> bool:
        """Whether it is known to: what viewers draw an arrow for."""
        if self.velocity_mps is None or self.velocity_std_mps is None:
            return False
        return math.hypot(*self.velocity_mps) > max(MOVING_MPS, MOVING_DEVIATIONS * self.velocity_std_mps)

    @property
    def velocity_numbers(self) -> tuple[float, float, float, float]:
        """Velocity x, y, z and its deviation where every object has all fields; NaN stands for unknown."""
        if self.velocity_mps is None or self.velocity_std_mps is None:
            return math.nan, math.nan, math.nan, math.nan
        return (*self.velocity_mps, self.velocity_std_mps)


def known_velocity(
    x: float, y: float, z: float, deviation: float
) -> tuple[tuple[float, float, float], float] | tuple[None, None]:
    """The last two fields of an `Instance` from its ``velocity_numbers``.

    No deviation is zero: such numbers are of a message in which nobody filled them.
    """
    if not all(map(math.isfinite, (x, y, z, deviation))) or deviation <= 0:
        return None, None
    return (x, y, z), deviation


def instance_columns(instances: Sequence[Instance]) -> dict[str, npt.NDArray[Any]]:
    """Arrays of K rows, see ``Occupancy.save``."""
    velocities = np.array([i.velocity_numbers for i in instances], np.float32).reshape(-1, 4)
    return {
        "instance_id": np.array([i.id for i in instances], np.int32),
        "instance_class": np.array([i.class_id for i in instances], np.uint8),
        "instance_score": np.array([i.score for i in instances], np.float32),
        "instance_center_m": np.array([i.center_m for i in instances], np.float32).reshape(-1, 3),
        "instance_extent_m": np.array([i.extent_m for i in instances], np.float32).reshape(-1, 3),
        "instance_voxels": np.array([i.voxel_count for i in instances], np.int64),
        "instance_velocity_mps": velocities[:, :3],
        "instance_velocity_std_mps": velocities[:, 3],
    }


def instances_of(columns: Mapping[str, Any]) -> tuple[Instance, ...]:
    """What `instance_columns` made; files of earlier releases know no velocity.

    Raises:
        KeyError, ValueError: a column is missing or has another length.
    """
    names = ("id", "class", "score", "center_m", "extent_m", "voxels")
    rows = list(zip(*(columns[f"instance_{name}"].tolist() for name in names), strict=True))
    velocities = np.full((len(rows), 4), np.nan)
    if "instance_velocity_mps" in columns:
        velocities[:, :3] = columns["instance_velocity_mps"]
        velocities[:, 3] = columns["instance_velocity_std_mps"]
    return tuple(
        Instance(identifier, class_id, score, tuple(center_m), tuple(extent_m), voxels, *known_velocity(*velocity))
        for (identifier, class_id, score, center_m, extent_m, voxels), velocity in zip(
            rows, velocities.tolist(), strict=True
        )
    )
