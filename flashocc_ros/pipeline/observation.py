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

"""What the network saw in one camera set, before objects are followed from set to set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flashocc_ros.pipeline.decode import Centers


@dataclass(frozen=True, eq=False)
class Observation:
    """The network's part of a prediction.

    Attributes:
        labels: (200, 200, 16) uint8, classes by voxel.
        centers: of objects, weak ones included; None for variants without instances.
        key_pose: (4, 4) float64, vehicle pose in the fixed frame at the key stamp.
        stamp_ns: key stamp.
        forgotten: the past does not belong to this set, so tracks end before it.
        remembered: the memory of the network took it.
        table: names the lift table that was used; the same name means the same table.
        timings: milliseconds by stage.
    """

    labels: npt.NDArray[np.uint8]
    centers: Centers | None
    key_pose: npt.NDArray[np.float64]
    stamp_ns: int
    forgotten: bool
    remembered: bool
    table: str
    timings: Mapping[str, float] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write all but the timings as NPZ: the same observation gives the same file."""
        arrays = {"labels": self.labels, "key_pose": self.key_pose, "stamp_ns": np.int64(self.stamp_ns)}
        if self.centers is not None:
            arrays |= {"xyz_m": self.centers.xyz_m, "score": self.centers.score, "detection": self.centers.detection}
        flags = {"forgotten": self.forgotten, "remembered": self.remembered, "table": self.table}
        np.savez_compressed(path, **arrays, **flags)  # type: ignore[arg-type]

    @staticmethod
    def load(path: Path) -> Observation:
        """What ``save`` wrote.

        Raises:
            OSError, ValueError, KeyError: it cannot be read.
        """
        with np.load(path, allow_pickle=False) as stored:
            centers = None
            if "score" in stored:
                centers = Centers(stored["xyz_m"], stored["score"], stored["detection"])
            return Observation(
                stored["labels"],
                centers,
                stored["key_pose"],
                int(stored["stamp_ns"]),
                bool(stored["forgotten"]),
                bool(stored["remembered"]),
                str(stored["table"]),
            )
