"""The one object a Python user needs: pictures, calibration and poses in, occupancy out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros import panoptic
from flashocc_ros.cameras.jpeg import jpeg_size
from flashocc_ros.decode import decode_centers
from flashocc_ros.engine.backend import Backend, HeadOutput, Picture
from flashocc_ros.engine.select import has_weights, open_backend
from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.geometry import LiftTable, bev_warp_grid, camera_params, lift_table, stereo_grid
from flashocc_ros.labels import OCC_FROM_DETECTION
from flashocc_ros.memory import PastFrame, TemporalMemory
from flashocc_ros.preprocess import ImageTransform, image_transform
from flashocc_ros.structures import CameraRig, Instance, Occupancy
from flashocc_ros.tracking import Tracker
from flashocc_ros.variants import Variant, get_variant

logger = logging.getLogger(__name__)

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

NO_AUGMENTATION = np.eye(3)
TABLE_TOLERANCE = 1e-6
"""Metres (and unitless): camera poses closer than this to the last ones reuse the lift table."""

STEREO_SLOTS = 2
MAP_SLOTS = 5
"""Frames remembered per memory interval. Stereo features are several times larger than maps, hence fewer."""


class Predictor:
    """Dense occupancy from synchronised camera sets; keeps the temporal memory of the variants that have one.

    One call at a time: calls from several threads wait for each other, and only one stream of images belongs to a
    predictor.

    Args:
        variant: a name of ``flashocc_ros.model.VARIANTS`` (or a row of it).
        checkpoint: weights file (.pth or .safetensors), or the folder of an export. None takes the weights shipped for
            the synthetic variants; other variants then run with untrained weights and ``trained`` is False.
        engine: "auto", "tensorrt", "openvino", "onnxruntime" or "torch".
        precision: "fp32", "fp16" or "int8".
        cache_dir: folder for built engines; None is the user's cache.
        memory_interval_s: spacing of the past frames a temporal variant is given.
        max_gap_s: a longer pause between two calls makes it forget the past.
        max_speed_mps: so does a pose that moves faster.
        panoptic_reference_mode: instances as the published code makes them, mistakes included, without tracking.
        panoptic_max_distance_m: distance limits per class name, replacing some of ``panoptic.MAX_DISTANCE_M``.
        track_max_age_s: an object not seen for longer gets a new id.
        backend: an opened engine, instead of ``checkpoint``, ``engine``, ``precision`` and ``cache_dir``.

    Attributes:
        variant: the network's row in the table.
        backend: the engine.
        trained: False when the weights are untrained.
        description: one line for people.

    Raises:
        ConfigError, CheckpointError, EngineError: see ``engine.select.open_backend``.
    """

    def __init__(
        self,
        variant: str | Variant,
        checkpoint: str | Path | None = None,
        engine: str = "auto",
        precision: str = "fp32",
        *,
        cache_dir: str | Path | None = None,
        memory_interval_s: float = 0.5,
        max_gap_s: float = 2.0,
        max_speed_mps: float = 70.0,
        panoptic_reference_mode: bool = False,
        panoptic_max_distance_m: Mapping[str, float] | None = None,
        track_max_age_s: float = 1.5,
        backend: Backend | None = None,
    ) -> None:
        self.variant = get_variant(variant)
        self._memory = TemporalMemory(
            self.variant.num_history,
            memory_interval_s,
            slots_per_interval=STEREO_SLOTS if self.variant.stereo else MAP_SLOTS,
            max_gap_s=max_gap_s,
            max_speed_mps=max_speed_mps,
        )
        self._tracker = Tracker(track_max_age_s)
        self._reference_mode = panoptic_reference_mode
        self._limits_m = panoptic.max_distances(panoptic_max_distance_m)
        self.trained = backend is not None or has_weights(self.variant, checkpoint)
        if backend is not None and backend.variant != self.variant:
            raise ConfigError(
                f"the backend runs {backend.variant.name}, not {self.variant.name}; open it for the latter"
            )
        self.backend = backend or open_backend(self.variant, checkpoint, engine, precision, cache_dir)
        weights = "" if self.trained else ", UNTRAINED weights"
        self.description = f"{self.variant.name}, {self.backend.describe()}{weights}"
        if not self.trained:
            logger.warning(
                "%s runs with untrained weights: give a checkpoint for a meaningful result", self.variant.name
            )
        self._lock = threading.Lock()
        self._table: tuple[tuple[npt.NDArray[Any], ...], LiftTable] | None = None

    @property
    def memory_events(self) -> dict[str, int]:
        """How often the past was forgotten: gap, backward, calibration, pose_jump, reset."""
        return dict(self._memory.events)

    @property
    def memory_nbytes(self) -> int:
        """Bytes the temporal memory holds now."""
        return self._memory.nbytes

    def prepare(self, num_cameras: int) -> None:
        """Load what sets of ``num_cameras`` pictures need, instead of when the first one comes.

        Raises:
            EngineError: the engine cannot be loaded or was never built.
        """
        with self._lock:
            self.backend.prepare(num_cameras)

    def reset(self) -> None:
        """Forget the past: temporal memory and tracks."""
        with self._lock:
            self._memory.reset()
            self._tracker.reset()

    def close(self) -> None:
        """Give back the engine's memory; the predictor cannot be used afterwards."""
        with self._lock:
            self._memory.reset()
            self.backend.close()

    def __call__(
        self,
        images: Sequence[Picture],
        rig: CameraRig,
        odom_from_base: Float64,
        stamp_ns: int,
        *,
        key_pose: Float64 | None = None,
    ) -> Occupancy:
        """Predict one synchronised set.

        Args:
            images: N pictures (H, W, 3) uint8, RGB, rectified, in the order of ``rig.names``; sizes may differ. A JPEG
                file as bytes is decoded by the engine, on the GPU where it can.
            rig: calibration of the N cameras for pictures of these sizes.
            odom_from_base: (N, 4, 4) float64, vehicle pose in a fixed frame at each picture's own stamp.
            stamp_ns: key stamp of the set in nanoseconds.
            key_pose: (4, 4) float64, vehicle pose at the key stamp: the frame of the result. None takes camera 0's.

        Returns:
            The occupancy in the base frame at the key stamp.

        Raises:
            InputError: something in it cannot be processed; the memory is as before.
        """
        begin = perf_counter()
        with self._lock:
            frame = self._check(images, rig, odom_from_base, stamp_ns, key_pose)
            timings: dict[str, float] = {}
            reason = self._memory.watch(frame.stamp_ns, rig, frame.image_sizes, frame.key_pose)
            if reason is not None:
                self._tracker.reset()
            head = self._run(images, frame, timings)
            with _timed(timings, "decode"):
                instances, centers = self._instances(head, frame)
            timings["total"] = (perf_counter() - begin) * 1e3
            return Occupancy(head.labels, instances, centers, frame.stamp_ns, timings)

    def _check(self, images: Any, rig: Any, odom_from_base: Any, stamp_ns: Any, key_pose: Any) -> _Frame:
        """Everything the stages need, or one sentence on what is wrong."""
        if not isinstance(rig, CameraRig):
            raise InputError(f"rig is {type(rig).__name__}, needs a CameraRig")
        if not isinstance(images, Sequence | np.ndarray):
            raise InputError(f"images are {type(images).__name__}, needs a list of one picture per camera")
        if len(images) != rig.num_cameras:
            raise InputError(f"got {len(images)} images for {rig.num_cameras} cameras {list(rig.names)}")
        for name, image in zip(rig.names, images, strict=True):
            if isinstance(image, bytes):
                continue
            if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
                raise InputError(f"camera {name}: the image is {got}, needs uint8 (H, W, 3) RGB")
        poses = _pose_array(odom_from_base, (rig.num_cameras, 4, 4), "odom_from_base")
        key = poses[0] if key_pose is None else _pose_array(key_pose, (4, 4), "key_pose")
        if isinstance(stamp_ns, bool) or not isinstance(stamp_ns, int | np.integer) or stamp_ns < 0:
            raise InputError(f"stamp_ns is {stamp_ns!r}, needs a non-negative integer of nanoseconds")
        sizes = [jpeg_size(image) if isinstance(image, bytes) else image.shape[:2] for image in images]
        transforms = tuple(image_transform(size, self.variant) for size in sizes)
        odom_from_camera = poses @ rig.base_from_camera
        return _Frame(
            stamp_ns=int(stamp_ns),
            key_pose=key,
            odom_from_camera=odom_from_camera,
            camera_to_key=np.linalg.inv(key) @ odom_from_camera,
            intrinsics=rig.intrinsics,
            transforms=transforms,
            post_rot=np.stack([t.post_rot for t in transforms]),
            post_tran=np.stack([t.post_tran for t in transforms]),
        )

    def _run(self, images: Sequence[Picture], frame: _Frame, timings: dict[str, float]) -> HeadOutput:
        """The network: preprocess, encode, pool, head; remembers the frame."""
        backend, variant = self.backend, self.variant
        past = self._memory.select(frame.stamp_ns)
        with _timed(timings, "preprocess"):
            pixels = backend.preprocess(images, frame.transforms)
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
        if self._memory.wants(frame.stamp_ns):
            unmatched = variant.stereo and past[0] is None
            held = [head.bev_key, encoded.stereo_feature, pixels if unmatched else None]
            self._memory.add(
                PastFrame(
                    frame.stamp_ns,
                    frame.key_pose,
                    head.bev_key,
                    sum(backend.nbytes(array) for array in held if array is not None),
                    frame.odom_from_camera,
                    encoded.stereo_feature,
                    held[2],
                )
            )
        return head

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


def _warp_grid(frame: _Frame, old: PastFrame | None) -> Float32:
    """Sampling grid (200, 200, 2) of a past map for this key frame; the identity where there is no past."""
    return bev_warp_grid(np.eye(4) if old is None else np.linalg.inv(frame.key_pose) @ old.key_pose)


def _pose_array(value: Any, shape: tuple[int, ...], name: str) -> Float64:
    try:
        poses = np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is no array of numbers: {error}") from error
    if poses.shape != shape:
        raise InputError(f"{name} has shape {poses.shape}, needs {shape}: one 4x4 pose per image stamp")
    rotation = poses[..., :3, :3]
    if not np.isfinite(poses).all():
        raise InputError(f"{name} holds a value that is not finite; check the odometry")
    if not np.allclose(rotation @ np.swapaxes(rotation, -1, -2), np.eye(3), atol=1e-3):
        raise InputError(f"{name} is not a rigid transform: a rotation part is not orthonormal within 1e-3")
    return poses


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Wall milliseconds of a stage."""
    begin = perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + (perf_counter() - begin) * 1e3
