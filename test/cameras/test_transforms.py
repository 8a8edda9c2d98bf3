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

"""The transform buffer behaves as tf2 documents, and what cannot be a transform never gets into it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp
from tf_messages import S, message, transform

from flashocc_ros.cameras.transforms import (
    MAX_FRAMES,
    MAX_NAME,
    MAX_WANTED,
    OutsideTime,
    StampedTransform,
    TransformIntake,
    TransformTree,
    Unconnected,
    UnknownFrame,
)


class Fed:
    """An intake with its tree, fed and asked in seconds."""

    def __init__(self, cache_s: float = 10.0) -> None:
        self.said: list[str] = []
        self.tree = TransformTree(cache_s)
        self.intake = TransformIntake(self.tree, self.said.append)

    def move(
        self,
        parent: str,
        child: str,
        stamp_s: float,
        position: tuple[float, float, float] = (0.0, 0.0, 0.0),
        rotation: Rotation | None = None,
    ) -> None:
        self.intake.take(message(transform(parent, child, round(stamp_s * S), position, rotation)), static=False)

    def mount(
        self,
        parent: str,
        child: str,
        position: tuple[float, float, float] = (0.0, 0.0, 0.0),
        rotation: Rotation | None = None,
    ) -> None:
        self.intake.take(message(transform(parent, child, 0, position, rotation)), static=True)

    def look(self, target: str, source: str, stamp_s: float) -> np.ndarray:
        return self.tree.lookup(target, source, round(stamp_s * S))


@pytest.fixture
def fed() -> Fed:
    """odom -> base_link moves 1 m/s along x from 10 s to 12 s and yaws; base_link -> camera is fixed."""
    fed = Fed()
    for stamp in (10.0, 10.5, 11.0, 12.0):
        yaw = Rotation.from_euler("z", 40 * (stamp - 10), degrees=True)
        fed.move("odom", "base_link", stamp, (stamp - 10, 0.0, 0.0), yaw)
    camera = Rotation.from_euler("ZYX", [-90, 0, -90], degrees=True)
    fed.mount("base_link", "camera", (1.5, 0.2, 1.6), camera)
    return fed


def test_a_lookup_maps_points_of_the_source_into_the_target(fed: Fed) -> None:
    np.testing.assert_allclose(fed.look("base_link", "camera", 11) @ [0, 0, 10, 1], [11.5, 0.2, 1.6, 1], atol=1e-9)


def test_between_samples_positions_are_linear_and_rotations_slerp(fed: Fed) -> None:
    pose = fed.look("odom", "base_link", 11.25)
    yaws = Rotation.from_euler("z", [[40], [80]], degrees=True)
    np.testing.assert_allclose(pose[:3, 3], [1.25, 0, 0], atol=1e-9)
    np.testing.assert_allclose(pose[:3, :3], Slerp([0, 1], yaws)(0.25).as_matrix(), atol=1e-9)


def test_a_path_up_and_down_the_tree(fed: Fed) -> None:
    fed.mount("base_link", "lidar", (0.0, 0.0, 2.0))
    camera, lidar = fed.look("base_link", "camera", 11), fed.look("base_link", "lidar", 11)
    through = fed.look("lidar", "camera", 500)  # static: any time
    np.testing.assert_allclose(through, np.linalg.inv(lidar) @ camera, atol=1e-9)
    np.testing.assert_allclose(
        fed.look("odom", "camera", 10.7) @ fed.look("camera", "odom", 10.7), np.eye(4), atol=1e-9
    )


def test_the_latest_common_time(fed: Fed) -> None:
    fed.move("base_link", "gimbal", 11.0)
    fed.move("base_link", "gimbal", 11.5)
    assert fed.tree.latest_ns("odom", "gimbal") == round(11.5 * S)
    assert fed.tree.latest_ns("odom", "base_link") == 12 * S
    assert fed.tree.latest_ns("base_link", "camera") == 0


def test_a_frame_in_itself_is_the_identity(fed: Fed) -> None:
    np.testing.assert_array_equal(fed.look("odom", "odom", 99), np.eye(4))


@pytest.mark.parametrize("stamp_s", [12.1, 9.9])
def test_nothing_is_extrapolated(fed: Fed, stamp_s: float) -> None:
    with pytest.raises(OutsideTime):
        fed.look("odom", "camera", stamp_s)


def test_one_sample_holds_for_its_time_only() -> None:
    fed = Fed()
    fed.move("odom", "base_link", 10.0, (1.0, 0.0, 0.0))
    assert fed.look("odom", "base_link", 10)[0, 3] == 1
    with pytest.raises(OutsideTime):
        fed.look("odom", "base_link", 10.1)


def test_an_unknown_frame(fed: Fed) -> None:
    with pytest.raises(UnknownFrame, match="roof"):
        fed.look("odom", "roof", 11)


def test_two_trees(fed: Fed) -> None:
    fed.mount("map", "building")
    with pytest.raises(Unconnected):
        fed.look("map", "base_link", 11)


def test_samples_that_come_late_are_sorted_in(fed: Fed) -> None:
    fed.move("odom", "base_link", 11.5, (7.0, 0.0, 0.0))
    assert fed.look("odom", "base_link", 11.5)[0, 3] == pytest.approx(7)
    assert fed.look("odom", "base_link", 12)[0, 3] == pytest.approx(2)


def test_a_static_transform_is_replaced(fed: Fed) -> None:
    fed.mount("base_link", "camera", (9.0, 0.0, 0.0))
    assert fed.look("base_link", "camera", 11)[0, 3] == 9


def test_samples_older_than_the_cache_are_forgotten() -> None:
    fed = Fed(cache_s=2)
    for stamp_s in (10.0, 10.4, 13.0, 13.1):
        fed.move("odom", "base_link", stamp_s)
    with pytest.raises(OutsideTime):
        fed.look("odom", "base_link", 10.2)


def test_nothing_is_interpolated_towards_a_stamp_beyond_the_cache() -> None:
    tree = TransformTree(cache_s=10)
    for second in (100, 101, 2**31):
        tree.insert(StampedTransform("odom", "base_link", second * S, ((float(second), 0, 0), (0, 0, 0, 1))), False)
    with pytest.raises(OutsideTime):
        tree.lookup("odom", "base_link", 101 * S + 1)


def test_clear_forgets_movement_and_keeps_what_is_static(fed: Fed) -> None:
    fed.intake.clear()
    with pytest.raises(OutsideTime):
        fed.look("odom", "base_link", 11)
    assert fed.look("base_link", "camera", 11)[0, 3] == 1.5


@pytest.mark.parametrize(
    ("parent", "position", "quaternion", "problem"),
    [
        ("base_link", (0.0, 0.0, 0.0), (0, 0, 0, 1), "its own parent"),
        ("/base_link", (0.0, 0.0, 0.0), (0, 0, 0, 1), "its own parent"),
        ("", (0.0, 0.0, 0.0), (0, 0, 0, 1), "without name"),
        ("odom", (math.nan, 0.0, 0.0), (0, 0, 0, 1), "the translation"),
        ("odom", (math.inf, 0.0, 0.0), (0, 0, 0, 1), "the translation"),
        ("odom", (50.0, 0.0, 0.0), (0, 0, 0, 0), "squared length 0"),
        ("odom", (50.0, 0.0, 0.0), (math.nan,) * 4, "squared length nan"),
        ("odom", (50.0, 0.0, 0.0), (0, 0, 0, 2), "squared length 4"),
    ],
)
def test_a_transform_that_cannot_be_is_ignored_and_said_once(
    fed: Fed, parent: str, position: tuple[float, float, float], quaternion: tuple[float, ...], problem: str
) -> None:
    bad = transform(parent, "base_link", round(11.7 * S), position)
    for axis, value in zip("xyzw", quaternion, strict=True):
        setattr(bad.transform.rotation, axis, value)
    for _ in range(2):
        fed.intake.take(message(bad), static=False)
    assert fed.look("odom", "base_link", 11.7)[0, 3] == pytest.approx(1.7)
    assert len(fed.said) == 1
    assert problem in fed.said[0]
    assert "base_link" in fed.said[0]


def test_a_stamp_with_more_than_a_second_of_nanoseconds_is_ignored_and_said(fed: Fed) -> None:
    """It means another time than it says, and a pose of another time shifts every set around it."""
    bad = transform("odom", "base_link", 11 * S, (500.0, 0.0, 0.0))
    bad.header.stamp.nanosec = 2**31 - 1
    before = fed.look("odom", "camera", 11.9)
    fed.intake.take(message(bad), static=False)
    assert np.array_equal(fed.look("odom", "camera", 11.9), before)
    assert "a stamp with 2147483647 ns beside the seconds" in fed.said[-1]


def test_a_leading_slash_is_no_part_of_a_name(fed: Fed) -> None:
    fed.mount("/base_link", "/lidar", (0.0, 0.0, 2.0))
    assert fed.look("base_link", "lidar", 11)[2, 3] == 2


def test_a_loop_beside_the_tree_is_said_once_and_hurts_nobody(fed: Fed) -> None:
    for _ in range(3):
        fed.mount("lidar", "imu")
        fed.mount("imu", "lidar")
    assert [("loop" in sentence, "lidar" in sentence) for sentence in fed.said] == [(True, True)]
    assert fed.look("odom", "camera", 11)[0, 3] > 1
    with pytest.raises(Unconnected, match="loop"):
        fed.look("odom", "imu", 11)
    with pytest.raises(Unconnected, match="loop"):
        fed.tree.latest_ns("odom", "imu")


def test_the_frame_that_a_vehicle_moves_in(fed: Fed) -> None:
    assert fed.intake.moving_parent("camera") == "odom"
    assert fed.intake.moving_parent("odom") is None
    fed.mount("lidar", "imu")
    fed.mount("imu", "lidar")
    assert fed.intake.moving_parent("imu") is None


def test_odometry_below_the_vehicle_is_found() -> None:
    robot = Fed()
    robot.move("body", "odom", 0.0)
    robot.mount("body", "camera", (0.0, 0.0, 1.0))
    assert robot.intake.moving_parent("body") is None
    assert robot.intake.moves_below("odom", "body")
    assert not robot.intake.moves_below("camera", "body")
    assert not robot.intake.moves_below("body", "odom")


def test_a_vehicle_with_two_parents_is_said_once(fed: Fed) -> None:
    for stamp in (12.1, 12.2):
        fed.move("map", "base_link", stamp)
        fed.move("odom", "base_link", stamp + 0.05)
    assert len(fed.said) == 1
    assert "base_link is below odom and then below map" in fed.said[0]


def test_static_transforms_that_differ_are_said_once_and_the_last_one_counts(fed: Fed) -> None:
    for _ in range(3):
        fed.mount("base_link", "lidar", (0.0, 0.0, 2.0))
    assert fed.said == []
    fed.mount("base_link", "lidar", (0.0, 0.0, 1.9))
    fed.mount("base_link", "lidar", (0.0, 0.0, 1.9))
    assert len(fed.said) == 1
    assert "base_link -> lidar differs" in fed.said[0]
    assert fed.look("base_link", "lidar", 11)[2, 3] == 1.9


def test_a_recording_that_starts_again_takes_its_transforms_with_it(fed: Fed) -> None:
    fed.intake.watched = ("camera", "base_link")
    fed.move("odom", "base_link", 2.0)
    assert fed.intake.jumps == 1
    with pytest.raises(OutsideTime):
        fed.look("odom", "base_link", 11)
    fed.move("odom", "base_link", 3.0, (5.0, 0.0, 0.0))
    assert fed.look("odom", "base_link", 2.5)[0, 3] == 2.5


def test_an_unrelated_frame_of_two_clocks_disturbs_nothing(fed: Fed) -> None:
    fed.intake.watched = ("camera", "base_link")
    for stamp_s in (100.0, 5.0, 101.0, 6.0):
        fed.move("odom", "trailer", stamp_s)
    assert fed.intake.jumps == 0
    assert fed.look("odom", "base_link", 11)[0, 3] == 1


def test_a_watched_frame_of_two_clocks_is_said(fed: Fed) -> None:
    fed.intake.watched = ("camera", "base_link")
    for stamp_s in (100.0, 5.0, 101.0, 6.0, 102.0, 7.0):
        fed.move("odom", "base_link", stamp_s)
    assert fed.intake.jumps == 3
    assert len(fed.said) == 1
    assert "two publishers" in fed.said[0]


def test_a_transform_the_other_way_round_hides_no_jump(fed: Fed) -> None:
    assert fed.intake.path("odom", "base_link") == {"base_link"}
    fed.move("base_link", "odom", 11.0)
    for stamp_s, x in ((12.1, 12.1), (12.2, 40.0)):
        fed.move("odom", "base_link", stamp_s, (x, 0.0, 0.0))
    path = fed.intake.path("odom", "base_link")
    assert fed.intake.pose_jumps.inside(path, round(12.1 * S), round(12.2 * S)) == "base_link"


def test_names_that_are_made_up_are_forgotten_but_not_the_cameras(fed: Fed) -> None:
    fed.intake.watched = ("late_camera", "base_link")
    for number in range(MAX_FRAMES + 10):
        fed.move("odom", f"thing {number}", 10.0)
    assert len(fed.intake.frames) == MAX_FRAMES
    assert not fed.tree.knows(f"thing {MAX_FRAMES}")
    assert len(fed.said) == 1
    assert f"{MAX_FRAMES} frames are known" in fed.said[0]
    fed.mount("mast", "late_camera")
    fed.mount("base_link", "mast", (0.0, 0.0, 2.0))
    fed.move("odom", "base_link", 10.5, (3.0, 0.0, 0.0))
    np.testing.assert_allclose(fed.look("odom", "late_camera", 10.5)[:3, 3], (3, 0, 2))


def test_parents_that_are_made_up_are_forgotten(fed: Fed) -> None:
    fed.intake.watched = ("base_link",)
    for number in range(MAX_FRAMES + MAX_WANTED + 10):
        fed.move(f"house {number}", "base_link", 10.0 + number / 1000)
    assert not fed.tree.knows(f"house {MAX_FRAMES + MAX_WANTED}")


def test_a_name_longer_than_any_is_ignored_and_said(fed: Fed) -> None:
    fed.move("odom", "x" * MAX_NAME, 10.0)
    fed.move("odom", "y" * 10_000, 10.0)
    assert fed.tree.knows("x" * MAX_NAME)
    assert not fed.tree.knows("y" * 10_000)
    assert len(fed.said) == 1
    assert "10000 characters" in fed.said[0]
    assert len(fed.said[0]) < 2 * MAX_NAME
