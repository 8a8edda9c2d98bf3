"""Instance ids that stay with an object: objects are matched from frame to frame in the fixed frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import FIRST_INSTANCE_ID
from flashocc_ros.pipeline.countable import GROUP_OF_CLASS, GROUPS, per_class
from flashocc_ros.pipeline.segments import Segments
from flashocc_ros.ranges import TRACK_MAX_AGE_S
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

MAX_ID = 65535
"""Ids are published as uint16."""

VELOCITY_TIME_CONSTANT_S = 1.0
"""Smoothing of a track's velocity; a new track starts at rest, so its first velocity is damped, too."""
MAX_MOTION_M = 4.0
"""Fast motion since a track was last seen widens its gate up to this; further off, other objects are likelier."""
SURE_OVERLAP = 0.3
"""Footprints that overlap that much (IoU) belong together even where the centres are apart: one was a guess."""
OVERLAP_WEIGHT = 0.7
"""Of the overlap in the cost of a pair; the rest is distance."""
NO_MATCH = 1.3
"""Cost of leaving a track or an object alone; were it much higher, one new object in a crowd would shift all ids."""

_GATE_M, _SPEED_MPS = per_class("gate_m"), per_class("speed_mps")


@dataclass(frozen=True, eq=False)
class _Track:
    """An object in the fixed frame; ``footprint_m`` (M, 2) are the middles of its columns of voxels."""

    id: int
    class_id: int
    position_m: Float64
    velocity_mps: Float64
    footprint_m: Float64
    strong: bool
    stamp_ns: int


@dataclass(frozen=True, eq=False)
class Expected:
    """Where T tracks should be now.

    Attributes:
        position_m: (T, 3) metres, base frame.
        gate_m: (T,) how far off an object may be.
        class_id: (T,) occupancy class when last seen.
        strong: (T,) whether they had a centre then that makes an object by itself.
    """

    position_m: Float64
    gate_m: Float64
    class_id: Int64
    strong: npt.NDArray[np.bool_]


class Tracker:
    """Constant velocity, one assignment problem per group of classes that are taken for each other.

    A pair costs its distance over the gate and the share of its footprints that does not overlap, weighed.
    Tracks are replaced, never changed: a shallow copy (``copy.copy``) goes its own way.

    Args:
        max_age_s: a track not seen for longer is forgotten; its id becomes free.
    """

    def __init__(self, max_age_s: float = TRACK_MAX_AGE_S.default, grid: VoxelGrid = OCC3D_GRID) -> None:
        TRACK_MAX_AGE_S.check("panoptic.track_max_age_s", max_age_s)
        self.max_age_s, self.grid = max_age_s, grid
        self.reset()

    def __len__(self) -> int:
        return len(self._tracks)

    def reset(self) -> None:
        """Forget all tracks; ids start at 18 again."""
        self._tracks: list[_Track] = []
        self._next_id = FIRST_INSTANCE_ID

    def expected(self, odom_from_base: Float64, stamp_ns: int) -> Expected:
        """Where the tracks should be in the base frame at a stamp; changes nothing."""
        tracks = self._alive(stamp_ns)
        if not tracks:
            return Expected(np.zeros((0, 3)), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, bool))
        age_s = np.array([(stamp_ns - t.stamp_ns) / 1e9 for t in tracks])
        position = np.stack([t.position_m for t in tracks]) + age_s[:, None] * np.stack(
            [t.velocity_mps for t in tracks]
        )
        class_id = np.array([t.class_id for t in tracks])
        gate = _GATE_M[class_id] + np.minimum(_SPEED_MPS[class_id] * age_s, MAX_MOTION_M)
        return Expected(
            (position - odom_from_base[:3, 3]) @ odom_from_base[:3, :3],
            gate,
            class_id,
            np.array([t.strong for t in tracks]),
        )

    def update(self, objects: Segments, odom_from_base: Float64, stamp_ns: int) -> npt.NDArray[np.int32]:
        """Ids of the objects of one frame.

        Args:
            objects: K objects, base frame.
            odom_from_base: (4, 4) vehicle pose at ``stamp_ns``, removes ego motion.
            stamp_ns: not before the stamp of the call before.

        Returns:
            (K,) int32 distinct ids in [18, 65535]. New ones count up and, past the end, take ids no track holds.
        """
        tracks = self._alive(stamp_ns)
        expected = self.expected(odom_from_base, stamp_ns)
        overlap = self._overlap(objects, tracks, odom_from_base, stamp_ns)
        rotation, origin = odom_from_base[:3, :3], odom_from_base[:3, 3]
        position = objects.center_m @ rotation.T + origin
        columns, start = objects.columns
        middle = np.zeros((len(columns), 3))
        middle[:, :2] = (columns + 0.5) * self.grid.resolution_m + np.array(self.grid.origin_m[:2])
        footprint = (middle @ rotation.T + origin)[:, :2]
        matches = _match(objects, expected, overlap)
        ids = np.zeros(len(objects), np.int32)
        self._tracks = tracks
        for k in range(len(objects)):
            class_id, strong = int(objects.class_id[k]), bool(objects.strong[k])
            seen = class_id, position[k], footprint[start[k] : start[k + 1]], strong
            if k in matches:
                track = _moved(tracks[matches[k]], *seen, stamp_ns)
                self._tracks[matches[k]] = track
            else:
                track = _Track(self._free_id(), class_id, position[k], np.zeros(3), *seen[2:], stamp_ns)
                self._tracks.append(track)
            ids[k] = track.id
        return ids

    def _alive(self, stamp_ns: int) -> list[_Track]:
        return [t for t in self._tracks if (stamp_ns - t.stamp_ns) / 1e9 <= self.max_age_s]

    def _overlap(self, objects: Segments, tracks: list[_Track], odom_from_base: Float64, stamp_ns: int) -> Float64:
        """IoU (K, T) of the footprints of the objects and of the tracks where they should be now."""
        if not tracks or not len(objects):
            return np.zeros((len(objects), len(tracks)))
        size_x, size_y, _ = self.grid.size
        owner = np.full((len(GROUPS), size_x, size_y), -1, np.int64)
        columns, start = objects.columns
        object_of_column = np.repeat(np.arange(len(objects)), np.diff(start))
        owner[GROUP_OF_CLASS[objects.class_id[object_of_column]], columns[:, 0], columns[:, 1]] = object_of_column
        sizes = [len(t.footprint_m) for t in tracks]
        track_of_column = np.repeat(np.arange(len(tracks)), sizes)
        moved = [t.footprint_m + (stamp_ns - t.stamp_ns) / 1e9 * t.velocity_mps[:2] for t in tracks]
        # the vehicle stands on the plane its tracks were seen on; what tilts it moves a footprint by less than a voxel
        flat = (np.concatenate(moved) - odom_from_base[:2, 3]) @ odom_from_base[:2, :2]
        cell = np.floor((flat - np.array(self.grid.origin_m[:2])) / self.grid.resolution_m).astype(np.int64)
        inside = ((cell >= 0) & (cell < (size_x, size_y))).all(axis=1)
        cell, track_of_column = cell[inside], track_of_column[inside]
        group = GROUP_OF_CLASS[np.array([t.class_id for t in tracks])][track_of_column]
        hit = owner[group, cell[:, 0], cell[:, 1]]
        pair = track_of_column[hit >= 0] + len(tracks) * hit[hit >= 0]
        common = np.bincount(pair, minlength=len(objects) * len(tracks)).reshape(len(objects), len(tracks))
        area = np.bincount(track_of_column, minlength=len(tracks))
        return np.asarray(common / np.maximum(np.diff(start)[:, None] + area[None] - common, 1))

    def _free_id(self) -> int:
        held = {t.id for t in self._tracks}
        if len(held) > MAX_ID - FIRST_INSTANCE_ID:
            raise ConfigError(f"more than {len(held)} tracks at once; lower the track max age {self.max_age_s} s")
        while self._next_id in held or self._next_id > MAX_ID:
            self._next_id = FIRST_INSTANCE_ID if self._next_id >= MAX_ID else self._next_id + 1
        self._next_id += 1
        return self._next_id - 1


