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

"""From the head's centres and labels to objects with ids.

The voxels of countable classes are cut into objects (``segments``), which keep their ids from frame to frame
(``tracking``). Nearly every countable voxel ends up in an object, no object is empty, and labels stay as they are: an
object may hold voxels of several classes that are taken for each other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from flashocc_ros.errors import ConfigError
from flashocc_ros.instance import known_velocity
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.pipeline.countable import COUNTABLE, traits_of
from flashocc_ros.pipeline.decode import Centers, decode_centers
from flashocc_ros.pipeline.segments import Segments, segment
from flashocc_ros.pipeline.tracking import Expected, Tracker
from flashocc_ros.ranges import checked_number
from flashocc_ros.structures import OCC3D_GRID, Instance, VoxelGrid

MAX_DISTANCE_M: dict[str, float] = {name: row.reach_m for name, row in COUNTABLE.items()}
"""Voxel to object centre, metres, by class of Occ3D."""

WEAK_SHARE = 0.1
"""Of the score threshold: from there on a centre is worth a look."""
TRACKED_SHARE = 0.4
"""Of the score threshold: enough for a centre where a track is expected."""
TRACKED_WITHIN_M = 1.0
"""A centre that near to where a track should be is the track's; or within the width of its class."""


def max_distances(override_m: Mapping[str, float] | None = None, classes: ClassTable = OCC3D) -> dict[str, float]:
    """Distance limits in metres by name of a countable class: the defaults with some replaced.

    A name of Occ3D stands for every class that is like it.

    Raises:
        ConfigError: no mapping, a name that is no countable class, or a limit that is no positive number.
    """
    like = {c.name: c.like for c in classes.classes if c.like}
    limits = MAX_DISTANCE_M | {name: MAX_DISTANCE_M[of] for name, of in like.items()}
    if override_m is not None and not isinstance(override_m, Mapping):
        raise ConfigError(
            f"panoptic_max_distance_m is {override_m!r:.60}, needs metres by class name, e.g. {{'car': 5.0}}"
        )
    for name, limit in (override_m or {}).items():
        if name not in limits:
            raise ConfigError(f"panoptic distance limit for unknown class {name!r}; choose from {sorted(limits)}")
        limit_m = checked_number(f"panoptic distance limit of {name}", limit)
        if not limit_m > 0:
            raise ConfigError(f"panoptic distance limit of {name} is {limit_m} m, must be above 0")
        limits |= {other: limit_m for other, of in like.items() if of == name} | {name: limit_m}
    return limits


def find_objects(
    semantics: npt.NDArray[np.uint8],
    centers: Centers,
    score_threshold: float,
    expected: Expected | None = None,
    *,
    limits_m: Mapping[str, float] | None = None,
    grid: VoxelGrid = OCC3D_GRID,
    classes: ClassTable = OCC3D,
) -> Segments:
    """Objects of one frame.

    Args:
        semantics: (X, Y, Z) uint8 class ids.
        centers: K centres, best score first, from ``WEAK_SHARE`` of the threshold on.
        score_threshold: a centre above it is an object by itself; so is a weaker one where the track of such an object
            is expected.
        expected: where the tracks should be.
        limits_m: a voxel further from a centre is not its object's, per class name; default ``max_distances``.
        grid: where the voxels lie.
        classes: what the ids mean.
    """
    strong = centers.score > score_threshold
    if expected is not None and len(expected.class_id):
        strong |= _tracked(centers, centers.score > TRACKED_SHARE * score_threshold, expected, classes)
    limits = limits_m or max_distances(classes=classes)
    reach_m = np.array([limits[c.name] if c.like else np.nan for c in classes.classes])
    return segment(semantics, centers, strong, reach_m, grid, classes)


def _tracked(
    centers: Centers, allowed: npt.NDArray[np.bool_], expected: Expected, classes: ClassTable
) -> npt.NDArray[np.bool_]:
    """Which of the allowed centres (K,) is the nearest to a track of its group, and near enough."""
    traits = traits_of(classes)
    group = traits.group[traits.detection_class[centers.detection]]
    distance = np.linalg.norm(centers.xyz_m[:, None] - expected.position_m[None], axis=2)
    distance[~allowed[:, None] | (group[:, None] != traits.group[expected.class_id][None])] = np.inf
    distance[:, ~expected.strong] = np.inf
    result = np.zeros(len(centers), bool)
    if len(centers):
        within = distance.min(axis=0) <= np.maximum(traits.width_m[expected.class_id], TRACKED_WITHIN_M)
        result[distance.argmin(axis=0)[within]] = True
    return result


def paint(
    semantics: npt.NDArray[np.uint8],
    objects: Segments,
    ids: npt.NDArray[np.int32],
    velocities: npt.NDArray[np.float64],
    grid: VoxelGrid = OCC3D_GRID,
) -> tuple[npt.NDArray[np.int32], tuple[Instance, ...]]:
    """Every voxel's object id, else its class id.

    Args:
        semantics: (X, Y, Z) uint8 class ids.
        objects: K objects.
        ids: (K,) int32 distinct ids past those of the classes.
        velocities: (K, 4), see ``Tracker.velocities``.

    Returns:
        (X, Y, Z) int32, and the K instances, best score first, each at the head's centre if that is strong, else in the
        middle of its box.
    """
    result = semantics.astype(np.int32)
    owned = objects.segment >= 0
    result[tuple(objects.voxels[owned].T)] = ids[objects.segment[owned]]
    extent = (objects.box[:, 1] - objects.box[:, 0] + 1) * grid.resolution_m
    # a weak centre wanders along what is long; the box does so less
    center_m = np.where(objects.strong[:, None], objects.center_m, objects.middle_m(grid))
    instances = tuple(
        Instance(
            int(ids[k]),
            int(objects.class_id[k]),
            float(objects.score[k]),
            tuple(center_m[k].tolist()),
            tuple(extent[k].tolist()),
            int(objects.count[k]),
            *known_velocity(*velocities[k].tolist()),
        )
        for k in range(len(objects))
    )
    return result, instances


def warm_up() -> None:
    """Run everything once on made-up objects: the first call compiles, seconds that the first set should not wait."""
    semantics = np.full(OCC3D_GRID.size, OCC3D.free, np.uint8)
    car = OCC3D.index("car")
    semantics[100:111, 100:106, 2:6] = car
    semantics[116:118, 102:104, 2:3] = car  # a crumb
    heatmap = np.full((len(OCC3D.detections), *OCC3D_GRID.map_size), -9.0, np.float32)
    channel = OCC3D.detections.index(car)
    heatmap[channel, 102, 103] = 2.0
    heatmap[channel, 102, 108] = -1.0
    flat = np.zeros((3, *OCC3D_GRID.map_size), np.float32)
    centers = decode_centers(heatmap, flat[:2], flat[2:], WEAK_SHARE * 0.5)
    tracker = Tracker()
    for stamp_ns in (0, 10**8):
        objects = find_objects(semantics, centers, 0.5, tracker.expected(np.eye(4), stamp_ns))
        ids = tracker.update(objects, np.eye(4), stamp_ns)
        paint(semantics, objects, ids, tracker.velocities(ids, np.eye(4)))
