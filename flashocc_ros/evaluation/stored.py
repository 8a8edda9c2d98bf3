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

"""Results that are there already, beside the truth of the recording they were made from: no network, no pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flashocc_ros.bags import Frames, read_sets
from flashocc_ros.bags.results import Follower, read_results, read_truths
from flashocc_ros.data.recorded_frames import no_truth, objects_of, truth_stamps
from flashocc_ros.errors import BagError
from flashocc_ros.evaluation.frames import EvalFrame, lidar_origins
from flashocc_ros.remote import Location
from flashocc_ros.structures import Occupancy


class StoredRun:
    """The frames of a recording and, as a predictor, the results on them; holds one of each at a time.

    Args:
        recording: with ground truth at key stamps.
        result: the result recording made of it.
        cameras, names: as it was made, see ``read_sets``.
    """

    def __init__(
        self,
        recording: Location,
        result: Path,
        cameras: Sequence[str] | None = None,
        names: Frames = Frames(),  # noqa: B008
    ) -> None:
        self.recording, self.result, self.cameras, self.names = recording, result, cameras, names
        self._current: Occupancy | None = None

    def sequences(self) -> list[Location]:
        """One."""
        return [self.recording]

    def frames(self, sequence: Location) -> Iterator[EvalFrame]:
        """Frames that have a truth and a result.

        Raises:
            BagError: there are none, or no truth at all.
        """
        stamps = truth_stamps(sequence)
        if not stamps:
            raise no_truth(sequence)
        posed = read_sets(sequence, self.cameras, decode=False, frames=self.names)
        poses = {s.stamp_ns: s.poses.odom_from_base for s in posed if s.stamp_ns in stamps}
        keys = np.stack([pose[0] for pose in poses.values()]) if poses else np.empty((0, 4, 4))
        place = {stamp_ns: index for index, stamp_ns in enumerate(poses)}
        results = Follower(read_results(self.result, pictures=False), lambda r: r.stamp_ns)
        for stamp_ns, truth, _ in read_truths(sequence, pictures=False):
            result = results.at(stamp_ns)
            if result is None or stamp_ns not in place:
                continue
            ids = None if result.instances is None else result.instances.astype(np.int32)
            self._current = Occupancy(
                result.semantics, ids, result.objects, stamp_ns, grid=result.grid, classes=result.classes
            )
            yield EvalFrame(
                [],
                None,
                poses[stamp_ns],
                stamp_ns,
                truth.semantics,
                truth.mask_camera > 0,
                truth.mask_lidar > 0,
                None if truth.instances is None else objects_of(truth.instances, truth.classes),
                lidar_origins(keys, place[stamp_ns], truth.lidar_origin_m),
                grid=truth.grid,
                classes=truth.classes,
            )
        if self._current is None:
            raise BagError(f"{sequence}: no result has ground truth at its key stamp; record both together")

    def reset(self) -> None:
        """A stored result remembers nothing."""

    def __call__(self, images: Any, rig: Any, odom_from_base: Any, stamp_ns: int) -> Occupancy:
        """The result on the frame that was given last."""
        assert self._current is not None
        assert self._current.stamp_ns == stamp_ns
        return self._current
