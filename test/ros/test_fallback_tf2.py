"""The transform buffer and listener, whichever is installed, behave as tf2 documents."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("tf2_msgs.msg")

from geometry_msgs.msg import TransformStamped  # noqa: E402
from rclpy.duration import Duration  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from rclpy.time import Time  # noqa: E402
from scipy.spatial.transform import Rotation, Slerp  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from flashocc_ros.ros.fallback import (  # noqa: E402
    Buffer,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
    TransformListener,
)
from flashocc_ros.ros.transforms import matrix_of  # noqa: E402

pytestmark = pytest.mark.ros

S = 1_000_000_000


def transform(
    parent: str,
    child: str,
    stamp_s: float,
    position: tuple[float, float, float] = (0.0, 0.0, 0.0),
    rotation: Rotation | None = None,
) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(round(stamp_s * S), S)
    vector, quaternion = message.transform.translation, message.transform.rotation
    vector.x, vector.y, vector.z = position
    values = (rotation or Rotation.identity()).as_quat().tolist()
    quaternion.x, quaternion.y, quaternion.z, quaternion.w = values
    return message


def at(stamp_s: float) -> Time:
    return Time(nanoseconds=round(stamp_s * S))


@pytest.fixture
def buffer() -> Buffer:
    """odom -> base_link moves 1 m/s along x from 10 s to 12 s and yaws; base_link -> camera is fixed."""
    buffer = Buffer()
    for stamp in (10.0, 10.5, 11.0, 12.0):
        yaw = Rotation.from_euler("z", 40 * (stamp - 10), degrees=True)
        buffer.set_transform(transform("odom", "base_link", stamp, (stamp - 10, 0.0, 0.0), yaw), "test")
    camera = Rotation.from_euler("ZYX", [-90, 0, -90], degrees=True)
    buffer.set_transform_static(transform("base_link", "camera", 0.0, (1.5, 0.2, 1.6), camera), "test")
    return buffer


def test_a_lookup_maps_points_of_the_source_into_the_target(buffer: Buffer) -> None:
    message = buffer.lookup_transform("base_link", "camera", at(11))
    assert (message.header.frame_id, message.child_frame_id) == ("base_link", "camera")
    ahead = matrix_of(message) @ [0, 0, 10, 1]
    np.testing.assert_allclose(ahead, [11.5, 0.2, 1.6, 1], atol=1e-9)


def test_between_samples_positions_are_linear_and_rotations_slerp(buffer: Buffer) -> None:
    message = buffer.lookup_transform("odom", "base_link", at(11.25))
    yaws = Rotation.from_euler("z", [[40], [80]], degrees=True)
    np.testing.assert_allclose(matrix_of(message)[:3, 3], [1.25, 0, 0], atol=1e-9)
    np.testing.assert_allclose(matrix_of(message)[:3, :3], Slerp([0, 1], yaws)(0.25).as_matrix(), atol=1e-9)
    assert message.header.stamp.sec == 11
    assert message.header.stamp.nanosec == 250_000_000


def test_a_path_up_and_down_the_tree(buffer: Buffer) -> None:
    buffer.set_transform_static(transform("base_link", "lidar", 0, (0.0, 0.0, 2.0)), "test")
    camera = matrix_of(buffer.lookup_transform("base_link", "camera", at(11)))
    lidar = matrix_of(buffer.lookup_transform("base_link", "lidar", at(11)))
    through = matrix_of(buffer.lookup_transform("lidar", "camera", at(500)))  # static: any time
    np.testing.assert_allclose(through, np.linalg.inv(lidar) @ camera, atol=1e-9)
    forth = matrix_of(buffer.lookup_transform("odom", "camera", at(10.7)))
    back = matrix_of(buffer.lookup_transform("camera", "odom", at(10.7)))
    np.testing.assert_allclose(forth @ back, np.eye(4), atol=1e-9)


def test_time_zero_is_the_latest_common_time(buffer: Buffer) -> None:
    buffer.set_transform(transform("base_link", "gimbal", 11.0), "test")
    buffer.set_transform(transform("base_link", "gimbal", 11.5), "test")
    message = buffer.lookup_transform("odom", "gimbal", Time())
    assert message.header.stamp.sec * S + message.header.stamp.nanosec == round(11.5 * S)
    assert matrix_of(message)[0, 3] == pytest.approx(1.5)
    latest = buffer.lookup_transform("odom", "base_link", Time())
    assert latest.header.stamp.sec == 12


def test_time_zero_of_a_static_path_is_zero(buffer: Buffer) -> None:
    message = buffer.lookup_transform("base_link", "camera", Time())
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)


def test_a_frame_in_itself_is_the_identity(buffer: Buffer) -> None:
    np.testing.assert_array_equal(matrix_of(buffer.lookup_transform("odom", "odom", at(99))), np.eye(4))


@pytest.mark.parametrize(("stamp_s", "words"), [(12.1, "into the future"), (9.9, "into the past")])
def test_nothing_is_extrapolated(buffer: Buffer, stamp_s: float, words: str) -> None:
    with pytest.raises(ExtrapolationException, match=words):
        buffer.lookup_transform("odom", "camera", at(stamp_s))


def test_one_sample_holds_for_its_time_only() -> None:
    buffer = Buffer()
    buffer.set_transform(transform("odom", "base_link", 10.0, (1.0, 0.0, 0.0)), "test")
    assert matrix_of(buffer.lookup_transform("odom", "base_link", at(10)))[0, 3] == 1
    with pytest.raises(ExtrapolationException):
        buffer.lookup_transform("odom", "base_link", at(10.1))


def test_an_unknown_frame(buffer: Buffer) -> None:
    with pytest.raises(LookupException, match="roof"):
        buffer.lookup_transform("odom", "roof", at(11))


def test_two_trees(buffer: Buffer) -> None:
    buffer.set_transform_static(transform("map", "building", 0), "test")
    with pytest.raises(ConnectivityException):
        buffer.lookup_transform("map", "base_link", at(11))


@pytest.mark.parametrize("name", ["", "/odom"])
def test_names_that_are_no_frames(buffer: Buffer, name: str) -> None:
    with pytest.raises(InvalidArgumentException):
        buffer.lookup_transform(name, "base_link", at(11))


def test_all_errors_have_one_base() -> None:
    for kind in (LookupException, ConnectivityException, ExtrapolationException, InvalidArgumentException):
        assert issubclass(kind, TransformException)


def test_can_transform_tells_without_raising(buffer: Buffer) -> None:
    assert buffer.can_transform("odom", "camera", at(11)) is True
    assert buffer.can_transform("odom", "camera", at(13)) is False
    able, why = buffer.can_transform("odom", "camera", at(13), return_debug_tuple=True)  # type: ignore[misc]
    assert not able
    assert "future" in why


def test_samples_that_come_late_are_sorted_in(buffer: Buffer) -> None:
    buffer.set_transform(transform("odom", "base_link", 11.5, (7.0, 0.0, 0.0)), "test")
    assert matrix_of(buffer.lookup_transform("odom", "base_link", at(11.5)))[0, 3] == pytest.approx(7)
    assert matrix_of(buffer.lookup_transform("odom", "base_link", at(12)))[0, 3] == pytest.approx(2)


def test_a_static_transform_is_replaced(buffer: Buffer) -> None:
    buffer.set_transform_static(transform("base_link", "camera", 0.0, (9.0, 0.0, 0.0)), "test")
    assert matrix_of(buffer.lookup_transform("base_link", "camera", at(11)))[0, 3] == 9


def test_samples_older_than_the_cache_are_refused() -> None:
    buffer = Buffer(cache_time=Duration(seconds=2))
    buffer.set_transform(transform("odom", "base_link", 10.0), "test")
    buffer.set_transform(transform("odom", "base_link", 13.0), "test")
    buffer.set_transform(transform("odom", "base_link", 10.5), "test")
    with pytest.raises(ExtrapolationException):
        buffer.lookup_transform("odom", "base_link", at(10.5))


@pytest.mark.parametrize(
    "bad",
    [
        transform("odom", "odom", 11.7),
        transform("", "base_link", 11.7),
        transform("odom", "base_link", 11.7, (float("nan"), 0.0, 0.0)),
    ],
    ids=["itself", "no parent", "nan"],
)
def test_a_transform_that_cannot_be_is_ignored(buffer: Buffer, bad: TransformStamped) -> None:
    buffer.set_transform(bad, "test")
    assert matrix_of(buffer.lookup_transform("odom", "base_link", at(11.7)))[0, 3] == pytest.approx(1.7)


def test_a_quaternion_that_is_none_is_ignored(buffer: Buffer) -> None:
    bad = transform("odom", "base_link", 11.7, (50.0, 0.0, 0.0))
    bad.transform.rotation.w = 0.0
    buffer.set_transform(bad, "test")
    assert matrix_of(buffer.lookup_transform("odom", "base_link", at(11.7)))[0, 3] == pytest.approx(1.7)


def test_clear_forgets_movement_and_keeps_what_is_static(buffer: Buffer) -> None:
    buffer.clear()
    with pytest.raises(TransformException):
        buffer.lookup_transform("odom", "base_link", at(11))
    assert buffer.can_transform("base_link", "camera", at(11))


def test_through_a_fixed_frame_between_two_times(buffer: Buffer) -> None:
    message = buffer.lookup_transform_full("base_link", at(12), "camera", at(10.5), "odom")
    later = matrix_of(buffer.lookup_transform("odom", "base_link", at(12)))
    earlier = matrix_of(buffer.lookup_transform("odom", "camera", at(10.5)))
    np.testing.assert_allclose(matrix_of(message), np.linalg.inv(later) @ earlier, atol=1e-9)


def test_waiting_ends_when_the_transform_arrives(buffer: Buffer) -> None:
    asked = threading.Event()
    got: list[TransformStamped] = []

    def wait() -> None:
        asked.set()
        got.append(buffer.lookup_transform("odom", "base_link", at(12.5), Duration(seconds=30)))

    thread = threading.Thread(target=wait)
    thread.start()
    asked.wait()
    buffer.set_transform(transform("odom", "base_link", 13.0, (3.0, 0.0, 0.0)), "test")
    thread.join(30)
    assert matrix_of(got[0])[0, 3] == pytest.approx(2.5)


@pytest.fixture
def node() -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("fallback_tf2", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def spin_until(node: Node, done: Callable[[], bool], timeout_s: float = 30) -> None:
    """Handles messages one by one until ``done``."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    end = node.get_clock().now() + Duration(seconds=timeout_s)
    while not done():
        assert node.get_clock().now() < end, "nothing arrived"
        executor.spin_once(timeout_sec=1)
    executor.remove_node(node)
    executor.shutdown()


def test_the_listener_feeds_the_buffer_over_dds(node: Node) -> None:
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    static = node.create_publisher(TFMessage, "/tf_static", latched)
    static.publish(TFMessage(transforms=[transform("base_link", "camera", 0, (1.0, 0.0, 0.0))]))  # before it listens
    buffer = Buffer()
    TransformListener(buffer, node)
    moving = node.create_publisher(TFMessage, "/tf", 10)
    spin_until(node, lambda: moving.get_subscription_count() > 0 and buffer.can_transform("base_link", "camera", at(1)))
    moving.publish(TFMessage(transforms=[transform("odom", "base_link", 10)]))
    moving.publish(TFMessage(transforms=[transform("odom", "base_link", 11, (1.0, 0.0, 0.0))]))
    spin_until(node, lambda: bool(buffer.can_transform("odom", "camera", at(10.5))))
    assert matrix_of(buffer.lookup_transform("odom", "camera", at(10.5)))[0, 3] == pytest.approx(1.5)
