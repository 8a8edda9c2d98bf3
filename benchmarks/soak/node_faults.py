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

"""Faults that come to the process of the node. Each acts on the stage; its first line is what the report calls it."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from lifecycle_msgs.msg import Transition
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger

from benchmarks.soak import timing_faults as fault
from benchmarks.soak.message_faults import Fault, camera_stalls_with_huge_info
from benchmarks.soak.messages import NAMES
from benchmarks.soak.processes import address_space_bytes
from benchmarks.soak.stage import ACTIVE, START_S, Stage
from flashocc_ros.msg import Occupancy3D
from flashocc_ros.ros.stamps import NS_PER_S, stamp_from_ns

NodeFault = Callable[[Stage], None]
Bearable = NodeFault | Fault
"""What any running node bears."""


# -------------------------------------------------------------------- what a running node bears
def node_stopped(stage: Stage) -> None:
    """the process stands still for 2 s"""
    assert stage.node is not None
    stage.node.signal(signal.SIGSTOP)
    time.sleep(2.0)
    stage.node.signal(signal.SIGCONT)


def publisher_killed(stage: Stage) -> None:
    """kill -9 of the cameras' process, which starts again"""
    stage.restart_publisher()


def reset_called(stage: Stage) -> None:
    """~/reset is called"""
    stage.call(Trigger, "flashocc_node/reset", Trigger.Request())


def reactivated(stage: Stage) -> None:
    """deactivate and activate while images come"""
    stage.transition(Transition.TRANSITION_DEACTIVATE)
    stage.transition(Transition.TRANSITION_ACTIVATE)


def reconfigured(stage: Stage) -> None:
    """deactivate, cleanup, configure and activate while images come"""
    stage.transition(Transition.TRANSITION_DEACTIVATE)
    stage.transition(Transition.TRANSITION_CLEANUP)
    stage.rested()
    stage.may_be_lost += 1
    stage.transition(Transition.TRANSITION_CONFIGURE)
    stage.transition(Transition.TRANSITION_ACTIVATE)


def subscribers_come_and_go(stage: Stage) -> None:
    """twenty subscribers come and go"""
    made = [stage.ros.create_subscription(Occupancy3D, "occupancy", lambda _: None, 2) for _ in range(20)]
    stage.rest(2.0)
    for subscription in made:
        stage.ros.destroy_subscription(subscription)


def subscriber_sleeps(stage: Stage) -> None:
    """a reliable subscriber takes nothing for 4 s"""
    subscription = stage.ros.create_subscription(Occupancy3D, "occupancy", lambda _: None, QoSProfile(depth=1))
    time.sleep(4.0)
    stage.ros.destroy_subscription(subscription)


def other_qos(stage: Stage) -> None:
    """a further publisher of a camera offers less than the node asks for"""
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    topic = f"{stage.random.choice(NAMES)}/image_rect_compressed"
    publisher = stage.ros.create_publisher(CompressedImage, topic, qos)
    stage.rest(3.0)
    stage.ros.destroy_publisher(publisher)


def cores_busy(stage: Stage) -> None:
    """two busy loops take the cores for 5 s"""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    stage.rest(5.0)
    for loop in loops:
        loop.kill()
        loop.wait()


RUNNING_FAULTS: tuple[NodeFault, ...] = (
    node_stopped,
    publisher_killed,
    reset_called,
    reactivated,
    reconfigured,
    subscribers_come_and_go,
    subscriber_sleeps,
    other_qos,
    cores_busy,
)


# -------------------------------------------------------------------- what needs a life of its own
def node_killed(stage: Stage) -> None:
    """kill -9 of the node, which starts again"""
    stage.run_node()
    stage.rest(3.0)
    stage.end_node(killed=True)
    stage.run_node()


def signals_while_starting(stage: Stage) -> None:
    """SIGINT and SIGTERM at six moments of a start"""
    for after_s in (0.1, 0.5, 1.0, 2.0, 3.0, 5.0):
        stage.start_node()
        time.sleep(after_s)
        stage.end_node(number=stage.random.choice([signal.SIGINT, signal.SIGTERM]))
    stage.run_node()


def memory_short(stage: Stage) -> None:
    """for 5 s the process gets no more memory"""
    node = stage.run_node()
    stage.rest(4.0)
    before = resource.prlimit(node.pid, resource.RLIMIT_AS)
    resource.prlimit(node.pid, resource.RLIMIT_AS, (1 << 20, before[1]))
    stage.rest(5.0)
    resource.prlimit(node.pid, resource.RLIMIT_AS, before)


def memory_short_at_start(stage: Stage) -> None:
    """too little memory to load the network: refused in a sentence, the cache left alone"""
    cache = _cache(stage)
    before = sorted(path.relative_to(cache) for path in cache.rglob("*"))
    node = stage.run_node({"cache_dir": str(cache)}, go=False)
    needed_bytes = address_space_bytes(node.pid)
    stage.end_node()
    for missing_mb in (100, 250):
        _refused(stage, {"cache_dir": str(cache)}, memory_bytes=needed_bytes - (missing_mb << 20))
    if sorted(path.relative_to(cache) for path in cache.rglob("*")) != before:
        stage.problems.append("the cache was changed by a process without memory")
    stage.run_node({"cache_dir": str(cache)})


