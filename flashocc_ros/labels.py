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

"""Classes of voxels: the type of a table of them, and the table of nuScenes / Occ3D.

Who handles results takes the table that travels with them (``Occupancy.classes``, ``Variant.classes``). The constants
below are those of ``OCC3D``: for what is made with that table, such as the synthetic world and nuScenes' own files.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flashocc_ros.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

IGNORE = 255
"""Id of voxels whose class nobody knows."""
MAX_CLASSES = 254
"""Ids are bytes; 255 is ``IGNORE``, and viewers keep one for what they cannot tell."""
MAX_NAME = 64
"""Characters of a name that a legend still shows."""


@dataclass(frozen=True)
class SemanticClass:
    """One class of voxels.

    Attributes:
        name: lower case, unique in its table.
        color_rgb: 0 to 255 each.
        thing: countable objects that panoptic quality is measured on.
        flat: ground that one may stand on; an obstacle above it decides the cost of a column.
        cost: of a column with this class in the 2D grid, 0 (free) to 100 (lethal).
        like: class of ``OCC3D`` whose size and motion objects of this one have; empty for what has no objects.
        sources: classes of ``OCC3D`` that become this one where labels of that table are read.
    """

    name: str
    color_rgb: tuple[int, int, int]
    thing: bool = False
    flat: bool = False
    cost: int = 100
    like: str = ""
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        name = self.name
        if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > MAX_NAME:
            raise ConfigError(f"class name {name!r:.80} must be 1 to {MAX_NAME} printable characters; rename it")
        if len(self.color_rgb) != 3 or not all(0 <= value <= 255 for value in self.color_rgb):
            raise ConfigError(
                f"class {name} has the colour {list(self.color_rgb)}, needs red, green and blue of 0 to 255; correct it"
            )
        if not 0 <= self.cost <= 100:
            raise ConfigError(f"class {name} has the cost {self.cost}, needs 0 (free) to 100 (lethal); correct it")
        if self.like and self.like not in DETECTION_NAMES:
            raise ConfigError(
                f"class {name} is like {self.like!r:.80}, whose size and motion are not known; choose one of "
                f"{', '.join(DETECTION_NAMES)}"
            )
        for source in self.sources:
            if source not in CLASS_NAMES:
                raise ConfigError(
                    f"class {name} is made from {source!r:.80}, which is no class of Occ3D; choose from "
                    f"{', '.join(CLASS_NAMES)}"
                )


@dataclass(frozen=True)
class ClassTable:
    """What class ids mean. An id is the place of a class in ``classes``; ids past the last one are not counted.

    Attributes:
        name, version: as messages and files call the table.
        classes: by id.
        free: id of free space.
        detections: class id of each channel of the centre heat map.
        ignore: id of label files for what nobody knows; not among the classes.

    Raises:
        ConfigError: there are too few or too many classes, two of one name or from one source, or an id is none.
    """

    name: str
    version: int
    classes: tuple[SemanticClass, ...]
    free: int
    detections: tuple[int, ...] = ()
    ignore: int = IGNORE

    def __post_init__(self) -> None:
        count = len(self.classes)
        if not 2 <= count <= MAX_CLASSES:
            raise ConfigError(
                f"{count} classes are not possible, a table has 2 to {MAX_CLASSES}, free among them; "
                + ("merge some" if count > 2 else "add some")
            )
        for what, values in (("name", self.names), ("source", [s for c in self.classes for s in c.sources])):
            twice = [value for value, times in Counter(values).items() if times > 1]
            if twice:
                raise ConfigError(f"two classes have the {what} {twice[0]!r}; each needs its own, so change one")
        if not 0 <= self.free < count:
            raise ConfigError(f"class {self.free} is free, ids go from 0 to {count - 1}; say which class is free")
        if not count <= self.ignore <= IGNORE:
            raise ConfigError(
                f"the ignore id {self.ignore} must lie within {count} and {IGNORE}, past the ids of the classes; "
                f"use {IGNORE}"
            )
        for i in self.detections:
            if not 0 <= i < count or not self.classes[i].like or self.detections.count(i) > 1:
                raise ConfigError(f"detection class {i} must be the id of a class that is like one of Occ3D, once")

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """By id."""
        return tuple(c.name for c in self.classes)

    @property
    def colors_rgb(self) -> tuple[tuple[int, int, int], ...]:
        """By id, 0 to 255."""
        return tuple(c.color_rgb for c in self.classes)

    @property
    def solid(self) -> tuple[int, ...]:
        """Ids of all classes but free."""
        return tuple(i for i in range(len(self.classes)) if i != self.free)

    @property
    def flat(self) -> tuple[int, ...]:
        """Ids of the ground."""
        return tuple(i for i, c in enumerate(self.classes) if c.flat)

    @property
    def things(self) -> tuple[int, ...]:
        """Ids of countable classes."""
        return tuple(i for i, c in enumerate(self.classes) if c.thing)

    @property
    def detection_names(self) -> tuple[str, ...]:
        """By channel of the heat map."""
        return tuple(self.classes[i].name for i in self.detections)

    @property
    def first_instance_id(self) -> int:
        """Ids below this are class ids in an instance grid."""
        return len(self.classes)

    def same_ids(self, other: ClassTable) -> bool:
        """Whether the ids of both mean the same; colours and costs may differ."""
        return (self.names, self.free) == (other.names, other.free)

    def occupied(self, semantics: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Which of the voxels hold a class that is not free; ids past the classes count as nothing."""
        return (semantics != self.free) & (semantics < len(self.classes))

    def index(self, name: str) -> int:
        """Id of a class.

        Raises:
            ValueError: the table has none of that name.
        """
        return self.names.index(name)

    def from_occ3d(self) -> tuple[int, ...]:
        """(256,) id of this table for each id of ``OCC3D``; what no class takes, and unknown ids, become ``ignore``."""
        result = [self.ignore] * 256
        for i, c in enumerate(self.classes):
            for source in c.sources:
                result[OCC3D.index(source)] = i
        return tuple(result)

    def ids_from(self, other: ClassTable) -> tuple[int, ...]:
        """(256,) id of this table for each id of ``other``; what no class takes, and unknown ids, become ``ignore``.

        Raises:
            ConfigError: ``other`` has neither the classes of this table nor those of ``OCC3D`` that these come from.
        """
        if self.same_ids(other):
            return tuple(i if i < len(self) else self.ignore for i in range(256))
        if not other.same_ids(OCC3D) or not any(c.sources for c in self.classes):
            raise ConfigError(
                f"labels have the classes {', '.join(other.names):.200}, the network {', '.join(self.names):.200}; "
                "make labels with its classes"
            )
        return self.from_occ3d()


