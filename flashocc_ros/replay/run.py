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

"""A whole replay: open the recording, wait for those who listen, play, and say how it went."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from flashocc_ros.bags import BagReader, colour_cameras
from flashocc_ros.errors import BagError, ConfigError
from flashocc_ros.paths import fastdds_profile
from flashocc_ros.replay.interrupts import signals_interrupt
from flashocc_ros.replay.outcome import check, summary
from flashocc_ros.replay.progress import progress
from flashocc_ros.replay.schedule import CameraSets, find_camera_sets, in_time_order, set_by_set
from flashocc_ros.replay.statics import StaticTransforms
from flashocc_ros.whole_file import check_writable, write_whole

CAMERAS = "cameras"


@dataclass(frozen=True)
class Options:
    """The command line of ``flashocc replay``; see its help."""

    bag: Path
    rate: float = 1.0
    loop: bool = False
    start_s: float = 0.0
    topics: tuple[str, ...] = ()
    clock: bool = False
    lockstep: str = ""
    wait_for: tuple[str, ...] = ()
    wait_s: float = 10.0
    report: Path | None = None


def run(options: Options) -> None:
    """Play a recording as ``options`` say.

    Raises:
        BagError: the recording is unreadable or lacks a wanted topic.
        ConfigError: rclpy or a message package is missing, or nobody subscribed or answered in time.
        EngineError: nothing was sent, or sets got lost in lockstep.
        OutputError: the report cannot be written.
    """
    if options.report is not None:
        check_writable(options.report)
    with BagReader(options.bag, raw=True) as bag:
        topics = options.topics or tuple(t.name for t in bag.topics.values() if t.count)
        bag.require(topics)
        start_ns = bag.start_ns + int(options.start_s * 1e9)
        if start_ns > bag.end_ns:
            length_s = (bag.end_ns - bag.start_ns) * 1e-9
            raise BagError(
                f"--start {options.start_s:g} lies behind the end of {bag.path}, which lasts {length_s:.3f} s"
            )
        sets = find_camera_sets(bag, topics, start_ns) if options.lockstep else None
        _play(bag, topics, start_ns, sets, options)


def _play(bag: BagReader, topics: tuple[str, ...], start_ns: int, sets: CameraSets | None, options: Options) -> None:
    try:
        import rclpy
        from rclpy.signals import SignalHandlerOptions
    except ImportError as error:
        raise ConfigError(f"a replay needs rclpy ({error}); source a ROS 2 or run `make setup`") from error
    from flashocc_ros.replay.player import Player

    console = Console(stderr=True)
    use_large_shared_memory()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    anchor = next((pair.image for pair in colour_cameras(bag).values() if pair.image in topics), None)
    replayed = [bag.topics[t] for t in topics]
    player = Player(replayed, options.clock, answer_topic=options.lockstep or None, anchor_topic=anchor)
    statics = StaticTransforms(bag)
    interrupted = False
    try:
        with signals_interrupt():
            _wait(player, bag, topics, sets, options, console)
            with progress(console, bag.path.name, start_ns, bag.end_ns) as tell:
                while True:
                    if sets is None:
                        ordered = in_time_order(bag, topics, start_ns)
                        player.play_timed(statics.complete(ordered), options.rate, tell)
                    else:
                        ordered = set_by_set(bag, topics, start_ns, sets)
                        player.play_lockstep(statics.complete(ordered), sets.first_ns, tell)
                    if not options.loop:
                        break
    except KeyboardInterrupt:
        interrupted = True
    finally:
        report = player.report
        player.close(flush=sets is None and not interrupted)  # whoever answered has received
        rclpy.try_shutdown()
    if options.report is not None:
        write_whole(options.report, json.dumps(dataclasses.asdict(report), indent=1))
    console.print(summary(report, options.lockstep, interrupted), highlight=False)
    if not interrupted:
        check(report, options.lockstep)
    elif not options.loop:
        raise KeyboardInterrupt


def use_large_shared_memory() -> None:
    """Give this process room for a burst of images: Fast DDS's own segment of 512 kB loses most of six JPEGs.

    Does nothing where the user chose a profile or has another middleware. Must run before the first node is made.
    """
    os.environ.setdefault(*fastdds_profile())


def _wait(player, bag, topics, sets, options, console) -> None:  # type: ignore[no-untyped-def]
    wanted = [t for t in options.wait_for if t != CAMERAS]
    if CAMERAS in options.wait_for or (sets is not None and not wanted):
        wanted += [t for pair in colour_cameras(bag).values() for t in pair]
        wanted += ["/tf", "/tf_static"]
    wanted = [t for t in dict.fromkeys(wanted) if t in topics]
    if wanted:
        if not player.wait_for_subscribers(wanted, options.wait_s):
            missing = ", ".join(player.without_subscriber(wanted))
            raise ConfigError(
                f"nobody subscribed to {missing} within {options.wait_s:g} s; start the node first or raise --wait"
            )
    elif not player.wait_for_subscribers(topics, options.wait_s, every=False):
        console.print(f"nobody subscribed to any topic within {options.wait_s:g} s; playing anyway")
    if sets is not None and not player.wait_for_answer_topic(options.wait_s):
        raise ConfigError(
            f"nobody publishes {options.lockstep} within {options.wait_s:g} s; start the node first or raise --wait"
        )
