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

"""Rigid poses against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from flashocc_ros.geometry.rigid import IDENTITY, Pose, compose, interpolate, inverse
from flashocc_ros.geometry.rigid import matrix as matrix_of


def random_pose(rng: np.random.Generator) -> Pose:
    a, b, c = rng.normal(0, 10, 3).tolist()
    x, y, z, w = Rotation.random(rng=rng).as_quat().tolist()
    return (a, b, c), (x, y, z, w)


def matrix(pose: Pose) -> np.ndarray:
    out = np.eye(4)
    out[:3, :3] = Rotation.from_quat(pose[1]).as_matrix()
    out[:3, 3] = pose[0]
    return out


@pytest.mark.parametrize("seed", range(5))
def test_compose_and_inverse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = random_pose(rng), random_pose(rng)
    np.testing.assert_allclose(matrix(compose(first, second)), matrix(first) @ matrix(second), atol=1e-12)
    np.testing.assert_allclose(matrix(compose(first, inverse(first))), np.eye(4), atol=1e-12)
    np.testing.assert_array_equal(matrix(IDENTITY), np.eye(4))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
def test_interpolation_takes_the_shorter_arc(seed: int, ratio: float) -> None:
    rng = np.random.default_rng(seed)
    start, end = random_pose(rng), random_pose(rng)
    got = matrix(interpolate(start, end, ratio))
    expected = Slerp([0, 1], Rotation.from_quat([start[1], end[1]]))(ratio)
    np.testing.assert_allclose(got[:3, :3], expected.as_matrix(), atol=1e-9)
    np.testing.assert_allclose(got[:3, 3], (1 - ratio) * np.array(start[0]) + ratio * np.array(end[0]), atol=1e-12)


def test_interpolation_between_equal_rotations() -> None:
    pose = random_pose(np.random.default_rng(0))
    np.testing.assert_allclose(matrix(interpolate(pose, pose, 0.5)), matrix(pose), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_matrix_of_a_pose(seed: int) -> None:
    pose = random_pose(np.random.default_rng(seed))
    np.testing.assert_allclose(matrix_of(pose), matrix(pose), atol=1e-12)
