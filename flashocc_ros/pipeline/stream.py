"""The state of one stream of camera sets and the way of a set through the network.

Everything that outlives a call stands here: the past frames (`memory.py`), the tracks (`tracking.py`) and the lift
table of the last geometry. The first two change only after a set went all the way; a set that fails leaves them as they
were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.geometry import LiftTable, bev_warp_grid, camera_params, lift_table, stereo_grid
from flashocc_ros.labels import OCC_FROM_DETECTION
from flashocc_ros.pipeline import panoptic
from flashocc_ros.pipeline.backend import Backend, Encoded, HeadOutput
from flashocc_ros.pipeline.decode import decode_centers
from flashocc_ros.pipeline.memory import PastFrame, TemporalMemory, Verdict
from flashocc_ros.pipeline.preprocess import ImageTransform, image_transform
from flashocc_ros.pipeline.tracking import Tracker
from flashocc_ros.ranges import MEMORY_INTERVAL_S, MEMORY_MAX_GAP_S, MEMORY_MAX_SPEED_MPS, TRACK_MAX_AGE_S
from flashocc_ros.structures import Instance, Occupancy
from flashocc_ros.variants import Variant

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

NO_AUGMENTATION = np.eye(3)
TABLE_TOLERANCE = 1e-6
"""Metres (and unitless): camera poses closer than this to the last ones reuse the lift table."""

STEREO_SLOTS = 2
MAP_SLOTS = 5
"""Frames remembered per memory interval. Stereo features are several times larger than maps, hence fewer."""


class Stream:
    """One stream of images on an opened engine. One call at a time.

    Args:
        backend: the engine with its network.
        memory_interval_s, max_gap_s, max_speed_mps: see ``TemporalMemory``.
        panoptic_reference_mode: instances as the published code makes them, mistakes included, without tracking.
        panoptic_max_distance_m: distance limits per class name, replacing some of ``panoptic.MAX_DISTANCE_M``.
        track_max_age_s: an object not seen for longer gets a new id.
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
        self.memory = TemporalMemory(
            self.variant.num_history,
            memory_interval_s,
            slots_per_interval=STEREO_SLOTS if self.variant.stereo else MAP_SLOTS,
            max_gap_s=max_gap_s,
            max_speed_mps=max_speed_mps,
        )
        self._tracker = Tracker(track_max_age_s)
        self._reference_mode = panoptic_reference_mode
        self._limits_m = panoptic.max_distances(panoptic_max_distance_m)
        self._epoch = 0
        self._table: tuple[tuple[npt.NDArray[Any], ...], LiftTable] | None = None

    def reset(self) -> None:
        """Forget the past: temporal memory and tracks."""
        self.memory.reset()
        self._tracker.reset()

    def __call__(self, camera_set: CameraSet) -> Occupancy:
        """Predict one set.

        Returns:
            The occupancy in the base frame at the key stamp.

        Raises:
            InputError: a picture cannot be decoded; the memory is as before.
            EngineError: the engine failed; likewise.
        """
        begin = perf_counter()
        timings: dict[str, float] = {}
        frame = _frame(camera_set, self.variant)
        verdict = self.memory.judge(frame.stamp_ns, camera_set.rig, frame.image_sizes, frame.key_pose)
        if camera_set.epoch != self._epoch:
            verdict = Verdict("reset", "the set is of another epoch")
        head, remembered = self._run(camera_set, frame, verdict is not None, timings)
        with _timed(timings, "decode"):
            if verdict is not None:
                self._tracker.reset()
            instances, centers = self._instances(head, frame)
        self.memory.accept(frame.stamp_ns, camera_set.rig, frame.image_sizes, frame.key_pose, verdict)
        self._epoch = camera_set.epoch
        if remembered is not None:
            self.memory.add(remembered)
        timings["total"] = (perf_counter() - begin) * 1e3
        return Occupancy(head.labels, instances, centers, frame.stamp_ns, timings)

    def _run(
        self, camera_set: CameraSet, frame: _Frame, without_past: bool, timings: dict[str, float]
    ) -> tuple[HeadOutput, PastFrame | None]:
        """The network: preprocess, encode, pool, head; the frame to remember, if it is worth it."""
        backend, variant = self.backend, self.variant
        past: list[PastFrame | None] = [None] * variant.num_history
        if not without_past:
            past = self.memory.select(frame.stamp_ns)
        with _timed(timings, "preprocess"):
            pixels = backend.preprocess(camera_set.images, frame.transforms)
        with _timed(timings, "encoder"):
            params = self._camera_params(frame)
            if variant.stereo and past[0] is not None and past[0].pixels is not None:
                past = [self._matched_with(past[0], backend.stereo_feature(pixels), frame)]
            encoded = backend.encode(pixels, params, self._stereo(pixels, past, frame))
        with _timed(timings, "pooling"):
            bev = backend.pool(encoded, self._lift_table(frame))
        with _timed(timings, "head"):
            grids = None
            if past:
                grids = np.stack([_warp_grid(frame, old) for old in past])
            head = backend.head(bev, [None if old is None else old.bev for old in past], grids)
        if not variant.num_history or not (without_past or self.memory.wants(frame.stamp_ns)):
            return head, None
        unmatched = variant.stereo and past[0] is None
        return head, self._remembered(frame, head, encoded, pixels if unmatched else None)

    def _remembered(self, frame: _Frame, head: HeadOutput, encoded: Encoded, pixels: Any) -> PastFrame:
        held = [array for array in (head.bev_key, encoded.stereo_feature, pixels) if array is not None]
        return PastFrame(
            frame.stamp_ns,
            frame.key_pose,
            head.bev_key,
            sum(self.backend.nbytes(array) for array in held),
            frame.odom_from_camera,
            encoded.stereo_feature,
            pixels,
        )

    def _camera_params(self, frame: _Frame) -> Float32 | None:
        if not self.variant.depth_net:
            return None
        return camera_params(frame.camera_to_key, frame.intrinsics, frame.post_rot, frame.post_tran, NO_AUGMENTATION)

    def _stereo(self, pixels: Any, past: Sequence[PastFrame | None], frame: _Frame) -> tuple[Any, Float32] | None:
        """Feature and sampling grid to match the key frame with; with itself at the start of a stream."""
        if not self.variant.stereo:
            return None
        if past[0] is None:
            return self.backend.stereo_feature(pixels), self._stereo_grid(
                frame.odom_from_camera, frame.odom_from_camera, frame
            )
        feature = past[0].stereo_feature
        return feature, self._stereo_grid(frame.odom_from_camera, past[0].odom_from_camera, frame)

    def _stereo_grid(self, odom_from_camera: Float64, odom_from_previous: Float64, frame: _Frame) -> Float32:
        previous_from_camera = np.linalg.inv(odom_from_previous) @ odom_from_camera
        return stereo_grid(self.variant, previous_from_camera, frame.intrinsics, frame.post_rot, frame.post_tran)

    def _matched_with(self, first: PastFrame, key_feature: Any, frame: _Frame) -> PastFrame:
        """The stream's first frame again, now as the previous frame of a key frame.

        It has no past of its own. The reference then gives it the key frame to match with, so its depth is not the one
        it had when it was the key frame itself.
        """
        own = first.key_pose
        start = _Frame(
            first.stamp_ns,
            own,
            first.odom_from_camera,
            np.linalg.inv(own) @ first.odom_from_camera,
            frame.intrinsics,
            frame.transforms,
            frame.post_rot,
            frame.post_tran,
        )
        grid = self._stereo_grid(first.odom_from_camera, frame.odom_from_camera, frame)
        encoded = self.backend.encode(first.pixels, self._camera_params(start), (key_feature, grid))
        bev = self.backend.pool(encoded, self._lift_table(start))
        head = self.backend.head(bev, [None], _warp_grid(start, None)[None])
        return PastFrame(first.stamp_ns, own, head.bev_key, 0, first.odom_from_camera, first.stereo_feature)

    def _lift_table(self, frame: _Frame) -> LiftTable:
        """The table of this geometry; rebuilt only when something moved."""
        inputs = (frame.camera_to_key, frame.intrinsics, frame.post_rot, frame.post_tran)
        if self._table is not None and all(
            a.shape == b.shape and np.allclose(a, b, rtol=0, atol=TABLE_TOLERANCE)
            for a, b in zip(inputs, self._table[0], strict=True)
        ):
            return self._table[1]
        table = lift_table(self.variant, *inputs, NO_AUGMENTATION)
        self._table = (inputs, table)
        return table

    def _instances(self, head: HeadOutput, frame: _Frame) -> tuple[npt.NDArray[np.int32] | None, tuple[Instance, ...]]:
        if head.heatmap is None or head.reg is None or head.height is None:
            return None, ()
        centers = decode_centers(head.heatmap, head.reg, head.height, self.variant.score_threshold)
        if self._reference_mode:
            ids = panoptic.reference_ids(centers)
        else:
            classes = np.array(OCC_FROM_DETECTION)[centers.detection]
            ids = self._tracker.update(centers.xyz_m, classes, frame.key_pose, frame.stamp_ns)
        return panoptic.assign_instances(
            head.labels, centers, ids, limits_m=self._limits_m, reference_mode=self._reference_mode
        )


@dataclass(frozen=True, eq=False)
class _Frame:
    """Geometry of one set: float64 poses, one row per camera."""

    stamp_ns: int
    key_pose: Float64
    odom_from_camera: Float64
    camera_to_key: Float64
    intrinsics: Float64
    transforms: tuple[ImageTransform, ...]
    post_rot: Float64
    post_tran: Float64

    @property
    def image_sizes(self) -> tuple[tuple[int, int], ...]:
        return tuple(t.source_size for t in self.transforms)


def _frame(camera_set: CameraSet, variant: Variant) -> _Frame:
    transforms = tuple(image_transform(size, variant) for size in camera_set.image_sizes)
    odom_from_camera = camera_set.odom_from_base @ camera_set.rig.base_from_camera
    return _Frame(
        stamp_ns=camera_set.stamp_ns,
        key_pose=camera_set.key_pose,
        odom_from_camera=odom_from_camera,
        camera_to_key=np.linalg.inv(camera_set.key_pose) @ odom_from_camera,
        intrinsics=camera_set.rig.intrinsics,
        transforms=transforms,
        post_rot=np.stack([t.post_rot for t in transforms]),
        post_tran=np.stack([t.post_tran for t in transforms]),
    )


def _warp_grid(frame: _Frame, old: PastFrame | None) -> Float32:
    """Sampling grid (200, 200, 2) of a past map for this key frame; the identity where there is no past."""
    return bev_warp_grid(np.eye(4) if old is None else np.linalg.inv(frame.key_pose) @ old.key_pose)


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Wall milliseconds of a stage."""
    begin = perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + (perf_counter() - begin) * 1e3
