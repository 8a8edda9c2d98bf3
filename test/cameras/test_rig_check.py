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

"""Wrong rigs are found with their cause, good ones raise no alarm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from flashocc_ros.cameras.nominal_rig import nominal_rig
from flashocc_ros.cameras.rig_check import OPTICAL_FROM_BODY, RigFinding, check_poses, check_rig
from flashocc_ros.data.frames import first_frame
from flashocc_ros.data.synthetic.rig import nuscenes_like_rig, surround_rig
from flashocc_ros.structures import CameraRig

Poses = npt.NDArray[np.float64]

GOOD = nuscenes_like_rig().cameras
SIZE = (900, 1600)
FRONT_LEFT, FRONT, FRONT_RIGHT, BACK_LEFT, BACK, BACK_RIGHT = range(6)
BODY_FROM_OPTICAL = np.linalg.inv(OPTICAL_FROM_BODY)


def about_z(angle_deg: float) -> Poses:
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("z", angle_deg, degrees=True).as_matrix()
    return turn


def found(rig: CameraRig) -> list[RigFinding]:
    return list(check_rig(rig, [SIZE] * rig.num_cameras))


def of_poses(change: Callable[[Poses], None]) -> list[RigFinding]:
    poses = GOOD.base_from_camera.copy()
    change(poses)
    return found(CameraRig(GOOD.names, GOOD.intrinsics, poses))


def causes(findings: list[RigFinding]) -> list[tuple[str, tuple[str, ...]]]:
    return [(finding.cause, finding.cameras) for finding in findings]


def rig_of(*cameras: tuple[str, float, float, tuple[float, float, float]]) -> CameraRig:
    """Upright cameras of name, yaw and pitch down in degrees, place in metres; 85 degrees wide at 1600x900."""
    poses = np.tile(np.eye(4), (len(cameras), 1, 1))
    for pose, (_, yaw_deg, pitch_deg, place) in zip(poses, cameras, strict=True):
        body = Rotation.from_euler("ZY", [yaw_deg, pitch_deg], degrees=True).as_matrix()
        pose[:3, :3] = body @ BODY_FROM_OPTICAL[:3, :3]
        pose[:3, 3] = place
    k = np.array([[873.0, 0, 800], [0, 873, 450], [0, 0, 1]])
    return CameraRig([camera[0] for camera in cameras], np.tile(k, (len(cameras), 1, 1)), poses)


# ---------------------------------------------------------------- the usual mistakes
def test_front_and_back_exchanged() -> None:
    def exchange(poses: Poses) -> None:
        poses[[FRONT, BACK]] = poses[[BACK, FRONT]]

    (finding,) = of_poses(exchange)
    assert (finding.level, finding.cause, finding.cameras) == ("error", "exchanged", ("CAM_FRONT", "CAM_BACK"))
    assert "CAM_FRONT looks back, 180 degrees off its name, limit 60" in finding.text


def test_left_and_right_exchanged() -> None:
    def exchange(poses: Poses) -> None:
        poses[[FRONT_LEFT, FRONT_RIGHT, BACK_LEFT, BACK_RIGHT]] = poses[
            [FRONT_RIGHT, FRONT_LEFT, BACK_RIGHT, BACK_LEFT]
        ]

    pairs = [("CAM_FRONT_LEFT", "CAM_FRONT_RIGHT"), ("CAM_BACK_LEFT", "CAM_BACK_RIGHT")]
    assert causes(of_poses(exchange)) == [("exchanged", pair) for pair in pairs]


@pytest.mark.parametrize("camera", range(6))
@pytest.mark.parametrize("angle_deg", [90, -90, 180])
def test_one_camera_rolled(camera: int, angle_deg: float) -> None:
    def roll(poses: Poses) -> None:
        poses[camera] = poses[camera] @ about_z(angle_deg)

    (finding,) = of_poses(roll)
    assert (finding.cause, finding.cameras) == ("roll", (GOOD.names[camera],))
    assert f"rolled by {abs(angle_deg)} degrees" in finding.text


@pytest.mark.parametrize("camera", range(6))
@pytest.mark.parametrize("angle_deg", [90, -90, 180])
def test_one_camera_yawed(camera: int, angle_deg: float) -> None:
    def yaw(poses: Poses) -> None:
        poses[camera, :3, :3] = about_z(angle_deg)[:3, :3] @ poses[camera, :3, :3]

    assert causes(of_poses(yaw)) == [("direction", (GOOD.names[camera],))]


def test_body_frames_instead_of_optical_ones() -> None:
    (finding,) = found(CameraRig(GOOD.names, GOOD.intrinsics, GOOD.base_from_camera @ OPTICAL_FROM_BODY))
    assert (finding.level, finding.cause, finding.cameras) == ("error", "body_frame", GOOD.names)
    assert "looks 90 degrees up, limit 60" in finding.text


def test_inverse_transforms() -> None:
    (finding,) = found(CameraRig(GOOD.names, GOOD.intrinsics, np.linalg.inv(GOOD.base_from_camera)))
    assert (finding.level, finding.cause, finding.cameras) == ("error", "inverse", GOOD.names)
    assert "exchange parent and child" in finding.text


def test_cameras_as_opengl_has_them() -> None:
    def mistake(poses: Poses) -> None:
        poses[:, :3, 1:3] *= -1

    (finding,) = of_poses(mistake)
    assert (finding.level, finding.cause, finding.cameras) == ("error", "opengl", GOOD.names)


def test_a_camera_upside_down_is_not_taken_for_one_of_opengl() -> None:
    def mistake(poses: Poses) -> None:
        poses[:, :3, :2] *= -1

    assert causes(of_poses(mistake)) == [("roll", GOOD.names)]


def test_millimetres() -> None:
    def scale(poses: Poses) -> None:
        poses[:, :3, 3] *= 1000

    (finding,) = of_poses(scale)
    assert (finding.level, finding.cause, finding.cameras) == ("error", "millimetres", GOOD.names)
    assert "1510 m above base_link, limit 5" in finding.text


@pytest.mark.parametrize("angle_deg", [90, -90, 180])
def test_a_turned_base(angle_deg: float) -> None:
    poses = about_z(angle_deg) @ GOOD.base_from_camera
    assert causes(found(CameraRig(GOOD.names, GOOD.intrinsics, poses))) == [("turned_base", GOOD.names)]


def test_a_mistake_with_one_camera_names_that_camera() -> None:
    def mistake(poses: Poses) -> None:
        poses[FRONT] = np.linalg.inv(poses[FRONT])
        poses[BACK] = poses[BACK] @ OPTICAL_FROM_BODY
        poses[FRONT_LEFT, :3, 3] *= 1000

    assert set(causes(of_poses(mistake))) == {
        ("inverse", ("CAM_FRONT",)),
        ("body_frame", ("CAM_BACK",)),
        ("millimetres", ("CAM_FRONT_LEFT",)),
    }


# ---------------------------------------------------------------- single numbers
def test_one_camera_far_off() -> None:
    def move(poses: Poses) -> None:
        poses[FRONT, 0, 3] += 50

    (finding,) = of_poses(move)
    assert causes([finding]) == [("distance", ("CAM_FRONT",))]
    assert "51.7 m beside base_link, limit 15" in finding.text


@pytest.mark.parametrize(("height_m", "text"), [(-0.7, "0.7 m below base_link, limit 0.5"), (8.0, "8 m above")])
def test_a_camera_under_the_ground_or_in_the_air(height_m: float, text: str) -> None:
    (finding,) = found(rig_of(("front", 0, 0, (1.5, 0, height_m))))
    assert finding.cause == "height"
    assert text in finding.text


def test_a_long_baseline() -> None:
    (finding,) = found(rig_of(("front", 0, 0, (10, 0, 2)), ("back", 180, 0, (-10, 0, 2))))
    assert causes([finding]) == [("distance", ("front", "back"))]
    assert "20 m apart, limit 15" in finding.text


def test_a_camera_that_looks_at_the_ground() -> None:
    assert causes(found(rig_of(("front", 0, 80, (1.5, 0, 1))))) == [("axis", ("front",))]


def test_twins() -> None:
    (finding,) = found(rig_of(("a", 0, 0, (1.5, 0, 1.4)), ("b", 1, 0, (1.5, 0.01, 1.4))))
    assert causes([finding]) == [("twins", ("a", "b"))]


def test_cameras_that_all_have_one_transform_are_one_finding() -> None:
    (finding,) = found(rig_of(*((name, 0, 0, (1.5, 0, 1.4)) for name in "abcd")))
    assert causes([finding]) == [("twins", ("a", "b", "c", "d"))]
    assert "cameras a, b, c and d look the same way" in finding.text


def test_a_calibration_of_another_picture_size() -> None:
    rig = rig_of(("front", 0, 0, (1.5, 0, 1.4)))
    findings = check_rig(rig, [(1800, 3200)])
    assert [finding.cause for finding in findings] == ["other_picture"]


def test_a_focal_length_in_millimetres() -> None:
    rig = rig_of(("front", 0, 0, (1.5, 0, 1.4)))
    intrinsics = rig.intrinsics * [[[0.005, 1, 1], [1, 0.005, 1], [1, 1, 1]]]
    (finding,) = found(CameraRig(rig.names, intrinsics, rig.base_from_camera))
    assert finding.cause == "field_of_view"


# ---------------------------------------------------------------- no false alarm
@pytest.mark.parametrize("count", range(1, 13))
def test_nominal_rigs_are_plausible(count: int) -> None:
    assert found(nominal_rig(count)) == []


def test_the_synthetic_rig_is_plausible() -> None:
    assert found(GOOD) == []


@pytest.mark.data
@pytest.mark.parametrize("scene", ["scene0003", "scene0061", "scene0003_rosbag2", "scene0061_rosbag2"])
def test_real_rigs_are_plausible(shared_dir: Path, scene: str) -> None:
    frame = first_frame(shared_dir / f"data/nuscenes_frame_{scene}")
    assert check_rig(frame.rig, frame.image_sizes) == ()
    assert check_poses(frame.rig.names, frame.odom_from_base) == ()


@pytest.mark.parametrize(
    "rig",
    [
        pytest.param(rig_of(("front", 0, 0, (1.7, 0, 1.4))), id="front only"),
        pytest.param(rig_of(("zed_left", 0, 0, (1.7, 0.06, 1.4)), ("zed_right", 0, 0, (1.7, -0.06, 1.4))), id="stereo"),
        pytest.param(
            rig_of(
                *(("front", 0, 30, (0.4, 0, 0.4)), ("rear", 180, 15, (-0.4, 0, 0.3))),
                *(("left", 90, 15, (0, 0.1, 0.35)), ("right", -90, 15, (0, -0.1, 0.35))),
            ),
            id="robot dog",
        ),
        pytest.param(rig_of(("front", 0, 30, (0.4, 0, 0.0)), ("back", 180, 0, (-0.4, 0, -0.1))), id="base in the body"),
        pytest.param(
            rig_of(
                *(("front_left", 30, 10, (5, 1.2, 3.5)), ("front_right", -30, 10, (5, -1.2, 3.5))),
                *(("mirror_left", 145, 20, (4.5, 1.4, 3)), ("mirror_right", -145, 20, (4.5, -1.4, 3))),
                ("rear", 180, 10, (-7, 0, 3.5)),
            ),
            id="truck",
        ),
        pytest.param(rig_of(("left", 90, 55, (2, 1, 1)), ("backup", 180, 45, (-1, 0, 0.9))), id="parking"),
    ],
)
def test_vehicles_of_all_kinds_are_plausible(rig: CameraRig) -> None:
    assert found(rig) == []


def test_a_wide_and_a_narrow_camera_may_share_a_place() -> None:
    rig = rig_of(("wide", 0, 0, (1.7, 0, 1.4)), ("narrow", 0, 0, (1.7, 0.01, 1.4)))
    intrinsics = rig.intrinsics * [np.ones((3, 3)), [[2, 1, 1], [1, 2, 1], [1, 1, 1]]]
    assert found(CameraRig(rig.names, intrinsics, rig.base_from_camera)) == []


# ---------------------------------------------------------------- poses
def test_poses_of_a_drive_are_plausible() -> None:
    poses = np.tile(about_z(130), (2, 1, 1))
    poses[1, :2, 3] += 2.0
    assert check_poses(("a", "b"), poses) == ()


def test_a_tilted_vehicle() -> None:
    poses = np.tile(np.diag([1.0, -1, -1, 1]), (2, 1, 1))
    (finding,) = check_poses(("a", "b"), poses)
    assert finding.cause == "tilted_poses"
    assert "tilted by 180 degrees, limit 45" in finding.text


def test_a_vehicle_that_jumps_within_a_set() -> None:
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[1, 0, 3] = 30
    (finding,) = check_poses(("a", "b"), poses)
    assert finding.cause == "scattered_poses"
    assert "moves 30.0 m" in finding.text


SURROUND = surround_rig().cameras


def of_fisheyes(rig: CameraRig) -> list[RigFinding]:
    return list(check_rig(rig, [(800, 1600)] * rig.num_cameras))


def test_a_good_rig_of_fisheyes_raises_no_alarm() -> None:
    assert not of_fisheyes(SURROUND)


def test_a_fisheye_whose_focal_length_is_of_half_the_picture_is_too_wide() -> None:
    half = SURROUND.intrinsics.copy()
    half[:, 0, 0] /= 2
    (finding,) = of_fisheyes(replace(SURROUND, intrinsics=half))
    assert finding.cause == "field_of_view"
    assert "380.0 degrees wide, limits 5 and 290" in finding.text
    assert "pixels per radian" in finding.text


def test_a_fisheye_may_look_down_as_long_as_it_sees_the_horizon() -> None:
    poses = SURROUND.base_from_camera.copy()
    down = np.eye(4)
    down[:3, :3] = Rotation.from_euler("x", -60, degrees=True).as_matrix()
    poses[1] = poses[1] @ down  # 72 degrees
    assert not of_fisheyes(replace(SURROUND, base_from_camera=poses))
    (finding,) = of_fisheyes(replace(SURROUND, base_from_camera=poses, models=()))
    assert finding.cause == "axis"
