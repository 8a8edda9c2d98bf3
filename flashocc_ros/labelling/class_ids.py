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

"""Ids of the labels' classes: of names that boxes have, and what of them labelling needs to know."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flashocc_ros.labels import CLASS_NAMES, FREE, OCC3D, ClassTable

UNKNOWN, STANDING = -2, -1
"""Of ids in `flat_numbers`: no class or free; a class that is no ground."""

ALIASES = {
    "person": "pedestrian", "cyclist": "bicycle", "bike": "bicycle", "motorbike": "motorcycle", "van": "car",
    "vehicle": "car", "lorry": "truck", "cone": "traffic_cone",
}  # fmt: skip
"""Names that detectors give to classes of Occ3D."""


def class_id(name: str, classes: ClassTable) -> int | None:
    """Id of what a detector calls ``name``: one of ``classes``, else the one that is made from a class of Occ3D of
    that name, else a number; None for another. Capitals, spaces and dashes do not matter."""
    key = _key(name)
    own = {_key(known): i for i, known in enumerate(classes.names) if i != classes.free}
    if key in own:
        return own[key]
    key = ALIASES.get(key, key)
    if key in CLASS_NAMES[:FREE]:
        found = classes.from_occ3d()[CLASS_NAMES.index(key)]
        return found if found < len(classes) else None
    return int(key) if key.isdecimal() and int(key) in classes.solid else None


def _key(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def solid_names(classes: ClassTable) -> str:
    """What may be chosen, for messages."""
    return ", ".join(classes.names[i] for i in classes.solid)


def flat_numbers(classes: ClassTable) -> npt.NDArray[np.int16]:
    """(256,) place among the flat classes of each id, `STANDING` for other classes, `UNKNOWN` for all else."""
    result = np.full(256, UNKNOWN, np.int16)
    result[list(classes.solid)] = STANDING
    result[list(classes.flat)] = np.arange(len(classes.flat))
    return result


def unknown_classes(classes: ClassTable) -> tuple[int, int]:
    """Of what nothing tells: above the ground, and the ground itself.

    Those that ``manmade`` and ``driveable_surface`` become, else the first that can be: ground is flat, where a table
    has flat classes.
    """
    flat, own = classes.flat or classes.solid, classes.from_occ3d()
    standing = [i for i in classes.solid if i not in classes.flat] or list(classes.solid)
    above, ground = own[CLASS_NAMES.index("manmade")], own[CLASS_NAMES.index("driveable_surface")]
    return above if above in standing else standing[0], ground if ground in flat else flat[0]


def as_seen(classes: ClassTable) -> npt.NDArray[np.uint8]:
    """(256,) for each id one of ``OCC3D`` that hides as much: ground, something that stands, or nothing."""
    ground, something = CLASS_NAMES.index("driveable_surface"), CLASS_NAMES.index("manmade")
    kind = flat_numbers(classes)
    return np.where(kind == UNKNOWN, FREE, np.where(kind == STANDING, something, ground)).astype(np.uint8)


def ids_of_occ3d(classes: ClassTable, unknown: int) -> npt.NDArray[np.uint8]:
    """(256,) id for each of ``OCC3D``, ``unknown`` for what no class is made from."""
    own = np.array(classes.ids_from(OCC3D))
    return np.where(own < len(classes), own, unknown).astype(np.uint8)
