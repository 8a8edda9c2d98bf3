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

"""Class names, colours and the mapping between detection and occupancy classes (nuScenes / Occ3D)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

CLASS_TABLE_NAME = "occ3d-nuscenes"
CLASS_TABLE_VERSION = 1

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
NUM_CLASSES = len(CLASS_NAMES)
FREE = CLASS_NAMES.index("free")
GROUND_LAYERS = 3
"""Lowest layers of voxels, up to 0.2 m: the ground."""

COLORS_RGB: npt.NDArray[np.uint8] = np.array(
    [
        (0, 0, 0),
        (112, 128, 144),
        (220, 20, 60),
        (255, 127, 80),
        (255, 158, 0),
        (233, 150, 70),
        (255, 61, 99),
        (0, 0, 230),
        (47, 79, 79),
        (255, 140, 0),
        (255, 99, 71),
        (0, 207, 191),
        (175, 0, 75),
        (75, 0, 75),
        (112, 180, 60),
        (222, 184, 135),
        (0, 175, 0),
        (255, 255, 255),
    ],
    np.uint8,
)
"""(18, 3) uint8; the colours of the reference viewer; free is never drawn."""

FLAT_CLASSES: tuple[int, ...] = tuple(
    CLASS_NAMES.index(n) for n in ("driveable_surface", "other_flat", "sidewalk", "terrain")
)
THING_CLASSES: tuple[int, ...] = tuple(
    CLASS_NAMES.index(n)
    for n in ("bicycle", "bus", "car", "construction_vehicle", "motorcycle", "pedestrian", "trailer", "truck")
)

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
"""Channels of the centre heat map."""

OCC_FROM_DETECTION: tuple[int, ...] = tuple(CLASS_NAMES.index(n) for n in DETECTION_NAMES)
"""Occupancy class of each heat-map channel, by name: the corrected table."""

FIRST_INSTANCE_ID = NUM_CLASSES
"""Ids below this are class ids in an instance grid."""
