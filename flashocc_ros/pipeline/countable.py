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

"""What is known of the countable classes beforehand: size, motion, and which are taken for each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from flashocc_ros.labels import ClassTable

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Countable:
    """One class of objects.

    Attributes:
        group: classes of one group are easily taken for each other, so objects may hold voxels of several of them.
        length_m, width_m: a usual box of the class as networks draw it, which smear what is small.
        reach_m: a voxel further from the centre of an object does not belong to it; about half the length of a large
            object plus 1 m.
        least_voxels: fewer voxels without a centre are no object of their own.
        gate_m: an object further from where a track should be is never the same, however unsure that is.
        speed_mps: fastest motion.
        usual_mps: what one knows of the speed of an object before it was seen to move: its standard deviation.
        push_mps2: the same of its acceleration.
    """

    group: str
    length_m: float
    width_m: float
    reach_m: float
    least_voxels: int
    gate_m: float
    speed_mps: float
    usual_mps: float
    push_mps2: float


COUNTABLE: dict[str, Countable] = {
    "car": Countable("vehicle", 4.6, 1.9, 4.0, 24, 8.0, 20.0, 4.0, 2.0),
    "truck": Countable("vehicle", 7.5, 2.5, 7.0, 40, 8.0, 15.0, 4.0, 2.0),
    "construction_vehicle": Countable("vehicle", 6.5, 2.8, 6.0, 40, 8.0, 5.0, 4.0, 2.0),
    "bus": Countable("vehicle", 11.0, 2.7, 9.0, 40, 8.0, 15.0, 4.0, 2.0),
    "trailer": Countable("vehicle", 10.0, 2.6, 9.0, 40, 8.0, 15.0, 4.0, 2.0),
    "barrier": Countable("barrier", 2.5, 0.6, 2.5, 10, 2.0, 0.0, 0.05, 0.05),
    "motorcycle": Countable("two_wheeler", 3.0, 1.2, 2.0, 10, 8.0, 20.0, 3.0, 2.0),
    "bicycle": Countable("two_wheeler", 3.0, 1.2, 2.0, 10, 8.0, 8.0, 3.0, 2.0),
    "pedestrian": Countable("pedestrian", 1.2, 1.0, 1.5, 8, 8.0, 3.0, 1.0, 1.0),
    "traffic_cone": Countable("traffic_cone", 0.4, 0.4, 1.5, 6, 0.9, 0.0, 0.05, 0.05),
}

GROUPS = tuple(dict.fromkeys(c.group for c in COUNTABLE.values()))


@dataclass(frozen=True, eq=False)
class Traits:
    """The same by class id of a table, arrays (C,); NaN, group -1, for what is not countable.

    Attributes:
        group: int8, index into ``GROUPS``.
        detection_class: (detections,) int64, class of each channel of the heat map.
    """

    group: npt.NDArray[np.int8]
    detection_class: npt.NDArray[np.int64]
    length_m: Float64
    width_m: Float64
    reach_m: Float64
    least_voxels: Float64
    gate_m: Float64
    speed_mps: Float64
    usual_mps: Float64
    push_mps2: Float64


@lru_cache(maxsize=8)
def traits_of(classes: ClassTable) -> Traits:
    """What is known of the classes of a table: each is like one of ``COUNTABLE``, or is not countable."""
    rows = [COUNTABLE.get(c.like) for c in classes.classes]
    numbers = ("length_m", "width_m", "reach_m", "least_voxels", "gate_m", "speed_mps", "usual_mps", "push_mps2")
    return Traits(
        np.array([-1 if row is None else GROUPS.index(row.group) for row in rows], np.int8),
        np.array(classes.detections, np.int64),
        *(np.array([np.nan if row is None else getattr(row, n) for row in rows], np.float64) for n in numbers),
    )
