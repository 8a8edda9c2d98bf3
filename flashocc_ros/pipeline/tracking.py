"""Instance ids that stay with an object: centres are matched from frame to frame in the fixed frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import CLASS_NAMES, FIRST_INSTANCE_ID, NUM_CLASSES
from flashocc_ros.ranges import TRACK_MAX_AGE_S

MAX_ID = 65535
"""Ids are published as uint16."""

VELOCITY_TIME_CONSTANT_S = 0.5
"""Smoothing of a track's velocity."""

_GATE_M = {
    "car": 2.0,
    "truck": 3.0,
    "construction_vehicle": 3.0,
    "bus": 4.0,
    "trailer": 4.0,
    "barrier": 1.0,
    "motorcycle": 1.5,
    "bicycle": 1.5,
    "pedestrian": 1.0,
    "traffic_cone": 0.7,
}
_MAX_SPEED_MPS = {
    "car": 20.0,
    "truck": 15.0,
    "construction_vehicle": 5.0,
    "bus": 15.0,
    "trailer": 15.0,
    "barrier": 0.0,
    "motorcycle": 20.0,
    "bicycle": 8.0,
    "pedestrian": 3.0,
    "traffic_cone": 0.0,
}
GATE_M = np.array([_GATE_M.get(name, 2.0) for name in CLASS_NAMES])
"""(18,) how far a detection may lie from where it was expected, metres, before motion is added."""
MAX_SPEED_MPS = np.array([_MAX_SPEED_MPS.get(name, 10.0) for name in CLASS_NAMES])
"""(18,) speed that widens the gate with the time since a track was last seen."""


@dataclass(frozen=True, eq=False)
class _Track:
    id: int
    class_id: int
    position_m: npt.NDArray[np.float64]
    velocity_mps: npt.NDArray[np.float64]
    stamp_ns: int


class Tracker:
    """Nearest-neighbour tracker: constant velocity, one assignment problem per class.

    Tracks are replaced, never changed: a shallow copy (``copy.copy``) goes its own way.

    Args:
        max_age_s: a track not seen for longer is forgotten; its id becomes free.
    """

    def __init__(self, max_age_s: float = TRACK_MAX_AGE_S.default) -> None:
        TRACK_MAX_AGE_S.check("panoptic.track_max_age_s", max_age_s)
        self.max_age_s = max_age_s
        self.reset()

    def __len__(self) -> int:
        return len(self._tracks)

    def reset(self) -> None:
        """Forget all tracks; ids start at 18 again."""
        self._tracks: list[_Track] = []
        self._next_id = FIRST_INSTANCE_ID

    def update(
        self,
        xyz_m: npt.NDArray[np.floating],
        class_ids: npt.NDArray[np.integer],
        odom_from_base: npt.NDArray[np.float64],
        stamp_ns: int,
    ) -> npt.NDArray[np.int32]:
        """Ids of the centres of one frame.

        Args:
            xyz_m: (K, 3) centres in metres, base frame, best score first.
            class_ids: (K,) occupancy classes; tracks never change class.
            odom_from_base: (4, 4) vehicle pose at ``stamp_ns``, removes ego motion.
            stamp_ns: not before the stamp of the call before.

        Returns:
            (K,) int32 distinct ids in [18, 65535]. New ones count up and, past the end, take ids no track holds.
        """
        kept = {t.id: t for t in self._tracks if (stamp_ns - t.stamp_ns) / 1e9 <= self.max_age_s}
        position = np.asarray(xyz_m, np.float64) @ odom_from_base[:3, :3].T + odom_from_base[:3, 3]
        ids = np.zeros(len(position), np.int32)
        for class_id in range(NUM_CLASSES):
            detections = np.flatnonzero(class_ids == class_id)
            tracks = [t for t in kept.values() if t.class_id == class_id]
            for row, track in self._match(position[detections], tracks, class_id, stamp_ns):
                kept[track.id] = _moved(track, position[detections[row]], stamp_ns)
                ids[detections[row]] = track.id
        self._tracks = list(kept.values())
        for d in np.flatnonzero(ids == 0).tolist():
            track = _Track(self._free_id(), int(class_ids[d]), position[d], np.zeros(3), stamp_ns)
            self._tracks.append(track)
            ids[d] = track.id
        return ids

    @staticmethod
    def _match(
        position: npt.NDArray[np.float64], tracks: list[_Track], class_id: int, stamp_ns: int
    ) -> list[tuple[int, _Track]]:
        """Pairs (detection, track) of least total distance, none beyond the gate."""
        if not len(position) or not tracks:
            return []
        age_s = np.array([(stamp_ns - t.stamp_ns) / 1e9 for t in tracks])
        expected = np.stack([t.position_m for t in tracks]) + age_s[:, None] * np.stack(
            [t.velocity_mps for t in tracks]
        )
        distance = np.linalg.norm(position[:, None] - expected[None], axis=2)
        gate = GATE_M[class_id] + MAX_SPEED_MPS[class_id] * age_s
        allowed = distance <= gate[None]
        # a forbidden pair costs more than any number of allowed ones: most matches first, then least distance
        forbidden = (gate.max() + 1.0) * (min(distance.shape) + 1)
        rows, columns = linear_sum_assignment(np.where(allowed, distance, forbidden))
        return [(int(r), tracks[c]) for r, c in zip(rows, columns, strict=True) if allowed[r, c]]

    def _free_id(self) -> int:
        held = {t.id for t in self._tracks}
        if len(held) > MAX_ID - FIRST_INSTANCE_ID:
            raise ConfigError(f"more than {len(held)} tracks at once; lower the track max age {self.max_age_s} s")
        while self._next_id in held or self._next_id > MAX_ID:
            self._next_id = FIRST_INSTANCE_ID if self._next_id >= MAX_ID else self._next_id + 1
        self._next_id += 1
        return self._next_id - 1


def _moved(track: _Track, position_m: npt.NDArray[np.float64], stamp_ns: int) -> _Track:
    """A track where it was seen now; its velocity follows."""
    step_s = (stamp_ns - track.stamp_ns) / 1e9
    velocity = track.velocity_mps
    if step_s > 0:
        measured = (position_m - track.position_m) / step_s
        weight = step_s / (step_s + VELOCITY_TIME_CONSTANT_S)
        velocity = (1 - weight) * velocity + weight * measured
        speed, limit = float(np.linalg.norm(velocity)), MAX_SPEED_MPS[track.class_id]
        velocity = velocity * (limit / speed) if speed > limit else velocity
    return replace(track, position_m=position_m, velocity_mps=velocity, stamp_ns=stamp_ns)
