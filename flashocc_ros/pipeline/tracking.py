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

"""Instance ids that stay with an object: objects are matched from frame to frame in the fixed frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.pipeline.countable import GROUPS, Traits, traits_of
from flashocc_ros.pipeline.motion import Motion, seen_noise
from flashocc_ros.pipeline.segments import Segments
from flashocc_ros.ranges import TRACK_MAX_AGE_S
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

MAX_ID = 65535
"""Ids are published as uint16."""

MOST_DEVIATION = 3.5
"""An object further from where a track should be, in standard deviations, is another one."""
SURE_OVERLAP = 0.3
"""Footprints that overlap that much (IoU) belong together even where the centres are apart: one was a guess."""
OVERLAP_WEIGHT = 0.7
"""Of the overlap in the cost of a pair; the rest is the deviation."""
NO_MATCH = 1.4
"""Cost of leaving a track or an object alone; were it much higher, one new object in a crowd would shift all ids."""


@dataclass(frozen=True, eq=False)
class _Track:
    """An object in the fixed frame; ``footprint_m`` (M, 2) are the middles of its columns of voxels.

    ``again``: it was seen before, so its motion is known.
    """

    id: int
    class_id: int
    mean: Float64
    covariance: Float64
    height_m: float
    footprint_m: Float64
    strong: bool
    again: bool
    stamp_ns: int


@dataclass(frozen=True, eq=False)
class Expected:
    """Where T tracks should be now.

    Attributes:
        position_m: (T, 3) metres, base frame.
        class_id: (T,) occupancy class when last seen.
        strong: (T,) whether they had a centre then that makes an object by itself.
    """

    position_m: Float64
    class_id: Int64
    strong: npt.NDArray[np.bool_]


class Tracker:
    """Constant velocity, one assignment problem per group of classes that are taken for each other.

    A pair costs how unlikely it is from where both lie and the share of its footprints that does not overlap, weighed.
    Tracks are replaced, never changed: a shallow copy (``copy.copy``) goes its own way.

    Args:
        max_age_s: a track not seen for longer is forgotten; its id becomes free.
        grid: where the voxels lie.
        classes: what the ids mean.
    """

    def __init__(
        self,
        max_age_s: float = TRACK_MAX_AGE_S.default,
        grid: VoxelGrid = OCC3D_GRID,
        classes: ClassTable = OCC3D,
    ) -> None:
        TRACK_MAX_AGE_S.check("panoptic.track_max_age_s", max_age_s)
        self.max_age_s, self.grid = max_age_s, grid
        self._traits, self._first_id = traits_of(classes), classes.first_instance_id
        self.reset()

    def __len__(self) -> int:
        return len(self._tracks)

    def reset(self) -> None:
        """Forget all tracks; ids start again at the first past those of the classes."""
        self._tracks: list[_Track] = []
        self._next_id = self._first_id

    def expected(self, odom_from_base: Float64, stamp_ns: int) -> Expected:
        """Where the tracks should be in the base frame at a stamp; changes nothing."""
        tracks = self._alive(stamp_ns)
        position_m = np.zeros((len(tracks), 3))
        position_m[:, :2] = _moved(tracks, stamp_ns, self._traits).mean[:, :2]
        position_m[:, 2] = [t.height_m for t in tracks]
        return Expected(
            (position_m - odom_from_base[:3, 3]) @ odom_from_base[:3, :3],
            np.array([t.class_id for t in tracks], np.int64),
            np.array([t.strong for t in tracks], bool),
        )

    def update(self, objects: Segments, odom_from_base: Float64, stamp_ns: int) -> npt.NDArray[np.int32]:
        """Ids of the objects of one frame.

        Args:
            objects: K objects, base frame.
            odom_from_base: (4, 4) vehicle pose at ``stamp_ns``, removes ego motion.
            stamp_ns: not before the stamp of the call before.

        Returns:
            (K,) int32 distinct ids past those of the classes, at most 65535. New ones count up and, past the end, take
            ids no track holds.
        """
        tracks = self._alive(stamp_ns)
        motion = _moved(tracks, stamp_ns, self._traits)
        rotation, origin = odom_from_base[:3, :3], odom_from_base[:3, 3]
        place_m = objects.center_m @ rotation.T + origin
        noise_m2 = seen_noise(place_m[:, :2], origin[:2], self._traits.length_m[objects.class_id])
        matches = _match(
            self._traits,
            objects.class_id,
            np.array([t.class_id for t in tracks], np.int64),
            motion.deviation(place_m[:, :2], noise_m2),
            np.linalg.norm(place_m[:, None, :2] - motion.mean[None, :, :2], axis=2),
            self._overlap(objects, tracks, motion, odom_from_base),
        )
        columns, start = objects.columns
        middle = np.zeros((len(columns), 3))
        middle[:, :2] = (columns + 0.5) * self.grid.resolution_m + np.array(self.grid.origin_m[:2])
        footprint = (middle @ rotation.T + origin)[:, :2]
        now = Motion.first_seen(place_m[:, :2], noise_m2, self._traits.usual_mps[objects.class_id])
        again = np.flatnonzero(matches >= 0)
        seen = motion.chosen(matches[again]).seen(
            place_m[again, :2], noise_m2[again], self._traits.speed_mps[objects.class_id[again]]
        )
        now.mean[again], now.covariance[again] = seen.mean, seen.covariance
        ids = np.zeros(len(objects), np.int32)
        self._tracks = tracks
        for k, match in enumerate(matches.tolist()):
            track = _Track(
                tracks[match].id if match >= 0 else self._free_id(),
                int(objects.class_id[k]),
                now.mean[k],
                now.covariance[k],
                float(place_m[k, 2]),
                footprint[start[k] : start[k + 1]],
                bool(objects.strong[k]),
                match >= 0,
                stamp_ns,
            )
            if match >= 0:
                self._tracks[match] = track
            else:
                self._tracks.append(track)
            ids[k] = track.id
        return ids

    def velocities(self, ids: npt.NDArray[np.int32], odom_from_base: Float64) -> Float64:
        """How objects of the last update move over ground.

        Args:
            ids: (K,) of tracks.
            odom_from_base: (4, 4) vehicle pose of that update.

        Returns:
            (K, 4) velocity along the axes of the base frame and its standard deviation, metres per second; NaN for
            those seen for the first time.
        """
        tracks = {t.id: t for t in self._tracks}
        mine = [tracks[i] for i in ids.tolist()]
        result = np.full((len(mine), 4), np.nan)
        again = np.array([t.again for t in mine], bool)
        flat_mps, result[:, 3] = _stacked(mine).velocity()
        result[:, :3] = np.pad(flat_mps, ((0, 0), (0, 1))) @ odom_from_base[:3, :3]
        result[~again] = np.nan
        return result

    def _alive(self, stamp_ns: int) -> list[_Track]:
        return [t for t in self._tracks if (stamp_ns - t.stamp_ns) / 1e9 <= self.max_age_s]

    def _overlap(self, objects: Segments, tracks: list[_Track], motion: Motion, odom_from_base: Float64) -> Float64:
        """IoU (K, T) of the footprints of the objects and of the tracks where they should be now."""
        if not tracks or not len(objects):
            return np.zeros((len(objects), len(tracks)))
        size_x, size_y, _ = self.grid.size
        owner = np.full((len(GROUPS), size_x, size_y), -1, np.int64)
        columns, start = objects.columns
        object_of_column = np.repeat(np.arange(len(objects)), np.diff(start))
        group_of_class = self._traits.group
        owner[group_of_class[objects.class_id[object_of_column]], columns[:, 0], columns[:, 1]] = object_of_column
        sizes = [len(t.footprint_m) for t in tracks]
        track_of_column = np.repeat(np.arange(len(tracks)), sizes)
        moved = [t.footprint_m + mean[:2] - t.mean[:2] for t, mean in zip(tracks, motion.mean, strict=True)]
        # the vehicle stands on the plane its tracks were seen on; what tilts it moves a footprint by less than a voxel
        flat = (np.concatenate(moved) - odom_from_base[:2, 3]) @ odom_from_base[:2, :2]
        cell = np.floor((flat - np.array(self.grid.origin_m[:2])) / self.grid.resolution_m).astype(np.int64)
        inside = ((cell >= 0) & (cell < (size_x, size_y))).all(axis=1)
        cell, track_of_column = cell[inside], track_of_column[inside]
        group = group_of_class[np.array([t.class_id for t in tracks])][track_of_column]
        hit = owner[group, cell[:, 0], cell[:, 1]]
        pair = track_of_column[hit >= 0] + len(tracks) * hit[hit >= 0]
        common = np.bincount(pair, minlength=len(objects) * len(tracks)).reshape(len(objects), len(tracks))
        area = np.bincount(track_of_column, minlength=len(tracks))
        return np.asarray(common / np.maximum(np.diff(start)[:, None] + area[None] - common, 1))

    def _free_id(self) -> int:
        held = {t.id for t in self._tracks}
        if len(held) > MAX_ID - self._first_id:
            raise ConfigError(f"more than {len(held)} tracks at once; lower the track max age {self.max_age_s} s")
        while self._next_id in held or self._next_id > MAX_ID:
            self._next_id = self._first_id if self._next_id >= MAX_ID else self._next_id + 1
        self._next_id += 1
        return self._next_id - 1


def _moved(tracks: Sequence[_Track], stamp_ns: int, traits: Traits) -> Motion:
    """Where tracks should be at a stamp."""
    step_s = np.array([(stamp_ns - t.stamp_ns) / 1e9 for t in tracks])
    return _stacked(tracks).after(step_s, traits.push_mps2[np.array([t.class_id for t in tracks], np.int64)])


def _stacked(tracks: Sequence[_Track]) -> Motion:
    """How tracks moved when last seen."""
    mean = np.array([t.mean for t in tracks]).reshape(-1, 4)
    return Motion(mean, np.array([t.covariance for t in tracks]).reshape(-1, 4, 4))


def _match(
    traits: Traits,
    class_id: Int64,
    track_class: Int64,
    deviation: Float64,
    distance_m: Float64,
    overlap: Float64,
) -> Int64:
    """Track of each object (K,), -1 for none, of the least total cost; the three tables are (K, T)."""
    result = np.full(len(class_id), -1, np.int64)
    groups, track_groups = traits.group[class_id], traits.group[track_class]
    # a track seen as a car may be a truck now
    gate_m = np.maximum(traits.gate_m[class_id][:, None], traits.gate_m[track_class][None])
    near = (deviation <= MOST_DEVIATION) & (distance_m <= gate_m)
    allowed = (groups[:, None] == track_groups[None]) & (near | (overlap >= SURE_OVERLAP))
    cost = (1 - OVERLAP_WEIGHT) * np.minimum(deviation / MOST_DEVIATION, 1.0) + OVERLAP_WEIGHT * (1.0 - overlap)
    for group in np.unique(groups):
        rows, columns = np.flatnonzero(groups == group), np.flatnonzero(track_groups == group)
        table = np.where(allowed, cost, NO_MATCH)[np.ix_(rows, columns)]
        for r, c in zip(*linear_sum_assignment(table), strict=True):
            if allowed[rows[r], columns[c]]:
                result[rows[r]] = columns[c]
    return result
