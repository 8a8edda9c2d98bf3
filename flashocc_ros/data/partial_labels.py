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

from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import IGNORE, OCC3D, ClassTable

Bool = npt.NDArray[np.bool_]
UNOBSERVED = IGNORE
GROUPS = ("ground of unknown class", "something of unknown class")
"""Targets behind the classes of a table: with C classes, ids C and C + 1."""


def target_names(classes: ClassTable = OCC3D) -> tuple[str, ...]:
    """By target."""
    return (*classes.names, *GROUPS)


def possible_classes(boxed: Iterable[int], classes: ClassTable = OCC3D, labelled: ClassTable = OCC3D) -> Bool:
    """(C + 2, C): which classes a voxel of each target may have.

    Args:
        boxed: classes of boxes, ids of ``labelled``: what has none is none of them.
        classes: those that are learned; labelled: those of the labels.

    Raises:
        ConfigError: there are too many classes to tell the groups from what nobody observed, or none is made of those
            of the labels.
    """
    count = len(classes)
    if count + len(GROUPS) > UNOBSERVED:
        most = UNOBSERVED - len(GROUPS)
        raise ConfigError(
            f"{count} classes are too many to learn from labels of recordings, at most {most} are; merge some"
        )
    own = classes.ids_from(labelled)
    possible = np.zeros((count + len(GROUPS), count), bool)
    possible[:count] = np.eye(count, dtype=bool)
    possible[count, list(classes.flat or classes.solid)] = True
    things = set(classes.solid) - set(classes.flat)
    possible[count + 1, sorted(things - {own[c] for c in boxed} or things)] = True
    return possible


def targets_of(
    semantics: npt.NDArray[np.uint8],
    guessed: Bool,
    observed: Bool,
    classes: ClassTable = OCC3D,
    labelled: ClassTable = OCC3D,
) -> npt.NDArray[np.uint8]:
    """Targets from labels, ids of ``labelled``: guessed classes become their group, what nobody observed 255."""
    own = np.array(classes.ids_from(labelled), np.uint8)
    own[own >= len(classes)] = UNOBSERVED
    group = np.where(np.isin(semantics, labelled.flat), len(classes), len(classes) + 1)
    return np.where(observed, np.where(guessed, group, own[semantics]), UNOBSERVED).astype(np.uint8)


def shown_classes(targets: npt.NDArray[np.uint8], classes: ClassTable = OCC3D) -> npt.NDArray[np.uint8]:
    """Classes to draw: some ground, some thing, nothing where nothing is known."""
    count = len(classes)
    table = np.full(256, classes.free, np.uint8)
    table[:count] = np.arange(count)
    other = [c for c in classes.solid if c not in classes.flat]
    building = classes.from_occ3d()[OCC3D.index("manmade")]
    table[count] = (*classes.flat, classes.free)[0]
    table[count + 1] = building if building in other else (*other, classes.free)[0]
    return table[targets]


def judged_by(
    predicted: npt.NDArray[np.uint8], targets: npt.NDArray[np.uint8], possible: Bool, classes: ClassTable = OCC3D
) -> npt.NDArray[np.uint8]:
    """The classes that ``predicted`` should have: where only a group is known, itself if it is of that group."""
    count = len(classes)
    known = np.concatenate([possible, np.zeros((256 - len(possible), count), bool)])
    return np.where((targets >= count) & known[targets, predicted], predicted, shown_classes(targets, classes))


def completed(
    scores: npt.NDArray[np.floating], targets: npt.NDArray[np.uint8], possible: Bool
) -> npt.NDArray[np.uint8]:
    """(M,) classes: each group's member with the highest of ``scores`` (M, C)."""
    unsure = (targets >= possible.shape[1]) & (targets != UNOBSERVED)
    if not unsure.any():
        return targets
    result = targets.copy()
    result[unsure] = np.where(possible[targets[unsure]], scores[unsure], -np.inf).argmax(1)
    return result