CLASS_NAMES: tuple[str, ...] = (
    "others",
    "barrier",
    "bicycle",
    "bus",
    "car",
    "construction_vehicle",
    "motorcycle",
    "pedestrian",
    "traffic_cone",
    "trailer",
    "truck",
    "driveable_surface",
    "other_flat",
    "sidewalk",
    "terrain",
    "manmade",
    "vegetation",
    "free",
)
"""Classes of Occ3D-nuScenes by id."""

DETECTION_NAMES: tuple[str, ...] = (
    "car",
    "truck",
    "construction_vehicle",
    "bus",
    "trailer",
    "barrier",
    "motorcycle",
    "bicycle",
    "pedestrian",
    "traffic_cone",
)
"""Channels of the published centre heat map."""


def _row(
    name: str, color_rgb: tuple[int, int, int], *, thing: bool = False, flat: bool = False, cost: int = 100
) -> SemanticClass:
    """A class of Occ3D, which is like itself."""
    return SemanticClass(name, color_rgb, thing, flat, cost, name if name in DETECTION_NAMES else "", (name,))


# Colours of the reference viewer; free is never drawn.
_ROWS = (
    _row("others", (0, 0, 0)),
    _row("barrier", (112, 128, 144)),
    _row("bicycle", (220, 20, 60), thing=True),
    _row("bus", (255, 127, 80), thing=True),
    _row("car", (255, 158, 0), thing=True),
    _row("construction_vehicle", (233, 150, 70), thing=True),
    _row("motorcycle", (255, 61, 99), thing=True),
    _row("pedestrian", (0, 0, 230), thing=True),
    _row("traffic_cone", (47, 79, 79)),
    _row("trailer", (255, 140, 0), thing=True),
    _row("truck", (255, 99, 71), thing=True),
    _row("driveable_surface", (0, 207, 191), flat=True, cost=0),
    _row("other_flat", (175, 0, 75), flat=True, cost=30),
    _row("sidewalk", (75, 0, 75), flat=True, cost=60),
    _row("terrain", (112, 180, 60), flat=True, cost=80),
    _row("manmade", (222, 184, 135)),
    _row("vegetation", (0, 175, 0)),
    _row("free", (255, 255, 255), cost=0),
)
OCC_FROM_DETECTION: tuple[int, ...] = tuple(CLASS_NAMES.index(n) for n in DETECTION_NAMES)
"""Occupancy class of each heat-map channel, by name: the corrected table."""

OCC3D = ClassTable("occ3d-nuscenes", 1, _ROWS, CLASS_NAMES.index("free"), OCC_FROM_DETECTION)

NUM_CLASSES = len(OCC3D)
FREE = OCC3D.free
FLAT_CLASSES = OCC3D.flat
THING_CLASSES = OCC3D.things
FIRST_INSTANCE_ID = OCC3D.first_instance_id
