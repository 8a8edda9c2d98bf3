"""Ids follow objects from frame to frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import CLASS_NAMES
from flashocc_ros.pipeline.tracking import MAX_ID, Tracker

CAR, PEDESTRIAN, CONE = (CLASS_NAMES.index(n) for n in ("car", "pedestrian", "traffic_cone"))
STEP_NS = 100_000_000


def pose(x: float = 0.0, y: float = 0.0, yaw_deg: float = 0.0) -> npt.NDArray[np.float64]:
    result = np.eye(4)
    result[:3, :3] = Rotation.from_euler("z", yaw_deg, degrees=True).as_matrix()
    result[:2, 3] = x, y
    return result


def in_base(xyz_m: npt.NDArray[np.float64], odom_from_base: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    base_from_odom = np.linalg.inv(odom_from_base)
    return xyz_m @ base_from_odom[:3, :3].T + base_from_odom[:3, 3]


def test_ids_survive_reordering_and_ego_motion() -> None:
    rng = np.random.default_rng(0)
    tracker = Tracker()
    objects = rng.uniform(-30, 30, (20, 3)) * (1, 1, 0.05)
    classes = rng.choice([CAR, PEDESTRIAN, CONE], 20)
    first: dict[int, int] = {}
    for frame in range(20):
        ego = pose(x=1.0 * frame, y=0.3 * frame, yaw_deg=5.0 * frame)
        order = rng.permutation(20)
        jitter = rng.normal(0, 0.05, (20, 3))
        ids = tracker.update(in_base(objects[order] + jitter, ego), classes[order], ego, frame * STEP_NS)
        assert len(set(ids.tolist())) == 20
        for thing, track in zip(order.tolist(), ids.tolist(), strict=True):
            assert first.setdefault(thing, track) == track


def test_ids_follow_moving_objects_that_pass_each_other() -> None:
    tracker = Tracker()
    for frame in range(30):
        t = frame * 0.1
        cars = np.array([[-15 + 10 * t, 2.0, 0.5], [15 - 10 * t, -2.0, 0.5]])
        ids = tracker.update(cars, np.array([CAR, CAR]), np.eye(4), frame * STEP_NS)
        assert ids.tolist() == [18, 19]


def test_an_object_hidden_for_less_than_the_limit_keeps_its_id() -> None:
    tracker = Tracker(max_age_s=1.0)
    for frame in range(10):
        moving = np.array([[frame * 0.5, 0.0, 0.0]])
        first = tracker.update(moving, np.array([CAR]), np.eye(4), frame * STEP_NS)
    tracker.update(np.zeros((0, 3)), np.zeros(0, int), np.eye(4), 12 * STEP_NS)
    again = tracker.update(np.array([[17 * 0.5, 0.0, 0.0]]), np.array([CAR]), np.eye(4), 17 * STEP_NS)
    assert again == first


def test_an_object_hidden_for_longer_gets_a_new_id() -> None:
    tracker = Tracker(max_age_s=1.0)
    there = np.array([[5.0, 0.0, 0.0]])
    first = tracker.update(there, np.array([CAR]), np.eye(4), 0)
    again = tracker.update(there, np.array([CAR]), np.eye(4), 11 * STEP_NS)
    assert again != first
    assert len(tracker) == 1


def test_classes_do_not_share_tracks() -> None:
    tracker = Tracker()
    there = np.array([[5.0, 0.0, 0.0]])
    first = tracker.update(there, np.array([CAR]), np.eye(4), 0)
    second = tracker.update(there, np.array([PEDESTRIAN]), np.eye(4), STEP_NS)
    assert first != second


def test_a_detection_beyond_the_gate_is_a_new_object() -> None:
    tracker = Tracker()
    first = tracker.update(np.array([[5.0, 0.0, 0.0]]), np.array([CONE]), np.eye(4), 0)
    second = tracker.update(np.array([[6.0, 0.0, 0.0]]), np.array([CONE]), np.eye(4), STEP_NS)
    assert first != second


def test_the_assignment_is_the_best_overall_not_the_first_come() -> None:
    tracker = Tracker()
    tracker.update(np.array([[0.0, 0, 0], [1.0, 0, 0]]), np.array([CAR, CAR]), np.eye(4), 0)
    # a greedy matcher gives 0.6 to the nearer track at 1.0 and leaves 2.4 with the far one
    ids = tracker.update(np.array([[0.6, 0, 0], [2.4, 0, 0]]), np.array([CAR, CAR]), np.eye(4), STEP_NS)
    assert ids.tolist() == [18, 19]


def test_ids_wrap_within_uint16_and_skip_those_in_use() -> None:
    tracker = Tracker(max_age_s=60.0)
    kept = tracker.update(np.array([[0.0, 0, 0]]), np.array([CONE]), np.eye(4), 0)
    assert kept.tolist() == [18]
    tracker._next_id = MAX_ID
    ids = tracker.update(np.array([[9.0, 0, 0], [18.0, 0, 0], [27.0, 0, 0]]), np.full(3, CONE), np.eye(4), STEP_NS)
    assert ids.tolist() == [MAX_ID, 19, 20]


def test_reset_starts_over() -> None:
    tracker = Tracker()
    tracker.update(np.zeros((3, 3)) + np.arange(3)[:, None] * 9, np.full(3, CAR), np.eye(4), 0)
    tracker.reset()
    assert len(tracker) == 0
    assert tracker.update(np.zeros((1, 3)), np.array([CAR]), np.eye(4), 0).tolist() == [18]


def test_a_negative_age_is_refused() -> None:
    with pytest.raises(ConfigError, match="track_max_age_s is -1"):
        Tracker(-1.0)
