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

"""Poses for a set of images: at their own stamps, never waiting, and honest about why there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tf_messages import S, message, transform

from flashocc_ros.cameras.poses import Poses, PoseSource, Unavailable
from flashocc_ros.cameras.transforms import TransformIntake, TransformTree

MS = 1_000_000
STAMPS = [10 * S, 10 * S + 20 * MS, 10 * S + 40 * MS]
FRAMES = ("left_optical", "front_optical", "right_optical")
SPEED = 5.0


def add(buffer: TransformTree, transform: Any, static: bool = False) -> None:
    TransformIntake(buffer).take(message(transform), static)


def odometry(stamp_ns: int) -> Any:
    """The vehicle drives along x at ``SPEED`` from t = 9 s on."""
    return transform("odom", "base_link", stamp_ns, (SPEED * (stamp_ns - 9 * S) / S, 0.0, 0.0))


def rig(buffer: TransformTree, y: float = 0.5) -> None:
    for index, frame in enumerate(FRAMES):
        yaw = Rotation.from_euler("z", 90 - 90 * index, degrees=True)
        add(buffer, transform("base_link", frame, 0, (1.0 + index, y, 0.0), yaw), static=True)


@pytest.fixture
def buffer() -> TransformTree:
    buffer = TransformTree()
    rig(buffer)
    for stamp_ns in range(9 * S, 11 * S + 1, 50 * MS):
        add(buffer, odometry(stamp_ns))
    return buffer


def source(buffer: TransformTree, **arguments: object) -> PoseSource:
    return PoseSource(buffer, FRAMES, say=lambda _: None, **arguments)  # type: ignore[arg-type]


def poses(answer: Poses | Unavailable) -> Poses:
    assert isinstance(answer, Poses), answer
    return answer


def unavailable(answer: Poses | Unavailable) -> Unavailable:
    assert isinstance(answer, Unavailable)
    return answer


def test_every_image_gets_the_pose_at_its_own_stamp(buffer: TransformTree) -> None:
    got = poses(source(buffer).lookup(STAMPS, STAMPS[1]))
    np.testing.assert_allclose(got.odom_from_base[:, 0, 3], [SPEED * 1.0, SPEED * 1.02, SPEED * 1.04], atol=1e-9)
    assert got.key_pose[0, 3] == pytest.approx(SPEED * 1.02)
    np.testing.assert_allclose(got.base_from_camera[:, 0, 3], [1, 2, 3])
    np.testing.assert_allclose(got.base_from_camera[0] @ [1, 0, 0, 1], [1, 1.5, 0, 1], atol=1e-9)
    assert not got.static


def test_a_camera_on_a_moving_mount_is_taken_at_its_image(buffer: TransformTree) -> None:
    add(buffer, transform("base_link", "front_optical", 9 * S, rotation=Rotation.from_euler("z", 0, degrees=True)))
    add(buffer, transform("base_link", "front_optical", 11 * S, rotation=Rotation.from_euler("z", 20, degrees=True)))
    got = poses(source(buffer).lookup(STAMPS, STAMPS[0]))
    yaw = Rotation.from_matrix(got.base_from_camera[1, :3, :3]).as_euler("zyx", degrees=True)[0]
    assert yaw == pytest.approx(10.2)


def test_static_extrinsics_stay_one_array_until_they_change(buffer: TransformTree) -> None:
    poses_of = source(buffer)
    first = poses(poses_of.lookup(STAMPS, STAMPS[0])).base_from_camera
    rig(buffer)  # published again, the same
    assert poses(poses_of.lookup(STAMPS, STAMPS[0])).base_from_camera is first
    rig(buffer, y=0.6)
    changed = poses(poses_of.lookup(STAMPS, STAMPS[0])).base_from_camera
    assert changed is not first
    assert changed[0, 1, 3] == pytest.approx(0.6)


def test_late_odometry_may_still_come_until_the_wait_is_over(buffer: TransformTree) -> None:
    poses_of = source(buffer, wait_s=0.3)
    late = [stamp + S for stamp in STAMPS]
    answer = unavailable(poses_of.lookup(late, late[0], waited_s=0.1))
    assert (answer.cause, answer.final) == ("future", False)
    assert "odom" in answer.reason
    add(buffer, odometry(late[-1] + MS))
    assert isinstance(poses_of.lookup(late, late[0], waited_s=0.2), Poses)
    later = [stamp + 5 * S for stamp in STAMPS]
    answer = unavailable(poses_of.lookup(later, later[0], waited_s=0.3))
    assert (answer.cause, answer.final) == ("future", True)


def test_what_is_older_than_tf_never_comes(buffer: TransformTree) -> None:
    old = [stamp - 2 * S for stamp in STAMPS]
    answer = unavailable(source(buffer).lookup(old, old[0]))
    assert (answer.cause, answer.final) == ("past", True)


def test_the_camera_whose_image_is_out_of_the_odometry_is_named(buffer: TransformTree) -> None:
    answer = unavailable(source(buffer).lookup([STAMPS[0], STAMPS[1] - 3 * S, STAMPS[2]], STAMPS[0]))
    assert "front_optical" in answer.reason
    assert "another clock" not in answer.reason
    answer = unavailable(source(buffer).lookup([STAMPS[0], STAMPS[1], STAMPS[2] + 37 * S], STAMPS[0]))
    assert "right_optical" in answer.reason
    assert "36.0 s from what tf has: another clock?" in answer.reason


def test_a_single_odometry_message_tells_past_from_future() -> None:
    buffer = TransformTree()
    rig(buffer)
    add(buffer, odometry(10 * S))
    poses_of = source(buffer)
    assert unavailable(poses_of.lookup([9 * S] * 3, 9 * S)).cause == "past"
    assert unavailable(poses_of.lookup([11 * S] * 3, 11 * S)).cause == "future"


def test_a_gap_in_the_tree_is_waited_for_and_then_final() -> None:
    buffer = TransformTree()
    rig(buffer)
    add(buffer, transform("odom", "wheels", 9 * S))
    poses_of = source(buffer, wait_s=0.3, allow_static=True)
    answer = unavailable(poses_of.lookup(STAMPS, STAMPS[0]))
    assert (answer.cause, answer.final) == ("unconnected", False)
    assert unavailable(poses_of.lookup(STAMPS, STAMPS[0], waited_s=0.3)).final


def test_a_camera_without_extrinsics_is_named(buffer: TransformTree) -> None:
    poses_of = PoseSource(buffer, (*FRAMES[:2], "rear_optical"), wait_s=0.3, allow_static=True)
    answer = unavailable(poses_of.lookup(STAMPS, STAMPS[0]))
    assert (answer.cause, answer.final) == ("unknown", False)
    assert "rear_optical" in answer.reason
    assert unavailable(poses_of.lookup(STAMPS, STAMPS[0], waited_s=1.0)).final


def test_without_odometry_a_single_frame_variant_stands_still_and_says_so_once() -> None:
    buffer = TransformTree()
    rig(buffer)
    said: list[str] = []
    poses_of = PoseSource(buffer, FRAMES, wait_s=0.3, allow_static=True, say=said.append)
    assert unavailable(poses_of.lookup(STAMPS, STAMPS[0])).final is False  # it might just be late
    got = poses(poses_of.lookup(STAMPS, STAMPS[0], waited_s=0.3))
    assert got.static
    np.testing.assert_array_equal(got.odom_from_base, np.tile(np.eye(4), (3, 1, 1)))
    assert isinstance(poses_of.lookup(STAMPS, STAMPS[0]), Poses)  # no more waiting
    assert len(said) == 1
    assert "odom" in said[0]
    for stamp_ns in (9 * S, 11 * S):
        add(buffer, odometry(stamp_ns))
    assert not poses(poses_of.lookup(STAMPS, STAMPS[0])).static
    assert len(said) == 2


def test_without_odometry_a_variant_with_memory_gets_nothing() -> None:
    buffer = TransformTree()
    rig(buffer)
    answer = unavailable(source(buffer, wait_s=0.3).lookup(STAMPS, STAMPS[0], waited_s=0.3))
    assert (answer.cause, answer.final) == ("unknown", True)
    assert "odom" in answer.reason


def test_no_fixed_frame_at_all() -> None:
    buffer = TransformTree()
    rig(buffer)
    assert poses(source(buffer, fixed_frame="", allow_static=True).lookup(STAMPS, STAMPS[0])).static
    assert unavailable(source(buffer, fixed_frame="").lookup(STAMPS, STAMPS[0])).final
