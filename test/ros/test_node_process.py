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

"""The node as a process of its own, as users start it: end to end over DDS, and how it stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
from lifecycle_msgs.srv import GetState
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2

from flashocc_ros.labels import FREE
from flashocc_ros.msg import ClassTable, Occupancy3D
from flashocc_ros.ros.stamps import ns_from_stamp

Make = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
STOP_S = 60
SMALL = ["variant:=synthetic-tiny", "engine:=torch", "cameras.names:=[front, back]", "sync.timeout_s:=0.1"]
# A reliable reader misses nothing that was sent after the writer found it.
SMALL.append("cameras.reliability:=reliable")


@pytest.fixture
def start_process() -> Iterator[Make]:
    """Start `flashocc_node` with parameters; whatever is left is killed after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(
        *parameters: str,
        program: Sequence[str] = ("-m", "flashocc_ros.ros.main"),
        stderr: int = subprocess.STDOUT,
    ) -> subprocess.Popen[str]:
        flags = [word for parameter in parameters for word in ("-p", parameter)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        process = subprocess.Popen(
            [sys.executable, *program, "--ros-args", *flags],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def stop(process: subprocess.Popen[str], *signals: int) -> str:
    """Send signals, wait, and return what is in its stdout; it must end with 0 and without a traceback."""
    for number in signals:
        process.send_signal(number)
    output, _ = process.communicate(timeout=STOP_S)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    return output


def ready(feeder: Any) -> None:
    """Wait for the latched class table and for all topics."""
    tables = feeder.listen("class_table", ClassTable, LATCHED)
    subscriptions = list(feeder.node.subscriptions)
    feeder.until(lambda: tables, "the node to be ready")
    publishers = [*feeder.images.values(), *feeder.infos.values(), feeder.tf]
    feeder.until(lambda: all(p.get_subscription_count() for p in publishers), "the node's subscriptions")
    feeder.until(lambda: all(s.get_publisher_count() for s in subscriptions), "the node's publishers")


def test_a_drive_through_two_processes_loses_nothing_and_leaves_stdout_alone(make_feeder: Make, start_process: Make):
    feeder = make_feeder()
    occupancy, points = feeder.listen("occupancy", Occupancy3D), feeder.listen("points", PointCloud2)
    process = start_process(*SMALL, stderr=subprocess.DEVNULL)
    ready(feeder)
    sent = []
    for _ in range(5):
        before = len(points)
        sent.append(feeder.send())
        feeder.until(lambda n=before: len(points) > n and len(occupancy) > n, "the answer")
    assert [ns_from_stamp(m.header.stamp) for m in occupancy] == sent
    labels = np.frombuffer(occupancy[-1].labels, np.uint8)
    assert points[-1].width == int((labels != FREE).sum())
    assert stop(process, signal.SIGINT) == ""


@pytest.mark.parametrize(
    "signals", [(signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)], ids=["SIGTERM", "SIGINT twice"]
)
def test_an_active_node_stops_cleanly(make_feeder: Make, start_process: Make, signals: tuple[int, ...]):
    feeder = make_feeder()
    process = start_process(*SMALL)
    ready(feeder)
    feeder.send()  # stop while a set is on its way
    stop(process, *signals)


SHUT_DOWN_IN_A_CALLBACK = """
import rclpy
from flashocc_ros.ros import main, node

real = node.FlashOccNode._report

def report(self):
    rclpy.shutdown()
    real(self)

node.FlashOccNode._report = report
main.main()
"""


def test_a_signal_in_the_middle_of_a_callback_leaves_no_traceback(start_process: Make):
    stop(start_process("autostart:=false", program=("-c", SHUT_DOWN_IN_A_CALLBACK)))


CYCLES_UNDER_A_CLOCK_THAT_JUMPS = """
import gc, sys
import rclpy
from rclpy.clock import ClockType
from rclpy.time import Time
from flashocc_ros.ros.node import SUCCESS, FlashOccNode

rclpy.init()
node = FlashOccNode()
assert node.trigger_configure() == SUCCESS
gc.set_threshold(1)
for cycle in range(int(sys.argv[1])):
    assert node.trigger_activate() == SUCCESS, cycle
    assert node.trigger_deactivate() == SUCCESS, cycle
    gc.collect()
    for seconds in (100, 50):
        node.get_clock().set_ros_time_override(Time(seconds=seconds, clock_type=ClockType.ROS_TIME))
assert node.close(3.0)
print("survived")
"""


def test_the_clock_calls_nothing_of_an_activation_that_is_over(start_process: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONMALLOC", "debug")  # overwrites memory that is freed, so that its use shows
    process = start_process(
        *SMALL, "use_sim_time:=true", "autostart:=false", program=("-c", CYCLES_UNDER_A_CLOCK_THAT_JUMPS, "20")
    )
    output, _ = process.communicate(timeout=STOP_S)
    assert process.returncode == 0, output
    assert "survived" in output


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_printed_and_no_node_is_started(start_process: Make, flag: str):
    process = start_process(program=("-m", "flashocc_ros.ros.main", flag))
    output, _ = process.communicate(timeout=STOP_S)
    assert process.returncode == 0
    assert "usage: flashocc_node" in output
    assert "[INFO]" not in output


def test_a_process_that_still_imports_stops_cleanly(start_process: Make):
    process = start_process(*SMALL)
    maps = Path(f"/proc/{process.pid}/maps")
    while "_rclpy_pybind11" not in maps.read_text():
        assert process.poll() is None
    stop(process, signal.SIGINT)


def test_a_node_that_is_still_loading_stops_cleanly(start_process: Make):
    process = start_process(*SMALL)
    assert process.stdout is not None
    assert "configured" in next(line for line in process.stdout if "configured" in line)
    stop(process, signal.SIGINT)


def test_a_bad_parameter_keeps_the_process_alive_and_says_what_to_do(make_feeder: Make, start_process: Make):
    feeder = make_feeder()
    process = start_process(*SMALL, "sync.timeout_s:=-3.0")
    state = feeder.call(GetState, "flashocc_node/get_state", GetState.Request()).current_state.label
    assert state == "unconfigured"
    output = stop(process, signal.SIGINT)
    assert "cannot be configured: parameter sync.timeout_s" in output
    assert "-3.0" in output
