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

"""Ids follow objects from frame to frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import CLASS_NAMES
from flashocc_ros.pipeline.segments import Segments
from flashocc_ros.pipeline.tracking import MAX_ID, Tracker
from flashocc_ros.structures import OCC3D_GRID

CAR, BUS, TRUCK, PEDESTRIAN, CONE = (
    CLASS_NAMES.index(n) for n in ("car", "bus", "truck", "pedestrian", "traffic_cone")
)
STEP_NS = 100_000_000


def pose(x: float = 0.0, y: float = 0.0, yaw_deg: float = 0.0) -> npt.NDArray[np.float64]:
    result = np.eye(4)
    result[:3, :3] = Rotation.from_euler("z", yaw_deg, degrees=True).as_matrix()
    result[:2, 3] = x, y
    return result


def things(xyz_m: npt.ArrayLike, class_ids: npt.ArrayLike, half: int = 1) -> Segments:
    """Objects with centres (K, 3) in metres, base frame, and a square footprint of 2 x half + 1 columns around each."""
    center_m, class_id = np.asarray(xyz_m, np.float64).reshape(-1, 3), np.asarray(class_ids, np.int64)
    middle = np.floor((center_m - OCC3D_GRID.origin_m) / OCC3D_GRID.resolution_m).astype(np.int32)
    steps = np.stack(np.meshgrid(*[np.arange(-half, half + 1)] * 2, [0]), axis=-1).reshape(-1, 3)
    voxels = (middle[:, None] + steps).reshape(-1, 3).astype(np.int32)
    owner = np.repeat(np.arange(len(middle), dtype=np.int32), len(steps))
    reach = np.array([half, half, 0])
    box = np.stack([middle - reach, middle + reach], axis=1).astype(np.int64)
    count = np.full(len(middle), len(steps))
    score, strong = np.ones(len(middle), np.float32), np.ones(len(middle), bool)
    return Segments(voxels, owner, class_id, score, strong, center_m, count, box)


def in_base(xyz_m: npt.NDArray[np.float64], odom_from_base: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    base_from_odom = np.linalg.inv(odom_from_base)
    return xyz_m @ base_from_odom[:3, :3].T + base_from_odom[:3, 3]


def test_ids_survive_reordering_and_ego_motion() -> None:
    rng = np.random.default_rng(0)
    tracker = Tracker()
    objects = rng.uniform(-15, 15, (20, 3)) * (1, 1, 0.05)
    classes = rng.choice([CAR, PEDESTRIAN, CONE], 20)
    first: dict[int, int] = {}
    for frame in range(20):
        ego = pose(x=1.0 * frame, y=0.3 * frame, yaw_deg=5.0 * frame)
        order = rng.permutation(20)
        jitter = rng.normal(0, 0.05, (20, 3))
        ids = tracker.update(things(in_base(objects[order] + jitter, ego), classes[order]), ego, frame * STEP_NS)
        assert len(set(ids.tolist())) == 20
        for thing, track in zip(order.tolist(), ids.tolist(), strict=True):
            assert first.setdefault(thing, track) == track


def test_ids_follow_moving_objects_that_pass_each_other() -> None:
    tracker = Tracker()
    for frame in range(30):
        t = frame * 0.1
        cars = np.array([[-15 + 10 * t, 2.0, 0.5], [15 - 10 * t, -2.0, 0.5]])
        ids = tracker.update(things(cars, np.array([CAR, CAR])), np.eye(4), frame * STEP_NS)
        assert ids.tolist() == [18, 19]


def test_an_object_hidden_for_less_than_the_limit_keeps_its_id() -> None:
    tracker = Tracker(max_age_s=1.0)
    for frame in range(10):
        moving = np.array([[frame * 0.5, 0.0, 0.0]])
        first = tracker.update(things(moving, np.array([CAR])), np.eye(4), frame * STEP_NS)
    tracker.update(things(np.zeros((0, 3)), np.zeros(0, int)), np.eye(4), 12 * STEP_NS)
    again = tracker.update(things(np.array([[17 * 0.5, 0.0, 0.0]]), np.array([CAR])), np.eye(4), 17 * STEP_NS)
    assert again == first


def test_an_object_hidden_for_longer_gets_a_new_id() -> None:
    tracker = Tracker(max_age_s=1.0)
    there = np.array([[5.0, 0.0, 0.0]])
    first = tracker.update(things(there, np.array([CAR])), np.eye(4), 0)
    again = tracker.update(things(there, np.array([CAR])), np.eye(4), 11 * STEP_NS)
    assert again != first
    assert len(tracker) == 1


def test_classes_do_not_share_tracks() -> None:
    tracker = Tracker()
    there = np.array([[5.0, 0.0, 0.0]])
    first = tracker.update(things(there, np.array([CAR])), np.eye(4), 0)
    second = tracker.update(things(there, np.array([PEDESTRIAN])), np.eye(4), STEP_NS)
    assert first != second


def test_a_detection_beyond_the_gate_is_a_new_object() -> None:
    tracker = Tracker()
    first = tracker.update(things(np.array([[5.0, 0.0, 0.0]]), np.array([CONE])), np.eye(4), 0)
    second = tracker.update(things(np.array([[6.0, 0.0, 0.0]]), np.array([CONE])), np.eye(4), STEP_NS)
    assert first != second


def test_the_assignment_is_the_best_overall_not_the_first_come() -> None:
    tracker = Tracker()
    tracker.update(things(np.array([[0.0, 0, 0], [1.0, 0, 0]]), np.array([CAR, CAR])), np.eye(4), 0)
    # a greedy matcher gives 0.6 to the nearer track at 1.0 and leaves 2.4 with the far one
    ids = tracker.update(things(np.array([[0.6, 0, 0], [2.4, 0, 0]]), np.array([CAR, CAR])), np.eye(4), STEP_NS)
    assert ids.tolist() == [18, 19]


def test_ids_wrap_within_uint16_and_skip_those_in_use() -> None:
    tracker = Tracker(max_age_s=60.0)
    kept = tracker.update(things(np.array([[0.0, 0, 0]]), np.array([CONE])), np.eye(4), 0)
    assert kept.tolist() == [18]
    tracker._next_id = MAX_ID
    ids = tracker.update(
        things(np.array([[9.0, 0, 0], [18.0, 0, 0], [27.0, 0, 0]]), np.full(3, CONE)), np.eye(4), STEP_NS
    )
    assert ids.tolist() == [MAX_ID, 19, 20]


def test_reset_starts_over() -> None:
    tracker = Tracker()
    tracker.update(things(np.zeros((3, 3)) + np.arange(3)[:, None] * 9, np.full(3, CAR)), np.eye(4), 0)
    tracker.reset()
    assert len(tracker) == 0
    assert tracker.update(things(np.zeros((1, 3)), np.array([CAR])), np.eye(4), 0).tolist() == [18]


def test_a_negative_age_is_refused() -> None:
    with pytest.raises(ConfigError, match="track_max_age_s is -1"):
        Tracker(-1.0)


def test_objects_that_cross_keep_their_ids() -> None:
    tracker = Tracker()
    for frame in range(24):
        t = frame * 0.25
        ego = pose(x=1.0 * frame, yaw_deg=3.0 * frame)
        crossing = np.array([[-6 + 2.0 * t, -6 + 2.0 * t, 0.5], [-5.2 + 2.0 * t, 6 - 2.0 * t, 0.5]])
        ids = tracker.update(things(in_base(crossing, ego), [PEDESTRIAN, PEDESTRIAN]), ego, frame * 250_000_000)
        assert ids.tolist() == [18, 19]


def test_an_object_that_looks_like_another_class_of_its_group_keeps_its_id() -> None:
    tracker = Tracker()
    first = tracker.update(things([[8.0, 0, 0]], [CAR], 3), np.eye(4), 0)
    again = tracker.update(things([[8.5, 0, 0]], [TRUCK], 3), np.eye(4), STEP_NS)
    assert again.tolist() == first.tolist()


def test_a_centre_that_jumps_inside_its_footprint_is_the_same_object() -> None:
    tracker = Tracker()
    bus = things([[8.0, 0, 0]], [BUS], 12)
    first = tracker.update(bus, np.eye(4), 0)
    jumped = replace(bus, center_m=np.array([[14.0, 0, 0]]))
    assert tracker.update(jumped, np.eye(4), STEP_NS).tolist() == first.tolist()


def test_a_new_object_in_a_crowd_does_not_shift_the_ids_of_the_others() -> None:
    tracker = Tracker()
    crowd = np.stack([np.arange(6) * 1.4, np.zeros(6), np.zeros(6)], axis=1)
    before = tracker.update(things(crowd, [PEDESTRIAN] * 6), np.eye(4), 0)
    without_last = np.concatenate([[[-1.4, 0, 0]], crowd[:-1]])
    after = tracker.update(things(without_last, [PEDESTRIAN] * 6), np.eye(4), STEP_NS)
    assert after[1:].tolist() == before[:-1].tolist()


@pytest.mark.parametrize("yaw_deg", [0.0, 70.0])
def test_an_object_may_jump_along_its_ray_but_not_across_it(yaw_deg: float) -> None:
    ego = pose(x=4.0, y=-7.0, yaw_deg=yaw_deg)
    for jump, kept in (((3.0, 0.0), True), ((0.0, 3.0), False)):
        tracker = Tracker()
        first = tracker.update(things([[20.0, 0, 0]], [PEDESTRIAN]), ego, 0)
        again = tracker.update(things([[20.0 + jump[0], jump[1], 0]], [PEDESTRIAN]), ego, STEP_NS)
        assert (again.tolist() == first.tolist()) is kept


def test_expected_places_follow_ego_and_object_and_change_nothing() -> None:
    tracker = Tracker()
    for frame in range(20):
        tracker.update(things([[1.0 * frame, 2.0, 0.5]], [CAR]), np.eye(4), frame * STEP_NS)
    ego = pose(x=5.0, yaw_deg=90.0)
    for _ in range(2):
        expected = tracker.expected(ego, 22 * STEP_NS)
        there = in_base(np.array([[22.0, 2.0, 0.5]]), ego)
        np.testing.assert_allclose(expected.position_m, there, atol=0.8)  # velocity is still catching up
        assert expected.class_id.tolist() == [CAR]
    assert len(tracker) == 1


@pytest.mark.parametrize("yaw_deg", [0.0, 90.0])
def test_velocity_is_over_ground_along_the_axes_of_the_vehicle(yaw_deg: float) -> None:
    tracker = Tracker()
    for frame in range(20):
        ego = pose(x=0.8 * frame, yaw_deg=yaw_deg)  # as fast as the car in front, which seems to stand
        cars = np.array([[10.0 + 0.8 * frame, 2.0, 0.5], [10.0, -6.0, 0.5]])
        ids = tracker.update(things(in_base(cars, ego), [CAR, CAR]), ego, frame * STEP_NS)
    velocity = tracker.velocities(ids, ego)
    np.testing.assert_allclose(
        velocity[:, :3], in_base(np.array([[8.0, 0, 0], [0, 0, 0]]), pose(0, 0, yaw_deg)), atol=0.5
    )
    assert (velocity[:, 3] < 1.5).all()


def test_the_velocity_of_what_is_seen_for_the_first_time_is_not_known() -> None:
    tracker = Tracker()
    tracker.update(things([[5.0, 0, 0]], [CAR]), np.eye(4), 0)
    ids = tracker.update(things([[5.0, 0, 0], [5.0, 9, 0]], [CAR, CAR]), np.eye(4), STEP_NS)
    assert np.isfinite(tracker.velocities(ids, np.eye(4))).all(axis=1).tolist() == [True, False]
    assert tracker.velocities(ids[:0], np.eye(4)).shape == (0, 4)


def test_the_longer_an_object_is_seen_the_surer_is_its_velocity() -> None:
    tracker, deviations = Tracker(), []
    for frame in range(10):
        ids = tracker.update(things([[5.0 + 0.5 * frame, 0, 0]], [CAR]), np.eye(4), frame * STEP_NS)
        deviations.append(float(tracker.velocities(ids, np.eye(4))[0, 3]))
    assert deviations[1:] == sorted(deviations[1:], reverse=True)
