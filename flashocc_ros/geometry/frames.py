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

"""Calibration and poses of all frames given to a network at once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.camera_model import PINHOLE, CameraModel
from flashocc_ros.errors import InputError

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where F frames of N cameras were taken; frame 0 is the key frame, then the previous ones, newest first.

    A frame, here and in every name of the package that ends so, is one time at which all cameras took a picture.
    Any array-like (numpy, torch on the CPU) is taken and kept as float64.

    Attributes:
        sensor2ego: (F, N, 4, 4) camera optical frame to the vehicle at that image's own time, metres.
        ego2global: (F, N, 4, 4) vehicle at that image's own time to a fixed frame, metres.
        intrinsics: (F, N, 3, 3) pixels of the source picture.
        post_rot: (F, N, 3, 3) source pixel (u, v, 1) to network pixel, linear part.
        post_tran: (F, N, 3) its translation in network pixels.
        bda: (3, 3) augmentation of the key ego frame, identity at inference.
        key2global: (4, 4) vehicle at the key stamp to the fixed frame: what is lifted is seen from there. None takes
            the vehicle of camera 0 in frame 0, as the reference does.
        models: N camera models, of all frames; none given means pinholes.

    Raises:
        InputError: shapes disagree or a number is not finite.
    """

    sensor2ego: Float64
    ego2global: Float64
    intrinsics: Float64
    post_rot: Float64
    post_tran: Float64
    bda: Float64
    key2global: Any = None
    models: tuple[CameraModel, ...] = ()

    def __post_init__(self) -> None:
        if self.key2global is None and np.ndim(self.ego2global) == 4:
            object.__setattr__(self, "key2global", np.asarray(self.ego2global)[0, 0])
        frames, cameras = np.shape(self.sensor2ego)[:2] if np.ndim(self.sensor2ego) == 4 else (0, 0)
        expected = {
            "sensor2ego": (frames, cameras, 4, 4),
            "ego2global": (frames, cameras, 4, 4),
            "intrinsics": (frames, cameras, 3, 3),
            "post_rot": (frames, cameras, 3, 3),
            "post_tran": (frames, cameras, 3),
            "bda": (3, 3),
            "key2global": (4, 4),
        }
        for name, shape in expected.items():
            value = _float64(getattr(self, name))
            if value.shape != shape or value.size == 0:
                raise InputError(f"geometry: {name} has shape {value.shape}, needs (F, N, ...) = {shape}")
            if not np.isfinite(value).all():
                raise InputError(f"geometry: {name} holds a value that is not finite")
            object.__setattr__(self, name, value)
        object.__setattr__(self, "models", tuple(self.models) or (PINHOLE,) * cameras)
        if len(self.models) != cameras:
            raise InputError(f"geometry: {len(self.models)} camera models for {cameras} cameras")

    @property
    def pinhole(self) -> bool:
        """Whether all cameras are."""
        return all(model == PINHOLE for model in self.models)

    @property
    def num_frames(self) -> int:
        return int(self.sensor2ego.shape[0])

    @property
    def num_cameras(self) -> int:
        return int(self.sensor2ego.shape[1])

    def camera_to_key(self, frame: int) -> Float64:
        """(N, 4, 4) float64: camera of ``frame`` to the key ego frame, the vehicle at the key stamp."""
        return np.linalg.inv(self.key2global) @ self.ego2global[frame] @ self.sensor2ego[frame]

    def previous_camera_from_camera(self, frame: int) -> Float64:
        """(N, 4, 4) float64: camera of ``frame`` to the same camera one frame earlier, for stereo matching."""
        older = frame + 1
        return np.linalg.inv(self.ego2global[older] @ self.sensor2ego[older]) @ (
            self.ego2global[frame] @ self.sensor2ego[frame]
        )

    def key_from_previous(self, frame: int) -> Float64:
        """(4, 4) float64: key ego frame from the ego frame of ``frame``, by camera 0 of both.

        Equals inv(ego pose key) @ ego pose previous as long as camera 0 did not move on the vehicle.
        """
        return self.camera_to_key(frame)[0] @ np.linalg.inv(self.camera_to_key(0)[0])

    def at_key_poses(self) -> Geometry:
        """The same pictures as if every frame had been taken where the key frame was: maps that are warped later."""
        shape = self.sensor2ego.shape
        return replace(
            self,
            sensor2ego=np.broadcast_to(self.sensor2ego[0], shape),
            ego2global=np.broadcast_to(self.ego2global[0], shape),
        )

    def with_past(self, older: Geometry) -> Geometry:
        """These frames, then those of ``older`` (the same N cameras); key frame and augmentation stay."""
        names = ("sensor2ego", "ego2global", "intrinsics", "post_rot", "post_tran")
        joined: dict[str, Any] = {n: np.concatenate([getattr(self, n), getattr(older, n)]) for n in names}
        return replace(self, **joined)

    def lifts_like(self, other: Geometry, tolerance: float) -> bool:
        """True when the key frames' points land in the same cells: numbers that differ by no more than ``tolerance``.

        Where the vehicle is does not matter, only how it moved from the key stamp to each camera's shutter.
        """
        return self.models == other.models and all(
            a.shape == b.shape and np.allclose(a, b, rtol=0, atol=tolerance)
            for a, b in zip(self._lift_inputs(), other._lift_inputs(), strict=True)
        )

    def lift_digest(self) -> str:
        """Hex digest of all that a lift table is made from: equal only for equal numbers."""
        return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in self._lift_inputs())).hexdigest()

    def _lift_inputs(self) -> tuple[Float64, ...]:
        return self.camera_to_key(0), self.intrinsics[0], self.post_rot[0], self.post_tran[0], self.bda


def _float64(value: Any) -> Float64:
    """Float64 copy of any array-like; torch tensors may require gradients nowhere here."""
    return np.array(value, np.float64, order="C")
