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

"""Boxes of voxels and centres to test instances with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flashocc_ros.labels import CLASS_NAMES, DETECTION_NAMES, FREE
from flashocc_ros.pipeline.decode import Centers
from flashocc_ros.pipeline.panoptic import find_objects, paint
from flashocc_ros.structures import Instance

THRESHOLD = 0.3


def centers(*items: tuple[str, tuple[float, float, float]], scores: npt.ArrayLike | None = None) -> Centers:
    """Centres by detection name and position in metres; scores falling from 0.9 to 0.4, or as given."""
    score = np.linspace(0.9, 0.4, len(items)) if scores is None else np.broadcast_to(scores, len(items))
    return Centers(
        np.array([xyz for _, xyz in items], np.float32).reshape(-1, 3),
        np.array(score, np.float32),
        np.array([DETECTION_NAMES.index(name) for name, _ in items], np.int64),
    )


def free_grid() -> npt.NDArray[np.uint8]:
    return np.full((200, 200, 16), FREE, np.uint8)


def voxel(x: float, y: float, z: float) -> tuple[int, int, int]:
    """Index of the voxel around a point in metres."""
    return int((x + 40) / 0.4), int((y + 40) / 0.4), int((z + 1) / 0.4)


def put(
    semantics: npt.NDArray[np.uint8], name: str, corner: tuple[int, int, int], size: tuple[int, int, int]
) -> tuple[tuple[slice, ...], tuple[float, float, float]]:
    """Fill a box of voxels with a class; gives back where, and its middle in metres."""
    box = tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))
    semantics[box] = CLASS_NAMES.index(name)
    x, y, z = ((c + s / 2) * 0.4 + lower for c, s, lower in zip(corner, size, (-40.0, -40.0, -1.0), strict=True))
    return box, (x, y, z)


def instances_of(
    semantics: npt.NDArray[np.uint8], found: Centers, limits_m: dict[str, float] | None = None
) -> tuple[npt.NDArray[np.int32], tuple[Instance, ...]]:
    """One frame without a past; ids from 100 in the order of the instances."""
    objects = find_objects(semantics, found, THRESHOLD, limits_m=limits_m)
    ids = np.arange(100, 100 + len(objects), dtype=np.int32)
    return paint(semantics, objects, ids, np.full((len(objects), 4), np.nan))
