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

"""Rigid poses as plain floats: a translation and a unit quaternion (x, y, z, w).

Thirteen lookups per set of six images are done at camera rate; as Python floats one costs a few microseconds, with
``scipy.spatial.transform`` (which the tests compare with) hundreds, nearly all of it per-call overhead.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Pose = tuple[Vector, Quaternion]

IDENTITY: Pose = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def rotate(quaternion: Quaternion, vector: Vector) -> Vector:
    """``vector`` turned by ``quaternion``: v + 2 w (q x v) + 2 q x (q x v)."""
    x, y, z, w = quaternion
    a, b, c = vector
    u, v, t = 2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)
    return a + w * u + y * t - z * v, b + w * v + z * u - x * t, c + w * t + x * v - y * u


def compose(a_from_b: Pose, b_from_c: Pose) -> Pose:
    """``a_from_c``."""
    (ax, ay, az), (x1, y1, z1, w1) = a_from_b
    (x2, y2, z2, w2) = b_from_c[1]
    x, y, z = rotate(a_from_b[1], b_from_c[0])
    quaternion = (
        w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
        w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
        w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
    )
    return (x + ax, y + ay, z + az), quaternion


def inverse(a_from_b: Pose) -> Pose:
    """``b_from_a``."""
    translation, (x, y, z, w) = a_from_b
    back = (-x, -y, -z, w)
    a, b, c = rotate(back, translation)
    return (-a, -b, -c), back


def interpolate(start: Pose, end: Pose, ratio: float) -> Pose:
    """Pose between two: linear in the translation, slerp (Shoemake 1985) along the shorter arc in the rotation."""
    (a, b, c), p = start
    (d, e, f), q = end
    dot = sum(u * v for u, v in zip(p, q, strict=True))
    sign = -1.0 if dot < 0 else 1.0
    angle = math.acos(min(abs(dot), 1.0))
    if angle < 1e-6:
        first, second = 1 - ratio, ratio
    else:
        first, second = math.sin((1 - ratio) * angle) / math.sin(angle), math.sin(ratio * angle) / math.sin(angle)
    second *= sign
    x, y, z, w = (first * u + second * v for u, v in zip(p, q, strict=True))
    return (a + ratio * (d - a), b + ratio * (e - b), c + ratio * (f - c)), normalized((x, y, z, w))


def normalized(quaternion: Quaternion) -> Quaternion:
    """The quaternion at length one."""
    x, y, z, w = quaternion
    scale = 1 / math.sqrt(x * x + y * y + z * z + w * w)
    return x * scale, y * scale, z * scale, w * scale


def matrix(pose: Pose) -> npt.NDArray[np.float64]:
    """(4, 4) float64 of a pose."""
    (a, b, c), (x, y, z, w) = pose
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y), a],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x), b],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y), c],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )
