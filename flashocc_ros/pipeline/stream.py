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

"""The state of one stream of camera sets and the way of a set through the network.

Everything that outlives a call stands here: the past frames (`memory.py`), the tracks (`tracking.py`), the lift table
of the last geometry and what was said of the rig. The first two change only after a set went all the way; a set
that fails leaves them as they were.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import CameraSet, has_odometry
from flashocc_ros.cameras.rig_check import RigFinding, check_poses, check_rig
from flashocc_ros.errors import ConfigError, EngineError
from flashocc_ros.geometry import Geometry, camera_params
from flashocc_ros.labels import OCC3D
from flashocc_ros.pipeline import panoptic
from flashocc_ros.pipeline.backend import Backend, Encoded, HeadOutput
from flashocc_ros.pipeline.decode import decode_centers
from flashocc_ros.pipeline.memory import PastFrame, TemporalMemory, Verdict
from flashocc_ros.pipeline.observation import Observation
from flashocc_ros.pipeline.preprocess import image_transform
from flashocc_ros.pipeline.reference_instances import reference_instances
from flashocc_ros.pipeline.set_geometry import geometry_of
from flashocc_ros.pipeline.tracking import Tracker
from flashocc_ros.ranges import MEMORY_INTERVAL_S, MEMORY_MAX_GAP_S, MEMORY_MAX_SPEED_MPS, TRACK_MAX_AGE_S
from flashocc_ros.structures import CameraRig, Instance, Occupancy
from flashocc_ros.variants import Variant

logger = logging.getLogger(__name__)

Float32 = npt.NDArray[np.float32]

TABLE_TOLERANCE = 1e-6
"""Metres (and unitless): camera poses closer than this to the last ones reuse the lift table."""

STEREO_SLOTS = 2
MAP_SLOTS = 5
"""Frames remembered per memory interval. Stereo features are several times larger than maps, hence fewer."""


FINITE_EVERY = 50
"""Sets from one look for NaN inside the network to the next. Class logits are looked at in every set where the engine
sees them; the look at the rest takes milliseconds on a CPU."""


def memory_of(
    variant: Variant,
    interval_s: float = MEMORY_INTERVAL_S.default,
    max_gap_s: float = MEMORY_MAX_GAP_S.default,
    max_speed_mps: float = MEMORY_MAX_SPEED_MPS.default,
) -> TemporalMemory:
    """An empty memory for a network; see `TemporalMemory`."""
    slots = STEREO_SLOTS if variant.stereo else MAP_SLOTS
    return TemporalMemory(
        variant.num_history,
        interval_s,
        slots_per_interval=slots,
        max_gap_s=max_gap_s,
        max_speed_mps=max_speed_mps,
    )


@dataclass(frozen=True, eq=False)
class _Seen:
    """A set that went through the network, before anything of it is kept."""

    observation: Observation
    camera_set: CameraSet
    verdict: Verdict | None
    remembered: PastFrame | None


class Stream:
    """One stream of images on an opened engine. One call at a time.

    Args:
        backend: the engine with its network.
        memory_interval_s, max_gap_s, max_speed_mps: see ``TemporalMemory``.
        panoptic_reference_mode: instances as the published code makes them, mistakes included, without tracking.
        panoptic_max_distance_m: distance limits per class name, replacing some of ``panoptic.max_distances``.
        track_max_age_s: an object not seen for longer gets a new id.

    Attributes:
        rig_findings: what is implausible about the rig and the poses of the last set; said once when it shows up.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        memory_interval_s: float = MEMORY_INTERVAL_S.default,
        max_gap_s: float = MEMORY_MAX_GAP_S.default,
        max_speed_mps: float = MEMORY_MAX_SPEED_MPS.default,
        panoptic_reference_mode: bool = False,
        panoptic_max_distance_m: Mapping[str, float] | None = None,
        track_max_age_s: float = TRACK_MAX_AGE_S.default,
    ) -> None:
        self.backend, self.variant = backend, backend.variant
        self.memory = memory_of(self.variant, memory_interval_s, max_gap_s, max_speed_mps)
        self._grid, self._classes = self.variant.grid, self.variant.classes
        self._tracker = Tracker(track_max_age_s, self._grid, self._classes)
        if not isinstance(panoptic_reference_mode, bool):
            raise ConfigError(f"panoptic_reference_mode is {panoptic_reference_mode!r:.60}, needs True or False")
        if panoptic_reference_mode and not self.variant.classes.same_ids(OCC3D):
            raise ConfigError(
                f"panoptic_reference_mode knows the class table of nuScenes only, {self.variant.name} has its own; "
                "leave it off"
            )
        self._reference_mode = panoptic_reference_mode
        self._limits_m = panoptic.max_distances(panoptic_max_distance_m, self._classes)
        self._epoch = 0
        self._pose_epoch: int | None = None
        self.rig_findings: tuple[RigFinding, ...] = ()
        self._checked: tuple[CameraRig, tuple[Any, ...], tuple[RigFinding, ...]] | None = None
        self._table: tuple[Geometry, Any] | None = None
        self._table_name = ""
        self._unlooked = 0

    def prepare(self, num_cameras: int) -> None:
        """Load and compile what sets of ``num_cameras`` pictures need, instead of when the first one comes."""
        self.backend.prepare(num_cameras)
        if self.variant.panoptic and not self._reference_mode:
            panoptic.warm_up()

    def reset(self) -> None:
        """Forget the past: temporal memory, tracks, and the lift table, which stands for poses within a tolerance."""
        self.memory.reset()
        self._tracker.reset()
        self._table, self._table_name = None, ""

    def __call__(self, camera_set: CameraSet) -> Occupancy:
        """Predict one set.

        Returns:
            The occupancy in the base frame at the key stamp.

        Raises:
            InputError: a picture cannot be decoded.
            EngineError: the engine failed, or gave NaN or infinity.
            After these and any other error memory and tracks are as before.
        """
        seen = self._see(camera_set)
        tracker, result = self._tracked(seen.observation)
        self._accept(seen)
        self._tracker = tracker
        return result

    def observe(self, camera_set: CameraSet) -> Observation:
        """The network's part of a prediction, which needs a few frames of the past; `track` does the rest.

        Raises:
            InputError, EngineError: as for a prediction; the memory is as before.
        """
        seen = self._see(camera_set)
        self._accept(seen)
        return seen.observation

    def track(self, observation: Observation) -> Occupancy:
        """The rest: instances with their ids, which depend on all observations before. Gives what a call would."""
        self._tracker, result = self._tracked(observation)
        return result

    def _see(self, camera_set: CameraSet) -> _Seen:
        """A set through the network; changes nothing that the next set sees."""
        begin = perf_counter()
        timings: dict[str, float] = {}
        self._check_rig(camera_set)
        seen = (camera_set.stamp_ns, camera_set.rig, camera_set.image_sizes, camera_set.key_pose)
        verdict = self.memory.judge(*seen)
        if verdict is None and self._pose_epoch not in (None, camera_set.pose_epoch):
            verdict = Verdict("pose_jump", "the pose jumped between two samples of odometry")
        if camera_set.epoch != self._epoch:
            verdict = Verdict("reset", "the set is of another epoch")
        head, remembered = self._run(camera_set, verdict is not None, timings)
        with _timed(timings, "decode"):
            centers = None
            if head.heatmap is not None and head.reg is not None and head.height is not None:
                share = 1.0 if self._reference_mode else panoptic.WEAK_SHARE
                threshold = self.variant.score_threshold * share
                centers = decode_centers(head.heatmap, head.reg, head.height, threshold, self._grid)
        timings["total"] = (perf_counter() - begin) * 1e3
        observation = Observation(
            head.labels,
            centers,
            camera_set.key_pose,
            camera_set.stamp_ns,
            forgotten=verdict is not None,
            remembered=remembered is not None,
            table=self._table_name,
            timings=timings,
        )
        return _Seen(observation, camera_set, verdict, remembered)

    def _accept(self, seen: _Seen) -> None:
        """Let the next set see this one."""
        of = seen.camera_set
        self.memory.accept(of.stamp_ns, of.rig, of.image_sizes, of.key_pose, seen.verdict)
        self._epoch, self._pose_epoch = of.epoch, of.pose_epoch
        if seen.remembered is not None:
            self.memory.add(seen.remembered)

    def _tracked(self, observation: Observation) -> tuple[Tracker, Occupancy]:
        timings = dict(observation.timings)
        spent_ms = timings.get("decode", 0.0)
        with _timed(timings, "decode"):
            tracker = copy(self._tracker)
            if observation.forgotten:
                tracker.reset()
            instances, centers = self._instances(observation, tracker)
        timings["total"] = timings.pop("total", 0.0) + timings["decode"] - spent_ms
        found = observation.labels, instances, centers, observation.stamp_ns, timings
        return tracker, Occupancy(*found, grid=self._grid, classes=self._classes)

    def _check_rig(self, camera_set: CameraSet) -> None:
        """Look at a rig when it changes and at poses always; warn of what did not hold for the set before."""
        rig, image_sizes = camera_set.rig, camera_set.image_sizes
        if self._checked is None or self._checked[1] != image_sizes or not rig.same_as(self._checked[0]):
            self._checked = rig, image_sizes, check_rig(rig, image_sizes)
        told = {(finding.cause, finding.cameras) for finding in self.rig_findings}
        self.rig_findings = (*self._checked[2], *check_poses(rig.names, camera_set.odom_from_base))
        for finding in self.rig_findings:
            if (finding.cause, finding.cameras) not in told:
                logger.warning("implausible rig: %s", finding.text)

    def _run(
        self, camera_set: CameraSet, without_past: bool, timings: dict[str, float]
    ) -> tuple[HeadOutput, PastFrame | None]:
        """The network: preprocess, encode, pool, head; the frame to remember, if it is worth it."""
        backend, variant, stamp_ns = self.backend, self.variant, camera_set.stamp_ns
        geometry = geometry_of(camera_set, variant)
        past: list[PastFrame | None] = [None] * variant.num_history
        if not without_past:
            past = self.memory.select(stamp_ns)
        with _timed(timings, "preprocess"):
            transforms = [image_transform(size, variant) for size in camera_set.image_sizes]
            pixels = backend.preprocess(camera_set.images, transforms)
        with _timed(timings, "encoder"):
            if variant.stereo and past[0] is not None and past[0].pixels is not None:
                past = [self._matched_with(past[0], backend.stereo_feature(pixels), geometry)]
            encoded = backend.encode(pixels, self._camera_params(geometry), self._stereo(pixels, past, geometry))
        with _timed(timings, "pooling"):
            bev = backend.pool(encoded, self._lift_table(geometry))
        with _timed(timings, "head"):
            grids = None
            if past:
                grids = backend.warp_grids([_key_from(geometry, old) for old in past])
            head = backend.head(bev, [None if old is None else old.bev for old in past], grids)
        self._check_finite(encoded, bev, head)
        if not variant.num_history or not (without_past or self.memory.wants(stamp_ns)):
            return head, None
        kept = pixels if variant.stereo and past[0] is None else None
        held = [array for array in (head.bev_key, encoded.stereo_feature, kept) if array is not None]
        nbytes = sum(backend.nbytes(array) for array in held)
        return head, PastFrame(stamp_ns, geometry, head.bev_key, nbytes, encoded.stereo_feature, kept)

    def _check_finite(self, encoded: Encoded, bev: Any, head: HeadOutput) -> None:
        """Refuse a set in which NaN or infinity came up, naming where first.

        Raises:
            EngineError: it did.
        """
        if head.finite and self._unlooked:
            self._unlooked -= 1
            return
        self._unlooked = 0
        stages = {
            "depth distribution": encoded.depth,
            "image features": encoded.context,
            "stereo feature": encoded.stereo_feature,
            "bird's eye view": bev,
            "map to remember": head.bev_key,
            "object heat map": head.heatmap,
            "object offsets": head.reg,
            "object heights": head.height,
        }
        backend = self.backend
        broken = [name for name, array in stages.items() if array is not None and not backend.finite(array)]
        if not broken and head.finite:
            self._unlooked = FINITE_EVERY - 1
            return
        remedy = "the weights are damaged: use another checkpoint"
        if backend.precision != "fp32":
            remedy = f"{backend.precision} is too narrow for these weights: use precision fp32 or other weights"
        where = broken[0] if broken else "class logits"
        raise EngineError(
            f"engine {backend.name} gave NaN or infinity in the {where} of {self.variant.name}, so its labels mean "
            f"nothing; {remedy}"
        )

    def _camera_params(self, geometry: Geometry) -> Float32 | None:
        return camera_params(geometry) if self.variant.depth_net else None

    def _stereo(self, pixels: Any, past: Sequence[PastFrame | None], geometry: Geometry) -> tuple[Any, Any] | None:
        """Feature and sampling grid to match the key frame with; with itself at the start of a stream."""
        if not self.variant.stereo:
            return None
        if past[0] is None:
            return self.backend.stereo_feature(pixels), self.backend.stereo_grid(geometry.with_past(geometry))
        return past[0].stereo_feature, self.backend.stereo_grid(geometry.with_past(past[0].geometry))

    def _matched_with(self, first: PastFrame, key_feature: Any, geometry: Geometry) -> PastFrame:
        """The stream's first frame again, now as the previous frame of a key frame.

        It has no past of its own. The reference then gives it the key frame to match with, so its depth is not the one
        it had when it was the key frame itself.
        """
        grid = self.backend.stereo_grid(first.geometry.with_past(geometry))
        encoded = self.backend.encode(first.pixels, self._camera_params(first.geometry), (key_feature, grid))
        bev = self.backend.pool(encoded, self._lift_table(first.geometry))
        head = self.backend.head(bev, [None], self.backend.warp_grids([_key_from(first.geometry, None)]))
        return replace(first, bev=head.bev_key, nbytes=0, pixels=None)

    def _lift_table(self, geometry: Geometry) -> Any:
        """The table of this geometry; rebuilt only when something moved."""
        if self._table is None or not geometry.lifts_like(self._table[0], TABLE_TOLERANCE):
            self._table = geometry, self.backend.lift_table(geometry)
            self._table_name = geometry.lift_digest()
        return self._table[1]

    def _instances(
        self, seen: Observation, tracker: Tracker
    ) -> tuple[npt.NDArray[np.int32] | None, tuple[Instance, ...]]:
        if seen.centers is None:
            return None, ()
        if self._reference_mode:
            return reference_instances(seen.labels, seen.centers, self._grid)
        expected = tracker.expected(seen.key_pose, seen.stamp_ns)
        objects = panoptic.find_objects(
            seen.labels,
            seen.centers,
            self.variant.score_threshold,
            expected,
            limits_m=self._limits_m,
            grid=self._grid,
            classes=self._classes,
        )
        ids = tracker.update(objects, seen.key_pose, seen.stamp_ns)
        velocities = tracker.velocities(ids, seen.key_pose)
        if not has_odometry(seen.key_pose):  # what stands would seem to move, and the other way round
            velocities[:] = np.nan
        return panoptic.paint(seen.labels, objects, ids, velocities, self._grid)


def _key_from(geometry: Geometry, old: PastFrame | None) -> npt.NDArray[np.float64]:
    """(4, 4) this key frame from the past one; the identity where there is none."""
    return np.eye(4) if old is None else np.linalg.inv(geometry.key2global) @ old.geometry.key2global


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Wall milliseconds of a stage."""
    begin = perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + (perf_counter() - begin) * 1e3
