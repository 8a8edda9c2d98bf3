"""Poses for a set of images: at their own stamps, never waiting, and honest about why there are none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("tf2_msgs.msg")

from geometry_msgs.msg import TransformStamped  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from scipy.spatial.transform import Rotation  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from flashocc_ros.ros.fallback import Buffer  # noqa: E402
from flashocc_ros.ros.logs import SeldomLogger  # noqa: E402
from flashocc_ros.ros.problems import Problems  # noqa: E402
from flashocc_ros.ros.transforms import Poses, PoseSource, TfListener, Unavailable, frames_by_camera  # noqa: E402

pytestmark = pytest.mark.ros

S = 1_000_000_000
MS = 1_000_000
STAMPS = [10 * S, 10 * S + 20 * MS, 10 * S + 40 * MS]
FRAMES = ("left_optical", "front_optical", "right_optical")
SPEED = 5.0


def transform(
    parent: str, child: str, stamp_ns: int, x: float = 0.0, y: float = 0.0, yaw_deg: float = 0.0
) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, S)
    message.transform.translation.x, message.transform.translation.y = x, y
    values = Rotation.from_euler("z", yaw_deg, degrees=True).as_quat().tolist()
    rotation = message.transform.rotation
    rotation.x, rotation.y, rotation.z, rotation.w = values
    return message


def odometry(stamp_ns: int) -> TransformStamped:
    """The vehicle drives along x at ``SPEED`` from t = 9 s on."""
    return transform("odom", "base_link", stamp_ns, SPEED * (stamp_ns - 9 * S) / S)


def rig(buffer: Buffer, y: float = 0.5) -> None:
    for index, frame in enumerate(FRAMES):
        buffer.set_transform_static(transform("base_link", frame, 0, 1.0 + index, y, 90 - 90 * index), "test")


@pytest.fixture
def buffer() -> Buffer:
    buffer = Buffer()
    rig(buffer)
    for stamp_ns in range(9 * S, 11 * S + 1, 50 * MS):
        buffer.set_transform(odometry(stamp_ns), "test")
    return buffer


def source(buffer: Buffer, **arguments: object) -> PoseSource:
    return PoseSource(buffer, FRAMES, say=lambda _: None, **arguments)  # type: ignore[arg-type]


def poses(answer: Poses | Unavailable) -> Poses:
    assert isinstance(answer, Poses), answer
    return answer


def unavailable(answer: Poses | Unavailable) -> Unavailable:
    assert isinstance(answer, Unavailable)
    return answer


def test_every_image_gets_the_pose_at_its_own_stamp(buffer: Buffer) -> None:
    got = poses(source(buffer).lookup(STAMPS, STAMPS[1]))
    np.testing.assert_allclose(got.odom_from_base[:, 0, 3], [SPEED * 1.0, SPEED * 1.02, SPEED * 1.04], atol=1e-9)
    assert got.key_pose[0, 3] == pytest.approx(SPEED * 1.02)
    np.testing.assert_allclose(got.base_from_camera[:, 0, 3], [1, 2, 3])
    np.testing.assert_allclose(got.base_from_camera[0] @ [1, 0, 0, 1], [1, 1.5, 0, 1], atol=1e-9)
    assert not got.static


def test_a_camera_on_a_moving_mount_is_taken_at_its_image(buffer: Buffer) -> None:
    buffer.set_transform(transform("base_link", "front_optical", 9 * S, yaw_deg=0), "test")
    buffer.set_transform(transform("base_link", "front_optical", 11 * S, yaw_deg=20), "test")
    got = poses(source(buffer).lookup(STAMPS, STAMPS[0]))
    yaw = Rotation.from_matrix(got.base_from_camera[1, :3, :3]).as_euler("zyx", degrees=True)[0]
    assert yaw == pytest.approx(10.2)


def test_static_extrinsics_stay_one_array_until_they_change(buffer: Buffer) -> None:
    poses_of = source(buffer)
    first = poses(poses_of.lookup(STAMPS, STAMPS[0])).base_from_camera
    rig(buffer)  # published again, the same
    assert poses(poses_of.lookup(STAMPS, STAMPS[0])).base_from_camera is first
    rig(buffer, y=0.6)
    changed = poses(poses_of.lookup(STAMPS, STAMPS[0])).base_from_camera
    assert changed is not first
    assert changed[0, 1, 3] == pytest.approx(0.6)
    assert poses_of.extrinsics_changes == 1


def test_late_odometry_may_still_come_until_the_wait_is_over(buffer: Buffer) -> None:
    poses_of = source(buffer, wait_s=0.3)
    late = [stamp + S for stamp in STAMPS]
    answer = unavailable(poses_of.lookup(late, late[0], waited_s=0.1))
    assert (answer.cause, answer.final) == ("future", False)
    assert "odom" in answer.reason
    buffer.set_transform(odometry(late[-1] + MS), "test")
    assert isinstance(poses_of.lookup(late, late[0], waited_s=0.2), Poses)
    later = [stamp + 5 * S for stamp in STAMPS]
    answer = unavailable(poses_of.lookup(later, later[0], waited_s=0.3))
    assert (answer.cause, answer.final) == ("future", True)


def test_what_is_older_than_tf_never_comes(buffer: Buffer) -> None:
    old = [stamp - 2 * S for stamp in STAMPS]
    answer = unavailable(source(buffer).lookup(old, old[0]))
    assert (answer.cause, answer.final) == ("past", True)


def test_a_single_odometry_message_tells_past_from_future() -> None:
    buffer = Buffer()
    rig(buffer)
    buffer.set_transform(odometry(10 * S), "test")
    poses_of = source(buffer)
    assert unavailable(poses_of.lookup([9 * S] * 3, 9 * S)).cause == "past"
    assert unavailable(poses_of.lookup([11 * S] * 3, 11 * S)).cause == "future"


def test_a_gap_in_the_tree_is_waited_for_and_then_final() -> None:
    buffer = Buffer()
    rig(buffer)
    buffer.set_transform(transform("odom", "wheels", 9 * S), "test")
    poses_of = source(buffer, wait_s=0.3, allow_static=True)
    answer = unavailable(poses_of.lookup(STAMPS, STAMPS[0]))
    assert (answer.cause, answer.final) == ("unconnected", False)
    assert unavailable(poses_of.lookup(STAMPS, STAMPS[0], waited_s=0.3)).final


def test_a_camera_without_extrinsics_is_named(buffer: Buffer) -> None:
    poses_of = PoseSource(buffer, (*FRAMES[:2], "rear_optical"), wait_s=0.3, allow_static=True)
    answer = unavailable(poses_of.lookup(STAMPS, STAMPS[0]))
    assert (answer.cause, answer.final) == ("unknown", False)
    assert "rear_optical" in answer.reason
    assert unavailable(poses_of.lookup(STAMPS, STAMPS[0], waited_s=1.0)).final


def test_without_odometry_a_single_frame_variant_stands_still_and_says_so_once() -> None:
    buffer = Buffer()
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
        buffer.set_transform(odometry(stamp_ns), "test")
    assert not poses(poses_of.lookup(STAMPS, STAMPS[0])).static
    assert len(said) == 2


def test_without_odometry_a_variant_with_memory_gets_nothing() -> None:
    buffer = Buffer()
    rig(buffer)
    answer = unavailable(source(buffer, wait_s=0.3).lookup(STAMPS, STAMPS[0], waited_s=0.3))
    assert (answer.cause, answer.final) == ("unknown", True)
    assert "odom" in answer.reason


def test_no_fixed_frame_at_all() -> None:
    buffer = Buffer()
    rig(buffer)
    assert poses(source(buffer, fixed_frame="", allow_static=True).lookup(STAMPS, STAMPS[0])).static
    assert unavailable(source(buffer, fixed_frame="").lookup(STAMPS, STAMPS[0])).final


def test_cameras_without_a_frame_name_use_their_own() -> None:
    assert frames_by_camera(["front", "rear"], {"front": "front_optical", "rear": ""}) == ("front_optical", "rear")


@pytest.fixture
def node() -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("transforms_test", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_the_listener_tells_of_data_and_starts_over_when_tf_jumps_back(node: Node) -> None:
    buffer = Buffer()
    rig(buffer)
    heard: list[int] = []
    logger = node.get_logger()
    problems = Problems(logger, SeldomLogger(logger), node.context.ok)
    listener = TfListener(buffer, node, problems, on_data=lambda: heard.append(1))
    publisher = node.create_publisher(TFMessage, "/tf", 10)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    while publisher.get_subscription_count() == 0:
        executor.spin_once(timeout_sec=0.1)

    def publish(*stamps_ns: int) -> None:
        before = len(heard)
        for stamp_ns in stamps_ns:
            publisher.publish(TFMessage(transforms=[odometry(stamp_ns)]))
        while len(heard) < before + len(stamps_ns):
            executor.spin_once(timeout_sec=30)

    poses_of = source(buffer)
    publish(109 * S, 111 * S)
    assert isinstance(poses_of.lookup([110 * S] * 3, 110 * S), Poses)
    publish(9 * S)  # the recording starts again
    assert listener.jumps == 1
    assert unavailable(poses_of.lookup([110 * S] * 3, 110 * S)).cause == "future"
    assert unavailable(poses_of.lookup(STAMPS, STAMPS[0])).cause == "future"
    publish(11 * S)
    np.testing.assert_allclose(poses(poses_of.lookup(STAMPS, STAMPS[0])).odom_from_base[0, 0, 3], SPEED)
    executor.shutdown()
