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

"""Where objects are and how sure that is: constant velocity in the ground plane (a Kalman filter, Kalman, 1960).

Cameras know direction well and distance poorly, so what is seen counts for much across the ray and little along it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

ALONG_M, ALONG_SHARE = 0.3, 0.08
"""Standard deviation of a seen position along its ray: metres, plus a share of the distance."""
ASIDE_M, ASIDE_SHARE = 0.25, 0.01
"""The same across the ray."""
SIZE_SHARE = 0.2
"""The centre of a long object is harder to tell: that share of its length is added (as variances are)."""
LEAST_DISTANCE_M = 1.0
"""Nearer than this the direction of a ray means nothing."""


@dataclass(frozen=True, eq=False)
class Motion:
    """T objects in the ground plane of the fixed frame.

    Attributes:
        mean: (T, 4) x, y in metres and their rates in metres per second.
        covariance: (T, 4, 4) of these.
    """

    mean: Float64
    covariance: Float64

    def __len__(self) -> int:
        return len(self.mean)

    @staticmethod
    def first_seen(position_m: Float64, noise_m2: Float64, speed_mps: Float64) -> Motion:
        """Objects seen for the first time at (T, 2), at rest as far as one knows; ``speed_mps`` (T,) says how far."""
        mean, covariance = np.zeros((len(position_m), 4)), np.zeros((len(position_m), 4, 4))
        mean[:, :2], covariance[:, :2, :2] = position_m, noise_m2
        covariance[:, 2, 2] = covariance[:, 3, 3] = speed_mps**2
        return Motion(mean, covariance)

    def after(self, step_s: Float64, acceleration_mps2: Float64) -> Motion:
        """The same ``step_s`` (T,) later; ``acceleration_mps2`` (T,) is the standard deviation of what drives them."""
        transition = np.tile(np.eye(4), (len(self), 1, 1))
        transition[:, 0, 2] = transition[:, 1, 3] = step_s
        push = np.zeros((len(self), 4, 2))
        push[:, 0, 0] = push[:, 1, 1] = acceleration_mps2 * step_s**2 / 2
        push[:, 2, 0] = push[:, 3, 1] = acceleration_mps2 * step_s
        covariance = transition @ self.covariance @ transition.swapaxes(1, 2) + push @ push.swapaxes(1, 2)
        return Motion(np.einsum("tij,tj->ti", transition, self.mean), covariance)

    def seen(self, position_m: Float64, noise_m2: Float64, most_mps: Float64) -> Motion:
        """The same with each object seen at (T, 2); none is faster than ``most_mps`` (T,)."""
        gain = self.covariance[:, :, :2] @ np.linalg.inv(self.covariance[:, :2, :2] + noise_m2)
        mean = self.mean + np.einsum("tij,tj->ti", gain, position_m - self.mean[:, :2])
        speed = np.linalg.norm(mean[:, 2:], axis=1)
        mean[:, 2:] *= np.minimum(1.0, most_mps / np.maximum(speed, 1e-9))[:, None]
        return Motion(mean, self.covariance - gain @ self.covariance[:, :2])

    def velocity(self) -> tuple[Float64, Float64]:
        """(T, 2) metres per second, and (T,) the standard deviation along each axis, both axes taken together."""
        return self.mean[:, 2:], np.sqrt((self.covariance[:, 2, 2] + self.covariance[:, 3, 3]) / 2)

    def chosen(self, rows: npt.NDArray[np.int64]) -> Motion:
        """Some of the objects, in that order."""
        return Motion(self.mean[rows], self.covariance[rows])

    def deviation(self, position_m: Float64, noise_m2: Float64) -> Float64:
        """How far seen positions (K, 2) lie from the objects, in standard deviations: (K, T), Mahalanobis distance."""
        off = position_m[:, None] - self.mean[None, :, :2]
        spread = noise_m2[:, None] + self.covariance[None, :, :2, :2]
        xx, xy, yy = spread[..., 0, 0], spread[..., 0, 1], spread[..., 1, 1]
        squared = yy * off[..., 0] ** 2 - 2 * xy * off[..., 0] * off[..., 1] + xx * off[..., 1] ** 2
        return np.asarray(np.sqrt(squared / (xx * yy - xy**2)))


def seen_noise(position_m: Float64, viewer_m: Float64, length_m: Float64) -> Float64:
    """Covariance (K, 2, 2) in square metres of positions (K, 2) seen from (2,), of objects of a length (K,)."""
    view = position_m - viewer_m
    distance_m = np.maximum(np.linalg.norm(view, axis=1), LEAST_DISTANCE_M)
    ray = view / distance_m[:, None]
    size = (SIZE_SHARE * length_m) ** 2
    along = (ALONG_M + ALONG_SHARE * distance_m) ** 2 + size
    aside = (ASIDE_M + ASIDE_SHARE * distance_m) ** 2 + size
    outer = ray[:, :, None] * ray[:, None]
    return np.asarray(aside[:, None, None] * np.eye(2) + (along - aside)[:, None, None] * outer)
