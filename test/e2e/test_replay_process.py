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

"""A replay process talks over DDS to a listener in this one."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from drive_bag import write_drive

from flashocc_ros.bags import RELIABLE, BagReader, BagWriter
from flashocc_ros.bags.headers import header_stamp_ns

pytestmark = pytest.mark.ros

DEADLINE_S = 90.0
IMAGES = ("/CAM_FRONT/image/compressed", "/CAM_BACK/image/compressed")
INFOS = ("/CAM_FRONT/camera_info", "/CAM_BACK/camera_info")


class Listener:
    """Hears a drive; answers a set on ``answer`` when both its images came, unless told not to."""

    def __init__(self, domain: int, answers: Callable[[int], bool] = lambda number: True) -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        from nav_msgs.msg import Odometry
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node
        from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
        from rosgraph_msgs.msg import Clock
        from sensor_msgs.msg import CameraInfo, CompressedImage
        from tf2_msgs.msg import TFMessage

        self.heard: list[tuple[str, bytes]] = []
        self._answers, self._waiting, self._sets = answers, 0, 0
        self._context = Context()
        self._context.init(domain_id=domain)
        self.node = Node("listener", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._answer, self._answer_type = self.node.create_publisher(Odometry, "answer", 10), Odometry
        self._diagnostics = self.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        sensor = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        kinds: list[tuple[str, Any, Any]] = [(t, CompressedImage, sensor) for t in IMAGES]
        kinds += [(t, CameraInfo, sensor) for t in INFOS]
        kinds += [
            ("/tf", TFMessage, QoSProfile(depth=100)),
            ("/tf_static", TFMessage, latched),
            ("/clock", Clock, sensor),
        ]
        for topic, kind, qos in kinds:
            self.node.create_subscription(kind, topic, lambda cdr, t=topic: self._hear(t, cdr), qos, raw=True)

    def _hear(self, topic: str, cdr: bytes) -> None:
        self.heard.append((topic, cdr))
        if topic in IMAGES:
            self._waiting += 1
            if self._waiting == len(IMAGES):
                self._waiting = 0
                self._sets += 1
                if self._answers(self._sets):
                    message = self._answer_type()
                    seconds, rest = divmod(header_stamp_ns(cdr), 1_000_000_000)
                    message.header.stamp.sec, message.header.stamp.nanosec = seconds, rest
                    self._answer.publish(message)

    def report(self, published: int) -> None:
        """What ``flashocc_node`` tells of itself."""
        from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

        values = [KeyValue(key="sets_published", value=str(published)), KeyValue(key="sets_dropped", value="0")]
        self._diagnostics.publish(DiagnosticArray(status=[DiagnosticStatus(name="listener: pipeline", values=values)]))

    @property
    def sets(self) -> int:
        """Complete sets so far."""
        return self._sets

    def counts(self) -> Counter[str]:
        return Counter(topic for topic, _ in self.heard)

    def listen_until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE_S
        while not done():
            assert time.monotonic() < end, f"nothing more within {DEADLINE_S} s, heard {self.counts()}"
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()


@contextlib.contextmanager
def listening(domain: int, **options: Any) -> Iterator[Listener]:
    listener = Listener(domain, **options)
    try:
        yield listener
    finally:
        listener.close()


@contextlib.contextmanager
def replay(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "flashocc_ros.cli.main", "replay", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_everything_arrives_in_real_time_with_a_clock(tmp_path: Path, domain: int) -> None:
    drive = write_drive(tmp_path / "drive", sets=5)
    wait_for = ",".join([*IMAGES, *INFOS, "/tf", "/tf_static"])
    with (
        listening(domain) as listener,
        replay(str(drive), "--clock", "--wait-for", wait_for, "--wait", "80") as process,
    ):
        listener.listen_until(lambda: process.poll() is not None)
        listener.listen_until(lambda: listener.counts()["/tf"] == 7)
        output = process.communicate()[0]
    counts = listener.counts()
    assert process.returncode == 0, output
    assert {topic: counts[topic] for topic in (*IMAGES, *INFOS, "/tf")} == dict.fromkeys((*IMAGES, *INFOS), 5) | {
        "/tf": 7
    }
    assert counts["/tf_static"] >= 1
    assert counts["/clock"] > 20
    assert "late" in output


def test_a_lockstep_clock_never_goes_back_and_leaves_no_set_unanswered(tmp_path: Path, domain: int) -> None:
    """Poses run ahead of the images, and a latched message is sent that is older than the start."""
    drive, report = write_drive(tmp_path / "drive", sets=8), tmp_path / "report.json"
    arguments = ["--clock", "--lockstep", "answer", "--start", "0.1", "--wait", "80", "--report", str(report)]
    with listening(domain) as listener, replay(str(drive), *arguments) as process:
        listener.listen_until(lambda: process.poll() is not None)
        output = process.communicate()[0]
    assert process.returncode == 0, output
    told = json.loads(report.read_text())
    assert told["sets"] == told["answered"] > 5
    clock_ns = [header_stamp_ns(cdr) for topic, cdr in listener.heard if topic == "/clock"]  # as a header begins
    assert len(clock_ns) > 20
    assert clock_ns == sorted(clock_ns)


def test_lockstep_waits_for_every_answer(tmp_path: Path, domain: int) -> None:
    drive = write_drive(tmp_path / "drive")
    report = tmp_path / "report.json"
    arguments = (str(drive), "--lockstep", "answer", "--wait", "80", "--report", str(report))
    with listening(domain) as listener, replay(*arguments) as process:
        listener.listen_until(lambda: process.poll() is not None)
        output = process.communicate()[0]
    assert process.returncode == 0, output
    sent = json.loads(report.read_text())
    assert (sent["sets"], sent["answered"], sent["unanswered"]) == (6, 6, 0)
    # which camera is the anchor does not matter here, only that each of its six images is noted
    assert len(sent["sent_ns"]) == 6
    assert sum(listener.counts()[topic] for topic in IMAGES) == 12


def test_lockstep_survives_a_set_that_is_dropped(tmp_path: Path, domain: int) -> None:
    drive = write_drive(tmp_path / "drive")
    report = tmp_path / "report.json"
    arguments = (str(drive), "--lockstep", "answer", "--wait", "80", "--report", str(report))
    with listening(domain, answers=lambda number: number != 2) as listener, replay(*arguments) as process:
        listener.listen_until(lambda: process.poll() is not None)
        output = process.communicate()[0]
    sent = json.loads(report.read_text())
    assert (sent["sets"], sent["answered"], sent["unanswered"]) == (6, 5, 1)
    assert process.returncode == 1
    assert "error: 1 of 6 camera sets were lost" in output


def test_lockstep_goes_on_when_an_answer_is_lost_on_its_way(tmp_path: Path, domain: int) -> None:
    drive = write_drive(tmp_path / "drive")
    report = tmp_path / "report.json"
    arguments = (str(drive), "--lockstep", "answer", "--wait", "80", "--report", str(report))
    with listening(domain, answers=lambda number: number != 1) as listener, replay(*arguments) as process:

        def over() -> bool:
            listener.report(published=listener.sets)
            return process.poll() is not None

        listener.listen_until(over)
    sent = json.loads(report.read_text())
    assert (sent["sets"], sent["answered"], sent["lost"], sent["unanswered"]) == (6, 5, 1, 0)
    assert process.returncode == 1


def test_late_listeners_get_all_static_transforms_and_the_only_calibration(tmp_path: Path, domain: int) -> None:
    """One message for each of two broadcasters, and a calibration that was recorded once, before anybody listens."""
    drive, once = write_drive(tmp_path / "drive"), tmp_path / "once"
    with BagReader(drive) as reader, BagWriter(once) as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type, RELIABLE)
        calibrated: set[str] = set()
        for topic, stamp_ns, cdr in reader.messages():
            if topic.name not in calibrated:
                writer.write(topic.name, stamp_ns, cdr)
            if topic.name in INFOS:
                calibrated.add(topic.name)
    with replay(str(once), "--rate", "0.005", "--wait", "0") as process:
        assert process.stdout is not None
        assert "playing anyway" in process.stdout.readline()
        frames: set[str] = set()
        infos: list[int] = []
        with listening(domain) as listener:
            from rclpy.qos import DurabilityPolicy, QoSProfile
            from rclpy.serialization import deserialize_message
            from sensor_msgs.msg import CameraInfo
            from tf2_msgs.msg import TFMessage

            latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            listener.node.create_subscription(
                CameraInfo, INFOS[0], lambda message: infos.append(message.width), latched
            )

            def complete() -> bool:
                for topic, cdr in listener.heard:
                    if topic == "/tf_static":
                        frames.update(t.child_frame_id for t in deserialize_message(cdr, TFMessage).transforms)
                return frames == {"CAM_FRONT", "CAM_BACK"} and infos == [32]

            listener.listen_until(complete)
        process.send_signal(signal.SIGINT)


def test_a_loop_starts_again_and_ends_when_interrupted(tmp_path: Path, domain: int) -> None:
    drive = write_drive(tmp_path / "drive", sets=2)
    with (
        listening(domain) as listener,
        replay(str(drive), "--loop", "--rate", "2", "--wait-for", "cameras,/tf") as process,
    ):
        listener.listen_until(lambda: listener.counts()["/tf"] >= 9)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=DEADLINE_S)[0]
    assert process.returncode == 0, output
    assert "interrupted" in output
    stamps = [header_stamp_ns(cdr) for topic, cdr in listener.heard if topic == IMAGES[0]]
    assert stamps.count(stamps[0]) >= 2


def test_nobody_listening_is_an_error_when_somebody_must(tmp_path: Path, domain: int) -> None:
    drive = write_drive(tmp_path / "drive")
    with replay(str(drive), "--wait-for", "/tf", "--wait", "0.2") as process:
        output = process.communicate(timeout=DEADLINE_S)[0]
    assert process.returncode == 1
    assert "nobody subscribed to /tf" in output.replace("\n", " ")
