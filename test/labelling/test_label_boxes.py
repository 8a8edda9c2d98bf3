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

"""Boxes over time and which points are theirs; rays of organised clouds that gave no return."""

from __future__ import annotations

import numpy as np
import pytest
from labelling.label_scene import T0_NS, box_frame, directions

from flashocc_ros.labelling.beams import complete_directions, free_lengths
from flashocc_ros.labelling.boxes import BoxHistory, assign
from flashocc_ros.labelling.clouds import Cloud
from flashocc_ros.labelling.sweeps import NOBODY, make_sweep

SIZE = np.array([4.0, 2.0, 1.5])


def history(places: dict[int, float]) -> BoxHistory:
    """A box along x by number of its sweep."""
    boxes = BoxHistory()
    for number, x in places.items():
        boxes.add(box_frame(number, np.array([x, 0.0, 1.0]), SIZE))
    return boxes


def test_between_detections_a_box_is_on_a_straight_line() -> None:
    placed = history({0: 0.0, 10: 5.0}).at(T0_NS + 150_000_000)
    np.testing.assert_allclose(placed.poses[0, :3, 3], (1.5, 0, 1), atol=1e-9)
    np.testing.assert_allclose(placed.sizes[0], SIZE)


def test_a_box_is_held_for_a_moment_only() -> None:
    boxes = history({0: 0.0, 1: 0.5, 2: 1.0})
    assert boxes.at(T0_NS + 200_000_000).count == 1
    assert boxes.at(T0_NS + 300_000_000).count == 0
    assert boxes.at(T0_NS - 200_000_000).count == 0


def test_noise_of_detections_is_smoothed() -> None:
    rng = np.random.default_rng(1)
    boxes = history({n: 0.5 * n + rng.normal(0, 0.1) for n in range(40)})
    errors = [boxes.at(T0_NS + n * 50_000_000).poses[0, 0, 3] - 0.5 * n for n in range(10, 30)]
    assert np.std(errors) < 0.05


def test_what_scatters_stands_and_what_drives_moves() -> None:
    rng = np.random.default_rng(2)
    boxes = BoxHistory()
    for number in range(60):
        boxes.add(box_frame(number, np.array([5.0, 0, 1]) + rng.normal(0, 0.1, 3), SIZE, identity=1))
        boxes.add(box_frame(number, np.array([0.1 * number, 4, 1]) + rng.normal(0, 0.1, 3), SIZE, identity=2))
    np.testing.assert_array_equal(boxes.moving(), [2])


def test_points_belong_to_the_box_at_their_own_time() -> None:
    """A box at 20 m/s moves 1 m in a sweep; a point on its back is on its back at the start and at the end."""
    boxes = history({n: float(n) for n in range(-12, 13)})
    points = np.array([(-1.95, 0, 1), (-0.95, 0, 1), (-1.95, 0, 1), (-1.95, 5, 1), (-2.2, 0, 1)], np.float32)
    times = np.array([0.0, 0.05, 0.05, 0.0, 0.0])
    cloud = Cloud(points, times, None, None)
    sweep, _ = make_sweep(cloud, T0_NS, lambda _: np.eye(4), np.eye(4), (-0.1,) * 3 + (0.1,) * 3, (0.1, 99.0))
    assign(sweep, boxes.at(sweep.start_ns), boxes.at(sweep.end_ns))
    np.testing.assert_array_equal(sweep.owner, [7, 7, NOBODY, NOBODY, 7])
    np.testing.assert_array_equal(sweep.inside, [True, True, False, False, False])
    np.testing.assert_allclose(sweep.local[:2], [(-1.95, 0, 0), (-1.95, 0, 0)], atol=1e-4)


def test_sweeps_are_de_skewed_by_the_time_of_each_point() -> None:
    """The lidar drives 10 m/s along x and turns; one place seen at the start and at the end is one place."""

    def pose(stamp_ns: int) -> np.ndarray:
        t = (stamp_ns - T0_NS) / 1e9
        turn, out = 0.3 * t, np.eye(4)
        out[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        out[:3, 3] = 1e6 + 10 * t, -2e6, 2.0
        return out

    place = np.array([1e6 + 12.0, -2e6 + 3.0, 1.0, 1.0])
    times = np.array([0.0, 0.02, 0.1])
    points = np.stack([(np.linalg.inv(pose(T0_NS + round(t * 1e9))) @ place)[:3] for t in times]).astype(np.float32)
    sweep, _ = make_sweep(
        Cloud(points, times, None, None), T0_NS, pose, np.eye(4), (0.0,) * 3 + (0.1,) * 3, (0.1, 99.0)
    )
    np.testing.assert_allclose(sweep.ends + sweep.anchor, np.tile(place[:3], (3, 1)), atol=0.01)
    assert sweep.knot.tolist() == [0, 2, 10]


@pytest.mark.parametrize("turned", [False, True])
def test_directions_of_lost_rays_follow_from_rows_and_columns(turned: bool) -> None:
    true = directions()
    rng = np.random.default_rng(3)
    points = (true * rng.uniform(3, 30, true.shape[:2])[..., None]).astype(np.float32)
    points[rng.random(true.shape[:2]) < 0.4] = np.nan
    points[:, 100:120] = np.nan  # a whole sector to the sky
    points[-3:] = np.nan
    if turned:
        points, true = np.ascontiguousarray(points.transpose(1, 0, 2)), true.transpose(1, 0, 2)
    found = complete_directions(points.reshape(-1, 3), points.shape[:2])
    assert found is not None
    assert np.degrees(np.abs(found.reshape(true.shape) - true).max()) < 0.01


def test_a_picture_of_depth_has_no_beams() -> None:
    points = np.random.default_rng(0).normal(size=(3200, 3)).astype(np.float32)
    assert complete_directions(points, (32, 100)) is None


def test_a_ray_lost_among_hits_is_free_no_further_than_they_are() -> None:
    points = np.full((5, 6, 3), np.nan, np.float32)
    points[:3] = (12.0, 0.0, 5.0)  # and the other rows look at the sky
    points[1, 2] = np.nan
    points[0, 2] = (3.0, 0.0, 4.0)
    lengths = free_lengths(points.reshape(-1, 3), 5, 6, 60.0).reshape(5, 6)
    assert lengths[1, 2] == pytest.approx(5.0)
    assert lengths[4, 2] == 60.0