def _match(objects: Segments, expected: Expected, overlap: Float64) -> dict[int, int]:
    """Track of each object that has one, of the least total cost."""
    result: dict[int, int] = {}
    if not overlap.size:
        return result
    distance = np.linalg.norm(objects.center_m[:, None] - expected.position_m[None], axis=2)
    # a track seen as a car may be a truck now
    gate = expected.gate_m[None] + np.maximum(_GATE_M[objects.class_id][:, None] - _GATE_M[expected.class_id][None], 0)
    groups = GROUP_OF_CLASS[objects.class_id][:, None], GROUP_OF_CLASS[expected.class_id][None]
    allowed = (groups[0] == groups[1]) & ((distance <= gate) | (overlap >= SURE_OVERLAP))
    cost = (1 - OVERLAP_WEIGHT) * np.minimum(distance / gate, 1.0) + OVERLAP_WEIGHT * (1.0 - overlap)
    for group in np.unique(groups[0]):
        rows, columns = np.flatnonzero(groups[0][:, 0] == group), np.flatnonzero(groups[1][0] == group)
        table = np.where(allowed, cost, NO_MATCH)[np.ix_(rows, columns)]
        for r, c in zip(*linear_sum_assignment(table), strict=True):
            if allowed[rows[r], columns[c]]:
                result[int(rows[r])] = int(columns[c])
    return result


def _moved(
    track: _Track, class_id: int, position_m: Float64, footprint_m: Float64, strong: bool, stamp_ns: int
) -> _Track:
    """The track where it was seen now; its velocity follows."""
    step_s = (stamp_ns - track.stamp_ns) / 1e9
    velocity = track.velocity_mps
    if step_s > 0:
        weight = step_s / (step_s + VELOCITY_TIME_CONSTANT_S)
        velocity = (1 - weight) * velocity + weight * (position_m - track.position_m) / step_s
        speed, limit = float(np.linalg.norm(velocity)), _SPEED_MPS[class_id]
        velocity = velocity * (limit / speed) if speed > limit else velocity
    return _Track(track.id, class_id, position_m, velocity, footprint_m, strong, stamp_ns)