def cache_damaged(stage: Stage) -> None:
    """the files of the cached engine are cut, noise or missing"""
    cache = _cache(stage)
    for number, file in enumerate(sorted(p for p in cache.rglob("*") if p.is_file() and p.stat().st_size)):
        data = file.read_bytes()
        if number % 3 == 2:
            file.unlink()
        else:
            file.write_bytes(data[: len(data) // 2] if number % 3 else stage.random.randbytes(len(data)))
    stage.run_node({"cache_dir": str(cache)})


def cache_entry_is_a_file(stage: Stage) -> None:
    """entries of the cache are files"""
    cache = _cache(stage)
    for entry in [e for e in cache.iterdir() if e.is_dir()]:
        shutil.rmtree(entry)
        entry.write_text("x")
    node = stage.start_node({"cache_dir": str(cache)})
    if not node.says(ACTIVE, START_S):
        _heard(stage, "cannot be configured")
        shutil.rmtree(cache)
        stage.end_node()
        stage.run_node({"cache_dir": str(cache)})
    else:
        stage.publisher.send(pause=False)


def parameters_refused(stage: Stage) -> None:
    """parameters that cannot be: refused in a sentence, the process lives"""
    for parameters in (
        {"sync.offsets_s": "[0.1, 0.1, 0.1, 0.1, 0.1, 0.1]"},
        {"sync.offsets_s": "[0.0, .nan, .nan, .nan, .nan, .nan]"},
        {"cameras.image_topic": "bad topic {name}"},
        {"cameras.CAM_FRONT.info_topic": "9/x y"},
        {"sync.timeout_s": "-1.0"},
        {"variant": "none-such"},
        {"sync.anchor": "CAM_NONE"},
    ):
        _refused(stage, parameters)
    stage.run_node()


def _refused(stage: Stage, parameters: dict[str, str], memory_bytes: int | None = None) -> None:
    stage.start_node(parameters, memory_bytes)
    _heard(stage, "cannot be ")
    stage.end_node()


def _heard(stage: Stage, what: str) -> None:
    """The node says it in its log and as an error on /diagnostics."""
    begin_s = time.time()
    assert stage.node is not None
    if not stage.node.says(what, START_S):
        stage.problems.append(f"the log does not say {what!r}")
        return
    stage.until(
        lambda: any(r.level == 2 and what in r.message for r in stage.reports_since(begin_s)),
        START_S,
        f"/diagnostics does not say {what!r}",
    )


def masking(stage: Stage) -> None:
    """sync.missing is mask: black pixels take the place of what is missing"""
    stage.run_node({"sync.missing": "mask"})
    stage.rest(4.0)
    for kind in (fault.camera_stalls, fault.two_cameras_stall, fault.images_lost, camera_stalls_with_huge_info):
        stage.play(kind, prefix="masking: ")
    if not any(result.masked for result in stage.judge.results):
        stage.problems.append("no result without a camera that was missing")


def approximate_time(stage: Stage) -> None:
    """sync.policy is approximate_time"""
    stage.run_node({"sync.policy": "approximate_time"})
    stage.rest(4.0)
    for kind in (fault.images_lost, fault.images_repeated, fault.stamps_zero, fault.recording_loops, fault.all_pause):
        stage.play(kind, prefix="approximate_time: ")


def first_images_are_of_two_triggers(stage: Stage) -> None:
    """all that comes at first is the anchor of one trigger and the others of the next"""
    stage.run_node(go=False)
    stage.play(fault.two_broken_triggers, triggers=6, prefix="at the start: ")


def clock_jumps(stage: Stage) -> None:
    """use_sim_time: the clock goes back 5 s and ahead by an hour, also after a re-activation"""
    offset_s, going = [0.0], [True]
    clock = stage.ros.create_publisher(Clock, "/clock", 10)

    def tick() -> None:
        while going[0]:
            clock.publish(Clock(clock=stamp_from_ns(time.time_ns() + round(offset_s[0] * NS_PER_S))))
            time.sleep(0.05)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        stage.run_node({"use_sim_time": "true"})
        for _ in range(2):
            for offset_s[0] in (-5.0, 3600.0, 0.0):
                stage.rest(3.0)
            reactivated(stage)
        stage.rest(3.0)
        stage.end_node()
    finally:
        going[0] = False
        thread.join()
        stage.ros.destroy_publisher(clock)
    stage.run_node()


def _cache(stage: Stage) -> Path:
    """A cache of its own with the engine in it."""
    cache = stage.out / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir()
    stage.run_node({"cache_dir": str(cache)}, go=False)
    stage.end_node()
    return cache


LIVES: tuple[NodeFault, ...] = (
    node_killed,
    signals_while_starting,
    memory_short,
    memory_short_at_start,
    cache_damaged,
    cache_entry_is_a_file,
    parameters_refused,
    masking,
    *((approximate_time,) if find_spec("message_filters") else ()),
    first_images_are_of_two_triggers,
    clock_jumps,
)
