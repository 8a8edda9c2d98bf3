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

"""A recording read offline and the same messages sent to the node over DDS: the same sets, poses and refusals.

The node's inputs take every message from DDS; only their clock is that of the recording, so that what depends on time
does not depend on how busy the machine is.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("flashocc_ros.msg")

from drive_bag import MS, T0_NS, write_drive  # noqa: E402
from rclpy.clock import Clock, ClockType  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import CameraInfo, CompressedImage  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from flashocc_ros import bags  # noqa: E402
from flashocc_ros.bags.camera_sets import Frames, odom_frame, outcomes, road_of  # noqa: E402
from flashocc_ros.bags.cameras import find_cameras  # noqa: E402
from flashocc_ros.cameras.road import PosedSet  # noqa: E402
from flashocc_ros.ros.faults import CameraFaults  # noqa: E402
from flashocc_ros.ros.inputs import CameraInputs  # noqa: E402
from flashocc_ros.ros.logs import SeldomLogger  # noqa: E402
from flashocc_ros.ros.parameter_checks import build  # noqa: E402
from flashocc_ros.ros.problems import Problems  # noqa: E402
from flashocc_ros.ros.statistics import Statistics  # noqa: E402

pytestmark = pytest.mark.ros

TYPES = {
    "sensor_msgs/msg/CompressedImage": CompressedImage,
    "sensor_msgs/msg/CameraInfo": CameraInfo,
    "tf2_msgs/msg/TFMessage": TFMessage,
}
NUSCENES_MS = {
    "CAM_FRONT_LEFT": 0.0,
    "CAM_FRONT": 7.586,
    "CAM_FRONT_RIGHT": 15.465,
    "CAM_BACK_LEFT": 42.549,
    "CAM_BACK": 32.651,
    "CAM_BACK_RIGHT": 23.019,
}
Row = tuple[str, int, Any]
"""Topic, time of recording and message."""
Edit = Callable[[list[Row]], list[Row]]


# ---------------------------------------------------------------- recordings
def restamp(message: Any, shift_ns: int) -> Any:
    stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec + shift_ns
    stamp = replace(message.header.stamp, sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return replace(message, header=replace(message.header, stamp=stamp))


def transforms(message: Any, change: Callable[[Any], Any]) -> Any:
    return replace(message, transforms=[change(each) for each in message.transforms])


def is_image(row: Row) -> bool:
    return "image" in row[0]


def plain(rows: list[Row]) -> list[Row]:
    return rows


def jittered(rows: list[Row]) -> list[Row]:
    rng = np.random.default_rng(1)
    return [(t, n, restamp(m, int(rng.integers(-9, 10)) * MS) if "image" in t else m) for t, n, m in rows]


def lossy(rows: list[Row]) -> list[Row]:
    rng = np.random.default_rng(2)
    return [row for row in rows if not is_image(row) or rng.random() > 0.12]


def late_tf(rows: list[Row]) -> list[Row]:
    """Now and then odometry comes later than a set waits."""
    late = itertools.cycle([0, 100, 0, 0, 700, 600, 500, 400, 300])
    return [(t, n + next(late) * MS if t == "/tf" else n, m) for t, n, m in rows]


def moving_mounts(rows: list[Row]) -> list[Row]:
    """The mountings come on /tf, stamped anew, and one camera turns."""
    mounts = [each for t, _, m in rows if t == "/tf_static" for each in m.transforms]
    result = []
    for topic, when, message in rows:
        if topic == "/tf":
            turn = (when - T0_NS) / 1e10
            extra = [restamp(each, (when - T0_NS)) for each in mounts]
            pose = extra[0].transform
            extra[0] = replace(
                extra[0],
                transform=replace(pose, rotation=replace(pose.rotation, x=0.0, y=0.0, z=np.sin(turn), w=np.cos(turn))),
            )
            message = replace(message, transforms=[*message.transforms, *extra])
        if topic != "/tf_static":
            result.append((topic, when, message))
    return result


def slashes(rows: list[Row]) -> list[Row]:
    def slash(each: Any) -> Any:
        return replace(slash_header(each), child_frame_id="/" + each.child_frame_id)

    return [(t, n, transforms(m, slash) if "tf" in t else slash_header(m)) for t, n, m in rows]


def slash_header(message: Any) -> Any:
    return replace(message, header=replace(message.header, frame_id="/" + message.header.frame_id))


def two_drives(rows: list[Row]) -> list[Row]:
    """The recording twice, its stamps as before, as when a bag is played in a loop."""
    length_ns = rows[-1][1] - rows[0][1] + 600 * MS
    return rows + [(topic, when + length_ns, message) for topic, when, message in rows]


def half_rate(rows: list[Row]) -> list[Row]:
    """One camera gives every second image only."""
    keep = itertools.cycle([True, False])
    return [row for row in rows if row[0] != "/CAM_BACK/image/compressed" or next(keep)]


def bad_transforms(rows: list[Row]) -> list[Row]:
    """The first odometry is not initialised, a frame is its own parent, two frames turn in a circle."""
    bad_first = True
    result = []
    for topic, when, message in rows:
        if topic == "/tf":
            each = message.transforms[0]
            own = replace(each, child_frame_id="odom")
            if bad_first:
                zero = replace(each.transform.rotation, w=0.0)
                each, bad_first = replace(each, transform=replace(each.transform, rotation=zero)), False
            message = replace(message, transforms=[each, own])
        if topic == "/tf_static":
            each = message.transforms[0]
            circle = [
                replace(each, header=replace(each.header, frame_id=a), child_frame_id=b)
                for a, b in (("lidar", "imu"), ("imu", "lidar"))
            ]
            message = replace(message, transforms=[*message.transforms, *circle])
        result.append((topic, when, message))
    return result


def info_once(rows: list[Row]) -> list[Row]:
    seen: set[str] = set()
    return [row for row in rows if "camera_info" not in row[0] or not (row[0] in seen or seen.add(row[0]))]


def info_late(rows: list[Row]) -> list[Row]:
    """Calibration starts half a second after the images."""
    return [row for row in rows if "camera_info" not in row[0] or row[1] > T0_NS + 500 * MS]


def odometry_gap(rows: list[Row]) -> list[Row]:
    """No odometry in the second half."""
    middle_ns = (rows[0][1] + rows[-1][1]) // 2
    return [row for row in rows if row[0] != "/tf" or row[1] < middle_ns]


def other_clock(rows: list[Row]) -> list[Row]:
    """One camera lives in TAI."""
    return [(t, n, restamp(m, 37 * 10**9) if t == "/CAM_BACK/image/compressed" else m) for t, n, m in rows]


DRIVES: dict[str, tuple[dict[str, Any], Edit]] = {
    "4 Hz": ({"period_ms": 250}, plain),
    "12 Hz": ({"period_ms": 83}, plain),
    "real 12 Hz": ({"period_ms": 83, "delays_ms": NUSCENES_MS}, plain),
    "staggered": ({"period_ms": 100, "delays_ms": {"CAM_FRONT": 0, "CAM_LEFT": 33, "CAM_BACK": 66}}, plain),
    "jittered": ({"period_ms": 100, "sets": 14}, jittered),
    "lossy": ({"period_ms": 100, "sets": 20, "delays_ms": NUSCENES_MS}, lossy),
    "late tf": ({"period_ms": 100, "sets": 12}, late_tf),
    "moving mounts": ({"period_ms": 100}, moving_mounts),
    "slashes": ({"period_ms": 100}, slashes),
    "two drives": ({"period_ms": 100, "sets": 14}, two_drives),
    "half rate": ({"period_ms": 100, "sets": 20}, half_rate),
    "bad transforms": ({"period_ms": 100}, bad_transforms),
    "info once": ({"period_ms": 100}, info_once),
    "info late": ({"period_ms": 100, "sets": 12}, info_late),
    "odometry gap": ({"period_ms": 100, "sets": 12}, odometry_gap),
    "another clock": ({"period_ms": 100, "sets": 12}, other_clock),
    "no odometry": ({"period_ms": 100, "odometry": False}, plain),
}
NO_SET = {"another clock"}


def record(path: Path, options: dict[str, Any], edit: Edit) -> Path:
    source = write_drive(path / "plain", **options)
    with bags.BagReader(source) as reader:
        rows = [(t.name, when, reader.deserialize(cdr, t.type)) for t, when, cdr in reader.messages()]
        edited = sorted(edit(rows), key=lambda row: row[1])
        with bags.BagWriter(path / "edited") as writer:
            for topic in reader.topics.values():
                writer.add_topic(topic.name, topic.type, topic.qos)
            for name, when, message in edited:
                writer.write(name, when, message)
    return path / "edited"


# ---------------------------------------------------------------- the two ways
def offline(path: Path) -> tuple[list[PosedSet], Counter[str]]:
    with bags.BagReader(path) as bag:
        topics = find_cameras(bag)
        found = list(outcomes(bag, road_of(bag, tuple(topics), Frames()), topics, Frames()))
    refused = Counter(outcome.reason for outcome in found if not isinstance(outcome, PosedSet))
    return [outcome for outcome in found if isinstance(outcome, PosedSet)], refused


class Taker:
    """Takes what the node's inputs hand on."""

    def __init__(self) -> None:
        self.sets: list[PosedSet] = []

    def submit(self, posed: PosedSet) -> None:
        self.sets.append(posed)

    def discard(self) -> None:
        return None


