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

"""Node and replay as two processes, and the recording of what the node made of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashocc_ros.bags import BagReader, BagWriter, Frames, colour_cameras
from flashocc_ros.bags.results import CLASS_TABLE_TYPE, TRUTH_TYPE
from flashocc_ros.demo.processes import Child
from flashocc_ros.demo.settings import Network, node_parameters, write_parameters
from flashocc_ros.errors import ConfigError, EngineError

NODE_NAME = "flashocc_node"
READY_S = 900.0
"""Exporting and compiling a large network for the first time takes minutes on a small machine."""
SETTLE_S = 30.0
"""How long a node that counts no further set is waited for."""
SETTLED_REPORTS = 3
POLL_S = 0.05
REPLAYING = "replaying"
"""Where progress counts results."""

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Session:
    """What happened.

    Attributes:
        result: the result recording.
        arrived_ns: wall clock at which the result of each key stamp came.
        status: the node's last report on itself.
        replay: the replay's report.
        exit_code: of the node.
        ready_s: from its start until it was active.
    """

    result: Path
    arrived_ns: dict[int, int]
    status: dict[str, str]
    replay: dict[str, Any]
    exit_code: int
    ready_s: float


def run_session(bag: Path, out: Path, network: Network, rate: float, frames: Frames, progress: Progress) -> Session:
    """Replay ``bag`` through the node and record its results into ``out/result``.

    Args:
        out: an existing folder; takes ``result``, ``node.yaml``, ``node.log``, ``replay.log``.
        rate: speed of the replay; 0 is lockstep: each camera set waits for the answer to the last.
        frames: how the recording names its frames.
        progress: gets what is going on and the number of results so far.

    Raises:
        BagError: the recording cannot be used.
        ConfigError: the node cannot be configured or activated as wished, or rclpy is missing.
        EngineError: the node or the replay ended before its time.
    """
    try:
        import rclpy
        from rclpy.signals import SignalHandlerOptions

        from flashocc_ros.demo.recorder import Recorder
    except ImportError as error:
        raise ConfigError(f"the demo needs rclpy and the built messages ({error}); run `make setup`") from error

    with BagReader(bag) as reader:
        write_parameters(out / "node.yaml", node_parameters(reader, network, frames, lockstep=rate <= 0))
        replay_arguments = _replay_arguments(reader, out, rate, frames)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    with BagWriter(out / "result", compress=True) as writer:
        recorder = Recorder(writer, NODE_NAME)
        try:
            begin = time.monotonic()
            arguments = ["--ros-args", "--params-file", str(out / "node.yaml")]
            for plain, recorded in zip(Frames().topics, frames.topics, strict=True):
                arguments += ["--remap", f"{plain}:={recorded}"]
            with Child("flashocc_ros.ros.main", arguments, out / "node.log") as node:
                _until_ready(recorder, node, progress)
                ready_s = time.monotonic() - begin
                with Child("flashocc_ros.cli.main", replay_arguments, out / "replay.log") as replay:
                    while replay.exit_code is None:
                        recorder.spin_once(POLL_S)
                        progress(REPLAYING, len(recorder.arrived_ns))
                        _check_alive(node)
                # One that lost sets ends with an error too, but leaves its report; they are counted in the summary.
                if replay.exit_code != 0 and not (out / "replay.json").exists():
                    raise EngineError(f"the replay failed: {replay.last_words()} (see {replay.log})")
                _settle(recorder, progress)
                exit_code = node.stop()
        finally:
            recorder.close()
            rclpy.try_shutdown()
        with BagReader(bag) as reader:
            copy_inputs(reader, writer, frames, progress)
    report = json.loads((out / "replay.json").read_text())
    return Session(out / "result", recorder.arrived_ns, recorder.status, report, exit_code, ready_s)


def _replay_arguments(bag: BagReader, out: Path, rate: float, frames: Frames) -> list[str]:
    topics = _inputs(bag, frames)
    how = ["--rate", str(rate)] if rate > 0 else ["--lockstep", "/occupancy"]
    listened = [t for t in topics if t != "/odom"]
    return [
        *("replay", str(bag.path.resolve()), *how),
        *("--topics", ",".join(topics), "--wait-for", ",".join(listened), "--wait", str(READY_S)),
        *("--report", str(out / "replay.json")),
    ]


def _until_ready(recorder: Any, node: Child, progress: Progress) -> None:
    end = time.monotonic() + READY_S
    while not recorder.ready:
        recorder.spin_once(POLL_S)
        progress("loading the network", 0)
        _check_alive(node)
        if recorder.problem:
            raise ConfigError(f"the node {recorder.problem}")
        if time.monotonic() > end:
            raise EngineError(f"the node was not ready after {READY_S:g} s: {node.last_words()} (see {node.log})")


def _check_alive(node: Child) -> None:
    if node.exit_code is not None:
        raise EngineError(f"the node ended with code {node.exit_code}: {node.last_words()} (see {node.log})")


def _settle(recorder: Any, progress: Progress) -> None:
    """Wait until the node has nothing left to do: every set it got is accounted for, and its reports agree."""
    end = time.monotonic() + SETTLE_S
    before: tuple[int, ...] = ()
    seen, agreeing = recorder.reports, 0
    while agreeing < SETTLED_REPORTS and time.monotonic() < end:
        recorder.spin_once(POLL_S)
        progress(REPLAYING, len(recorder.arrived_ns))
        if recorder.reports == seen:
            continue
        seen = recorder.reports
        received, published, skipped, dropped = counts = node_counts(recorder.status)
        now = (*counts, len(recorder.arrived_ns))
        if now != before:
            before, agreeing, end = now, 0, time.monotonic() + SETTLE_S
        if published + skipped + dropped >= received and published <= len(recorder.arrived_ns):
            agreeing += 1


def node_counts(status: dict[str, str]) -> tuple[int, int, int, int]:
    """Complete sets that the node received, published, skipped and dropped."""
    received, published, skipped, dropped, incomplete = (
        int(status.get(f"sets_{key}", 0))
        for key in ("received", "published", "skipped", "dropped", "dropped_incomplete")
    )
    return received, published, skipped, dropped - incomplete


def _inputs(bag: BagReader, frames: Frames) -> list[str]:
    """Topics of the cameras, transforms and odometry."""
    topics = [t for pair in colour_cameras(bag, frames.tf_prefix).values() for t in pair]
    return topics + [t for t in (*frames.topics, "/odom") if t in bag.topics and bag.topics[t].count]


def copy_inputs(
    bag: BagReader,
    writer: BagWriter,
    frames: Frames = Frames(),  # noqa: B008 - frozen
    progress: Progress = lambda what, done: None,
) -> None:
    """Take cameras, transforms, odometry and ground truth over into the result recording, transforms to ``/tf``."""
    kinds = (TRUTH_TYPE, CLASS_TABLE_TYPE)
    truths = [t.name for t in bag.topics.values() if t.type in kinds and t.count and t.name not in writer]
    topics = [*_inputs(bag, frames), *truths]
    plain = dict(zip(frames.topics, Frames().topics, strict=True))
    for name in topics:
        if plain.get(name, name) not in writer:
            writer.add_topic(plain.get(name, name), bag.topics[name].type, bag.topics[name].qos)
    for number, (topic, stamp_ns, cdr) in enumerate(bag.messages(topics)):
        progress("copying messages of the drive", number)
        writer.write(plain.get(topic.name, topic.name), stamp_ns, cdr)
