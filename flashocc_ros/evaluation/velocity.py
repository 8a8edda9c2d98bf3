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

"""How far the velocities of objects are from the true ones, metres per second over ground."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from flashocc_ros.instance import MOVING_MPS, Instance

TrueVelocities = Mapping[int, Sequence[float]]
"""(x, y) in metres per second along the axes of the base frame, over ground, by id of a true object."""


class VelocityError:
    """Velocities of objects that are paired with true ones; what was seen once has none and is counted apart."""

    def __init__(self) -> None:
        self.first_seen = 0
        self._rows: list[tuple[float, float, bool]] = []  # true speed, error, said to move

    def update(self, pairs: Mapping[int, int], instances: Iterable[Instance], truth: TrueVelocities) -> None:
        """Add a frame.

        Args:
            pairs: id of each true object that was found to that of its instance, see ``Stability.pairs``.
            instances: as published.
            truth: of the true objects; others are left out.
        """
        found = {instance.id: instance for instance in instances}
        for thing, track in pairs.items():
            instance = found.get(track)
            if thing not in truth or instance is None:
                continue
            if instance.velocity_mps is None:
                self.first_seen += 1
                continue
            true, told = np.asarray(truth[thing], np.float64)[:2], np.array(instance.velocity_mps[:2])
            self._rows.append((float(np.linalg.norm(true)), float(np.linalg.norm(told - true)), instance.moves))

    def merge(self, other: VelocityError) -> None:
        """Add the frames of another metric."""
        self.first_seen += other.first_seen
        self._rows += other._rows

    def compute(self) -> dict[str, Any]:
        """NaN where nothing was counted.

        Returns:
            ``median_error_mps`` of all, and apart for those that truly are ``moving`` (faster than ``MOVING_MPS``) and
            ``standing``, each with ``count``, ``median_speed_mps`` (the true one: the error of who says that everything
            stands), ``p90_error_mps``, and ``said_to_move``, the share for which `Instance.moves` holds.
            ``first_seen``: objects without a velocity.
        """
        rows = np.array(self._rows, np.float64).reshape(-1, 3)
        moving = rows[:, 0] > MOVING_MPS
        return {
            "median_error_mps": _quantile(rows[:, 1], 0.5),
            "first_seen": self.first_seen,
            "moving": _summary(rows[moving]),
            "standing": _summary(rows[~moving]),
        }


def _summary(rows: np.ndarray) -> dict[str, float]:
    return {
        "count": len(rows),
        "median_speed_mps": _quantile(rows[:, 0], 0.5),
        "median_error_mps": _quantile(rows[:, 1], 0.5),
        "p90_error_mps": _quantile(rows[:, 1], 0.9),
        "said_to_move": float(rows[:, 2].mean()) if len(rows) else float("nan"),
    }


def _quantile(values: np.ndarray, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else float("nan")