class Live:
    """The inputs of a node, and a publisher that sends one recorded message after the other."""

    def __init__(self, bag: bags.BagReader) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("one_road", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        topics = find_cameras(bag)
        values = {
            "variant": "synthetic-tiny",
            "cameras.names": list(topics),
            "cameras.image_topic": "/{name}/image/compressed",
            "cameras.info_topic": "/{name}/camera_info",
            "odom_frame": odom_frame(bag),
        }
        self.now_ns, self.taker, self.statistics = 0, Taker(), Statistics()
        logger = self.node.get_logger()
        seldom = SeldomLogger(logger)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        problems = Problems(logger, seldom, self.context.ok)
        parameters = build(values, {})
        self.inputs = CameraInputs(
            self.node,
            parameters,
            self.statistics,
            seldom,
            problems,
            CameraFaults(),
            self.taker,  # type: ignore[arg-type]
            steady,
            lambda: self.now_ns,
        )
        self.road = self.inputs._road
        self.arrived = 0
        for owner, method in ((self.road, "add_image"), (self.road, "add_info"), (self.road.intake, "take")):
            setattr(owner, method, self._counted(getattr(owner, method)))
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.publishers = {
            t.name: self.node.create_publisher(TYPES[t.type], t.name, latched if t.name == "/tf_static" else 10)
            for t in bag.topics.values()
        }
        while not all(p.get_subscription_count() for p in self.publishers.values()):
            self.executor.spin_once(timeout_sec=0.1)

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.arrived += 1
            return method(*arguments, **named)

        return call

    def wait_until(self, until_ns: int | None) -> None:
        while (due_ns := self.road.next_deadline_ns()) is not None and (until_ns is None or due_ns <= until_ns):
            self.now_ns = due_ns
            self.inputs._poll()

    def send(self, topic: str, recorded_ns: int, cdr: bytes) -> None:
        self.wait_until(recorded_ns)
        self.now_ns = recorded_ns
        before = self.arrived
        self.publishers[topic].publish(bytes(cdr))
        for _ in range(600):
            if self.arrived > before:
                return
            self.executor.spin_once(timeout_sec=0.1)
        raise AssertionError(f"a message on {topic} never arrived")

    def close(self) -> None:
        self.inputs.destroy()
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


def live(path: Path) -> tuple[list[PosedSet], Counter[str]]:
    with bags.BagReader(path) as bag:
        node = Live(bag)
        try:
            for topic, recorded_ns, cdr in bag.messages():
                node.send(topic.name, recorded_ns, cdr)
            node.wait_until(None)
        finally:
            node.close()
    counters, _ = node.statistics.summary()
    prefix = "sets_dropped_"
    refused = Counter({key.removeprefix(prefix): n for key, n in counters.items() if key.startswith(prefix) and n})
    del refused["incomplete"]  # no set: the synchroniser never handed it out
    return node.taker.sets, refused


@pytest.mark.parametrize("name", DRIVES)
def test_a_recording_gives_what_the_node_gives(name: str, tmp_path: Path, domain: int) -> None:
    path = record(tmp_path, *DRIVES[name])
    sets, refused = offline(path)
    live_sets, live_refused = live(path)
    assert refused == live_refused
    assert [s.stamps_ns.tolist() for s in sets] == [s.stamps_ns.tolist() for s in live_sets]
    assert bool(sets) == (name not in NO_SET)
    for recorded, from_topics in zip(sets, live_sets, strict=True):
        assert (recorded.stamp_ns, recorded.epoch) == (from_topics.stamp_ns, from_topics.epoch)
        for part in ("base_from_camera", "odom_from_base", "key_pose"):
            ours, theirs = getattr(recorded.poses, part), getattr(from_topics.poses, part)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


def test_the_hard_recordings_are_hard(tmp_path: Path) -> None:
    """What makes the comparison worth something: sets are lost, refused, of two drives, and mountings move."""
    found = {name: offline(record(tmp_path / name.replace(" ", "_"), *DRIVES[name])) for name in DRIVES}
    assert found["late tf"][1]["transform"] > 0
    assert found["info late"][1]["camera_info"] > 0
    assert found["odometry gap"][1]["transform"] > 0
    assert len(found["lossy"][0]) < 20
    assert len({s.epoch for s in found["two drives"][0]}) == 2
    turned = found["moving mounts"][0]
    assert not np.allclose(turned[0].poses.base_from_camera, turned[-1].poses.base_from_camera)
    assert all(s.poses.static for s in found["no odometry"][0])
