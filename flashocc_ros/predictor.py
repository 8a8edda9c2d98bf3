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

"""The one object a Python user needs: pictures, calibration and poses in, occupancy out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flashocc_ros import weights
from flashocc_ros.cameras.camera_set import CameraSet, Picture
from flashocc_ros.cameras.rig_check import RigFinding
from flashocc_ros.engine.select import open_backend, trained_on
from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.pipeline.backend import Backend
from flashocc_ros.pipeline.observation import Observation
from flashocc_ros.pipeline.stream import Stream
from flashocc_ros.ranges import MEMORY_INTERVAL_S, MEMORY_MAX_GAP_S, MEMORY_MAX_SPEED_MPS, TRACK_MAX_AGE_S
from flashocc_ros.structures import CameraRig, Occupancy
from flashocc_ros.variants import Variant, get_variant

logger = logging.getLogger(__name__)

Float64 = npt.NDArray[np.float64]


class Predictor:
    """Dense occupancy from synchronised camera sets; keeps the temporal memory of the variants that have one.

    One call at a time: calls from several threads wait for each other, and only one stream of images belongs to a
    predictor.

    Args:
        variant: a name of ``flashocc_ros.model.VARIANTS``, the path of a variant file (.yaml), or a row.
        checkpoint: weights file (.pth or .safetensors), or the folder of an export. None takes the weights shipped for
            the synthetic variants; other variants then run with untrained weights and ``trained`` is False.
        engine: "auto", "tensorrt", "openvino", "onnxruntime" or "torch".
        precision: "auto" (that of an export, else fp32), "fp32", "fp16" or "int8".
        cache_dir: folder for built engines; None is the user's cache.
        memory_interval_s: spacing of the past frames a temporal variant is given.
        max_gap_s: a longer pause between two calls makes it forget the past.
        max_speed_mps: so does a pose that moves faster.
        panoptic_reference_mode: instances as the published code makes them, mistakes included, without tracking.
        panoptic_max_distance_m: distance limits per class name, replacing some of ``panoptic.max_distances``.
        track_max_age_s: an object not seen for longer gets a new id.
        backend: an opened engine, instead of ``checkpoint``, ``engine``, ``precision`` and ``cache_dir``.

    Attributes:
        variant: the network's row in the table.
        backend: the engine.
        trained: False when the weights are untrained.
        trained_on: "synthetic" for the shipped weights, which know no real pictures; None for untrained ones; else
            empty.
        description: one line for people.

    Raises:
        ConfigError: an argument is of another type or out of range.
        ConfigError, CheckpointError, EngineError: see ``engine.select.open_backend``.
    """

    def __init__(
        self,
        variant: str | Path | Variant,
        checkpoint: str | Path | None = None,
        engine: str = "auto",
        precision: str = "auto",
        *,
        cache_dir: str | Path | None = None,
        memory_interval_s: float = MEMORY_INTERVAL_S.default,
        max_gap_s: float = MEMORY_MAX_GAP_S.default,
        max_speed_mps: float = MEMORY_MAX_SPEED_MPS.default,
        panoptic_reference_mode: bool = False,
        panoptic_max_distance_m: Mapping[str, float] | None = None,
        track_max_age_s: float = TRACK_MAX_AGE_S.default,
        backend: Backend | None = None,
    ) -> None:
        self.variant = get_variant(variant)
        for name, path in (("checkpoint", checkpoint), ("cache_dir", cache_dir)):
            if path is not None and not isinstance(path, str | Path):
                raise ConfigError(f"{name} is {path!r}, needs a path or None")
        if backend is not None and not isinstance(backend, Backend):
            raise ConfigError(f"backend is {backend!r:.60}, needs an opened engine or None; name one with engine=")
        self.trained_on = "" if backend is not None else trained_on(self.variant, checkpoint)
        self.trained = self.trained_on is not None
        if backend is not None and backend.variant != self.variant:
            raise ConfigError(
                f"the backend runs {backend.variant.name}, not {self.variant.name}; open it for the latter"
            )
        self.backend = (
            backend if backend is not None else open_backend(self.variant, checkpoint, engine, precision, cache_dir)
        )
        untrained = "" if self.trained else ", UNTRAINED weights"
        self.description = f"{self.variant.name}, {self.backend.describe()}{untrained}"
        if not self.trained:
            logger.warning(
                "%s runs with untrained weights: give a checkpoint for a meaningful result", self.variant.name
            )
        elif note := weights.note(self.trained_on):
            logger.warning("%s: %s", self.variant.name, note)
        self._lock = threading.Lock()
        self._stream = Stream(
            self.backend,
            memory_interval_s=memory_interval_s,
            max_gap_s=max_gap_s,
            max_speed_mps=max_speed_mps,
            panoptic_reference_mode=panoptic_reference_mode,
            panoptic_max_distance_m=panoptic_max_distance_m,
            track_max_age_s=track_max_age_s,
        )

    @property
    def memory_events(self) -> dict[str, int]:
        """How often the past was forgotten: gap, backward, calibration, pose_jump, reset."""
        return dict(self._stream.memory.events)

    @property
    def rig_findings(self) -> tuple[RigFinding, ...]:
        """What is implausible about the rig and the poses of the last set; each is also logged once."""
        return self._stream.rig_findings

    @property
    def memory_nbytes(self) -> int:
        """Bytes the temporal memory holds now."""
        return self._stream.memory.nbytes

    def prepare(self, num_cameras: int) -> None:
        """Load and compile what sets of ``num_cameras`` pictures need, instead of when the first one comes.

        Raises:
            ConfigError: the number is none of at least 1.
            EngineError: the engine cannot be loaded or was never built.
        """
        if isinstance(num_cameras, bool) or not isinstance(num_cameras, Integral) or num_cameras < 1:
            raise ConfigError(f"num_cameras is {num_cameras!r:.60}, needs a whole number of at least 1")
        with self._lock:
            self._stream.prepare(num_cameras)

    def reset(self) -> None:
        """Forget the past: what follows is computed as by a new predictor."""
        with self._lock:
            self._stream.reset()

    def close(self) -> None:
        """Give back the engine's memory; the predictor cannot be used afterwards."""
        with self._lock:
            self._stream.reset()
            self.backend.close()

    def __call__(
        self,
        images: Sequence[Picture],
        rig: CameraRig,
        odom_from_base: Float64 | None,
        stamp_ns: int,
        *,
        key_pose: Float64 | None = None,
    ) -> Occupancy:
        """Predict one synchronised set.

        Args:
            images: N pictures (H, W, 3) uint8, RGB, as the models of ``rig`` take them (pinholes: rectified), in the
                order of ``rig.names``; sizes may differ. A JPEG file as bytes is decoded by the engine, on the GPU
                where it can.
            rig: calibration of the N cameras for pictures of these sizes.
            odom_from_base: (N, 4, 4) float64, vehicle pose in a fixed frame at each picture's own stamp. None is a
                vehicle that stands still, for networks without a past only.
            stamp_ns: key stamp of the set in nanoseconds.
            key_pose: (4, 4) float64, vehicle pose at the key stamp: the frame of the result. None takes camera 0's.

        Returns:
            The occupancy in the base frame at the key stamp.

        Raises:
            InputError: something in it cannot be processed; the memory is as before.
        """
        if odom_from_base is None and self.variant.temporal:
            raise InputError(
                f"odom_from_base is None, but {self.variant.name} looks back and needs the vehicle's motion; give "
                "(N, 4, 4) poses in a fixed frame, or take a network without a past (`flashocc variants`)"
            )
        if odom_from_base is None:
            odom_from_base = np.tile(np.eye(4), (len(images) if isinstance(images, Sequence) else 0, 1, 1))
        return self.predict(CameraSet(images, rig, odom_from_base, stamp_ns, key_pose=key_pose))

    def predict(self, camera_set: CameraSet) -> Occupancy:
        """As calling it, for a set as `read_sets` gives it.

        Raises:
            InputError: a picture cannot be decoded; the memory is as before.
        """
        with self._lock:
            return self._stream(camera_set)

    def observe(self, camera_set: CameraSet) -> Observation:
        """The network's part of `predict`; calls of it and of `track` make the same results, one after the other.

        Raises:
            InputError: a picture cannot be decoded; the memory is as before.
        """
        with self._lock:
            return self._stream.observe(camera_set)

    def track(self, observation: Observation) -> Occupancy:
        """The rest of `predict`: objects and their ids, which depend on all that was tracked before."""
        with self._lock:
            return self._stream.track(observation)
