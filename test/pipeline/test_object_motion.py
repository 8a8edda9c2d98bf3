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

"""Positions count for much across the ray and little along it; what is not seen grows unsure."""

from __future__ import annotations

import numpy as np
import pytest

from flashocc_ros.pipeline.motion import Motion, seen_noise

VIEWER = np.array([3.0, -2.0])


def once_seen(place: np.ndarray, speed_mps: float = 1.0) -> Motion:
    return Motion.first_seen(place, seen_noise(place, VIEWER, np.full(len(place), 1.0)), np.full(len(place), speed_mps))


@pytest.mark.parametrize("bearing_deg", [0.0, 37.0, 180.0])
def test_an_error_along_the_ray_weighs_less_than_one_across_it(bearing_deg: float) -> None:
    angle = np.radians(bearing_deg)
    ray, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    place = (VIEWER + 20.0 * ray)[None]
    noise = seen_noise(place, VIEWER, np.ones(1))
    motion = once_seen(place)
    along, aside = (float(motion.deviation(place + 2.0 * way, noise)[0, 0]) for way in (ray, across))
    # two looks, each off by 0.3 m + 8 % along, 0.25 m + 1 % across, and a fifth of a metre for the size
    assert along == pytest.approx(2.0 / np.sqrt(2 * (1.9**2 + 0.2**2)))
    assert aside == pytest.approx(2.0 / np.sqrt(2 * (0.45**2 + 0.2**2)))


def test_noise_at_the_viewer_is_finite() -> None:
    noise = seen_noise(np.stack([VIEWER, VIEWER + 1e-9]), VIEWER, np.ones(2))
    assert (np.linalg.eigvalsh(noise) > 0).all()


def test_the_speed_of_what_moves_is_found() -> None:
    velocity = np.array([2.0, -1.0])
    place = np.array([[10.0, 5.0]])
    motion = once_seen(place)
    for step in range(1, 30):
        place = np.array([[10.0, 5.0]]) + 0.25 * step * velocity
        motion = motion.after(np.full(1, 0.25), np.ones(1))
        motion = motion.seen(place, seen_noise(place, VIEWER, np.ones(1)), np.full(1, 9.0))
    np.testing.assert_allclose(motion.mean[0], [*place[0], *velocity], atol=0.1)


def test_nothing_is_faster_than_its_class() -> None:
    motion = once_seen(np.array([[10.0, 5.0]]), 5.0).after(np.full(1, 0.1), np.ones(1))
    place = np.array([[14.0, 5.0]])
    seen = motion.seen(place, seen_noise(place, VIEWER, np.ones(1)), np.full(1, 0.5))
    assert np.linalg.norm(seen.mean[0, 2:]) == pytest.approx(0.5)


def test_what_is_not_seen_grows_unsure_and_what_is_seen_surer() -> None:
    place = np.array([[10.0, 5.0]])
    motion = once_seen(place)
    spread = [np.trace(m.covariance[0, :2, :2]) for m in (motion, motion.after(np.ones(1), np.ones(1)))]
    assert spread[1] > spread[0]
    again = motion.after(np.ones(1), np.ones(1)).seen(place, seen_noise(place, VIEWER, np.ones(1)), np.ones(1))
    assert np.trace(again.covariance[0, :2, :2]) < spread[0]
