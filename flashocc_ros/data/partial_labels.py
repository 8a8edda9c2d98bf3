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

"""Voxels and pixels of which only a group of classes is known: a lidar tells that something stands there, not what.

Targets are class ids, or one of two ids above them: ground of unknown class, something else of unknown class. Whatever
class of its group a network says there is right.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from flashocc_ros.labels import CLASS_NAMES, FLAT_CLASSES, FREE, NUM_CLASSES

Bool = npt.NDArray[np.bool_]
UNOBSERVED = 255
UNKNOWN_GROUND, UNKNOWN_THING = NUM_CLASSES, NUM_CLASSES + 1
NUM_TARGETS = NUM_CLASSES + 2
TARGET_NAMES = (*CLASS_NAMES, "ground of unknown class", "something of unknown class")


def possible_classes(boxed: Iterable[int]) -> Bool:
    """(20, 18): which classes a voxel of each target may have.

    Args:
        boxed: classes of boxes: what has none is none of them.
    """
    possible = np.zeros((NUM_TARGETS, NUM_CLASSES), bool)
    possible[:NUM_CLASSES] = np.eye(NUM_CLASSES, dtype=bool)
    possible[UNKNOWN_GROUND, list(FLAT_CLASSES)] = True
    things = set(range(NUM_CLASSES)) - {*FLAT_CLASSES, FREE}
    possible[UNKNOWN_THING, sorted(things - set(boxed) or things)] = True
    return possible


def targets_of(semantics: npt.NDArray[np.uint8], guessed: Bool, observed: Bool) -> npt.NDArray[np.uint8]:
    """Targets from labels: guessed classes become their group, what nobody observed 255."""
    group = np.where(np.isin(semantics, FLAT_CLASSES), UNKNOWN_GROUND, UNKNOWN_THING)
    return np.where(observed, np.where(guessed, group, semantics), UNOBSERVED).astype(np.uint8)


def shown_classes(targets: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Classes to draw: some ground, some thing, nothing where nothing is known."""
    table = np.full(256, FREE, np.uint8)
    table[:NUM_CLASSES] = np.arange(NUM_CLASSES)
    table[[UNKNOWN_GROUND, UNKNOWN_THING]] = FLAT_CLASSES[0], CLASS_NAMES.index("manmade")
    return table[targets]


def judged_by(
    predicted: npt.NDArray[np.uint8], targets: npt.NDArray[np.uint8], possible: Bool
) -> npt.NDArray[np.uint8]:
    """The classes that ``predicted`` should have: where only a group is known, itself if it is of that group."""
    known = np.concatenate([possible, np.zeros((256 - len(possible), NUM_CLASSES), bool)])
    return np.where((targets >= NUM_CLASSES) & known[targets, predicted], predicted, shown_classes(targets))


def completed(
    scores: npt.NDArray[np.floating], targets: npt.NDArray[np.uint8], possible: Bool
) -> npt.NDArray[np.uint8]:
    """(M,) classes: each group's member with the highest of ``scores`` (M, C)."""
    unsure = (targets >= NUM_CLASSES) & (targets != UNOBSERVED)
    if not unsure.any():
        return targets
    result = targets.copy()
    result[unsure] = np.where(possible[targets[unsure]], scores[unsure], -np.inf).argmax(1)
    return result
