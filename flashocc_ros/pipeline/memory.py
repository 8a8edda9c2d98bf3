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

"""What a temporal network remembers: per past frame its bird's-eye map and pose, bounded, keyed by stamp.

The published networks were trained on key frames half a second apart. Cameras usually run faster, so frames are kept a
fraction of that interval apart, and for every prediction those nearest to one, two, ... intervals ago are chosen.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.relocalisation import farthest_m
from flashocc_ros.errors import ConfigError
from flashocc_ros.geometry import Geometry
from flashocc_ros.ranges import MEMORY_INTERVAL_S, MEMORY_MAX_GAP_S, MEMORY_MAX_SPEED_MPS
from flashocc_ros.structures import CameraRig

logger = logging.getLogger(__name__)

EVENTS = ("gap", "backward", "calibration", "pose_jump", "reset")
"""Reasons to forget."""

STAMP_TOLERANCE = 0.1
"""Camera stamps jitter: a frame this fraction of the spacing early is still taken."""


@dataclass(frozen=True, eq=False)
class PastFrame:
    """One remembered frame; maps, features and pixels are of the engine's own kind.

    Attributes:
        stamp_ns: its key stamp.
        geometry: where its cameras were and, at that stamp, the vehicle, in odom.
        bev: its map after ``pre_process_net``, lifted into its own key frame.
        nbytes: memory it holds.
        stereo_feature: what of its pictures the next frame is matched with; None for variants without stereo.
        pixels: its network input, kept only for a stereo frame that had no past to be matched with.
    """

    stamp_ns: int
    geometry: Geometry
    bev: Any
    nbytes: int
    stereo_feature: Any = None
    pixels: Any = None


class Verdict(NamedTuple):
    """Why the past does not belong to a frame: one of ``EVENTS``, and a sentence."""

    reason: str
    detail: str


class TemporalMemory:
    """Past frames, newest last.

    Args:
        num_history: how many past frames the network takes; 0 keeps none but still watches the stream.
        interval_s: spacing the network was trained with.
        slots_per_interval: frames kept per interval. More slots follow the nominal times more closely when cameras run
            faster than 2 Hz and cost memory in proportion, see ``max_frames``.
        max_gap_s: a longer pause between two calls clears the memory.
        max_speed_mps: a key pose that moves faster clears it.

    Attributes:
        events: how often the memory was cleared, by reason (``EVENTS``).
        max_frames: upper bound of remembered frames, reached only when cameras run fast.
    """

    def __init__(
        self,
        num_history: int,
        interval_s: float = MEMORY_INTERVAL_S.default,
        *,
        slots_per_interval: int = 5,
        max_gap_s: float = MEMORY_MAX_GAP_S.default,
        max_speed_mps: float = MEMORY_MAX_SPEED_MPS.default,
    ) -> None:
        MEMORY_INTERVAL_S.check("memory.interval_s", interval_s)
        MEMORY_MAX_GAP_S.check("memory.max_gap_s", max_gap_s)
        MEMORY_MAX_SPEED_MPS.check("memory.max_speed_mps", max_speed_mps)
        if slots_per_interval < 1:
            raise ConfigError(f"memory slots per interval is {slots_per_interval}, must be at least 1")
        if num_history and max_gap_s < interval_s:
            raise ConfigError(
                f"memory.max_gap_s is {max_gap_s:g}, shorter than memory.interval_s ({interval_s:g}): nothing would be "
                "remembered; raise it or lower the interval"
            )
        self.num_history = num_history
        self.interval_ns = round(interval_s * 1e9)
        self.spacing_ns = self.interval_ns / slots_per_interval
        self.horizon_ns = (num_history + 0.5) * self.interval_ns
        self.max_frames = (
            math.ceil(self.horizon_ns / (self.spacing_ns * (1 - STAMP_TOLERANCE))) + 1 if num_history else 0
        )
        self.max_gap_s = max_gap_s
        self.max_speed_mps = max_speed_mps
        self.events: Counter[str] = Counter(dict.fromkeys(EVENTS, 0))
        self._frames: deque[PastFrame] = deque()
        self._last: tuple[int, CameraRig, tuple[Any, ...], npt.NDArray[np.float64]] | None = None
        self._told: set[str] = set()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def stamps_ns(self) -> tuple[int, ...]:
        """Stamps of the remembered frames, oldest first."""
        return tuple(frame.stamp_ns for frame in self._frames)

    @property
    def nbytes(self) -> int:
        """Memory held by the remembered frames, in bytes."""
        return sum(frame.nbytes for frame in self._frames)

    def judge(
        self, stamp_ns: int, rig: CameraRig, image_sizes: tuple[Any, ...], key_pose: npt.NDArray[np.float64]
    ) -> Verdict | None:
        """Why a new key frame does not belong to the one before; None when it does. Changes nothing."""
        if self._last is None:
            return None
        last_stamp_ns, last_rig, last_sizes, last_pose = self._last
        step_s = (stamp_ns - last_stamp_ns) / 1e9
        moved_m = float(np.linalg.norm(key_pose[:3, 3] - last_pose[:3, 3]))
        if step_s < 0:
            return Verdict("backward", f"time jumped back by {-step_s:.3f} s")
        if step_s > self.max_gap_s:
            return Verdict("gap", f"{step_s:.3f} s without images, limit {self.max_gap_s} s")
        if not rig.same_as(last_rig) or image_sizes != last_sizes:
            return Verdict("calibration", "the calibration or the image size changed")
        if moved_m > farthest_m(step_s, self.max_speed_mps):
            limit = f"limit {self.max_speed_mps} m/s"
            return Verdict("pose_jump", f"the pose moved {moved_m:.1f} m in {step_s:.3f} s, {limit}")
        return None

    def accept(
        self,
        stamp_ns: int,
        rig: CameraRig,
        image_sizes: tuple[Any, ...],
        key_pose: npt.NDArray[np.float64],
        verdict: Verdict | None,
    ) -> None:
        """Take a key frame as the one that the next is compared with; forget everything if ``judge`` said so."""
        self._last = (stamp_ns, rig, image_sizes, key_pose)
        if verdict is not None:
            self._forget(verdict.reason, verdict.detail)

    def reset(self) -> None:
        """Forget everything on request."""
        self._last = None
        self._forget("reset", "asked to")

    def _forget(self, reason: str, detail: str) -> None:
        self._frames.clear()
        self.events[reason] += 1
        quiet = reason in self._told or reason == "reset" or not self.num_history  # a single frame has no past
        level = logging.DEBUG if quiet else logging.WARNING
        self._told.add(reason)
        logger.log(level, "temporal memory cleared (%s): %s; further ones are only counted", reason, detail)

    def select(self, stamp_ns: int) -> list[PastFrame | None]:
        """The past of a key frame: ``num_history`` entries, newest first, entry j about (j + 1) intervals old.

        Each is the frame nearest to that age among those older than the entry before, so that irregular or slow
        streams use consecutive frames. None where the memory does not reach back that far (within half an interval):
        the network then takes the key frame itself, as at the start of a recording.
        """
        chosen: list[PastFrame | None] = []
        candidates = [frame for frame in self._frames if frame.stamp_ns < stamp_ns]
        for step in range(1, self.num_history + 1):
            target_ns = step * self.interval_ns
            best = None
            for index, frame in enumerate(candidates):
                distance = abs(stamp_ns - frame.stamp_ns - target_ns)
                if best is None or distance <= best[0]:
                    best = (distance, index)
            if best is None or stamp_ns - candidates[best[1]].stamp_ns < target_ns - self.interval_ns / 2:
                chosen += [None] * (self.num_history - len(chosen))
                break
            chosen.append(candidates[best[1]])
            candidates = candidates[: best[1]]
        return chosen

    def wants(self, stamp_ns: int) -> bool:
        """True if a frame of this stamp is far enough from the newest remembered one to be worth keeping."""
        if self.num_history == 0:
            return False
        if not self._frames:
            return True
        return stamp_ns - self._frames[-1].stamp_ns >= self.spacing_ns * (1 - STAMP_TOLERANCE)

    def add(self, frame: PastFrame) -> None:
        """Remember a frame newer than all others; those too old to be chosen again go."""
        self._frames.append(frame)
        while len(self._frames) > max(1, self.num_history) and (
            len(self._frames) > self.max_frames or frame.stamp_ns - self._frames[0].stamp_ns > self.horizon_ns
        ):
            self._frames.popleft()
