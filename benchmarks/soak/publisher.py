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

"""The rig as a process: ``python -m benchmarks.soak.publisher PICTURES SHOTS``.

A trigger every half second for as long as it lives, a fault on request: a line of JSON on standard input, ``{"fault":
name, "triggers": 8, "seed": 1}``, ``{"pause": true}`` or ``{"pause": false}``. What each trigger's result may show goes
as JSON lines into the file SHOTS before the trigger goes out.
"""

from __future__ import annotations

import heapq
import itertools
import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage
from tf2_msgs.msg import TFMessage

from benchmarks.soak.message_faults import MESSAGE_FAULTS, OTHER_MESSAGE_FAULTS, Fault
from benchmarks.soak.messages import NAMES, Shot, mounting
from benchmarks.soak.scene import PICTURES, Pictures, Scene
from flashocc_ros.ros.stamps import NS_PER_S

PERIOD_S = 0.5
RELEARNED = 8
"""Triggers until a camera that was silent is part of each set again; see docs/synchronisation.md."""


class Rig:
    """Publishes shots in real time."""

    def __init__(self, pictures: Path, shots: Path) -> None:
        self._pictures = Pictures(pictures)
        self._shots = shots.open("a", buffering=1)
        self._node = rclpy.create_node("soak_rig")
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        create = self._node.create_publisher
        self._images = {n: create(CompressedImage, f"{n}/image_rect_compressed", 20) for n in NAMES}
        self._infos = {n: create(CameraInfo, f"{n}/camera_info", 20) for n in NAMES}
        self._tf = create(TFMessage, "/tf", 100)
        self._static = create(TFMessage, "/tf_static", latched)
        self._static.publish(mounting())
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._fault: Fault | None = None
        self._triggers, self._index, self._seed, self._paused = 0, 0, 0, False
        self._moved = False
        self._lacked: dict[str, int] = {}
        self._rest = b""

    def run(self) -> None:
        """Until standard input ends."""
        start_s, start_ns = time.monotonic(), time.time_ns()
        for number in itertools.count():
            self._trigger(number, start_s + number * PERIOD_S, start_ns + round(number * PERIOD_S * NS_PER_S))
            next_s = start_s + (number + 1) * PERIOD_S
            self._send_due()
            while (wait_s := min([next_s, *(due[0] for due in self._due[:1])]) - time.monotonic()) > 0:
                if not self._listen(wait_s):
                    return
                self._send_due()

    def _send_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()

    def _listen(self, wait_s: float) -> bool:
        """Wait for orders; False at their end."""
        if not select.select([0], [], [], wait_s)[0]:
            return True
        read = os.read(0, 65536)  # no buffer of Python's own, which select would not see
        *lines, self._rest = (self._rest + read).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return bool(read)

    def _obey(self, order: dict[str, Any]) -> None:
        if "pause" in order:
            self._paused = order["pause"]
        else:
            known = {fault.__name__: fault for fault in (*MESSAGE_FAULTS, *OTHER_MESSAGE_FAULTS)}
            self._fault = known[order["fault"]]
            self._triggers, self._index, self._seed = order["triggers"], 0, order["seed"]

    def _trigger(self, number: int, begin_s: float, stamp_ns: int) -> None:
        if self._paused:
            return
        chance = random.Random(self._seed)
        camera = chance.choice(NAMES[1:])
        chance.seed(1000 * self._seed + self._index)
        shot = Shot(self._pictures, self._index, self._triggers, stamp_ns, number % PICTURES, PERIOD_S, camera, chance)
        if self._fault is not None:
            self._fault(shot)
            self._index += 1
            if self._index == self._triggers:
                self._say(ended=self._fault.__name__, stamp_ns=stamp_ns)
                self._fault = None
            self._moved |= bool(shot.static)
        elif self._moved:  # what the fault did to the mountings is undone; the trigger before may be told so, too
            shot.static, self._moved = [mounting()], False
            shot.also_before = [Scene((shot.picture - 1) % PICTURES)]
        if shot.also_before:
            self._expect(stamp_ns - round(PERIOD_S * NS_PER_S), shot.also_before, set())
        self._lacked = {name: left - 1 for name, left in self._lacked.items() if left} | dict.fromkeys(
            shot.may_lack, RELEARNED
        )
        shot.may_lack |= set(self._lacked)
        self._expect(shot.stamp_ns, shot.expected, shot.may_lack)
        for other_ns, expected in shot.others.items():
            self._expect(other_ns, expected, shot.may_lack)
        for message in shot.static:
            self._static.publish(message)
        self._plan(begin_s, self._tf, shot.tf)
        for name in NAMES:
            self._plan(begin_s, self._infos[name], shot.infos[name])
            self._plan(begin_s, self._images[name], shot.images[name])

    def _plan(self, begin_s: float, publisher: Any, events: list[tuple[float, Any]]) -> None:
        for after_s, message in events:
            heapq.heappush(
                self._due, (begin_s + after_s, next(self._order), lambda p=publisher, m=message: p.publish(m))
            )

    def _expect(self, stamp_ns: int, expected: list[Scene], may_lack: set[str]) -> None:
        self._say(stamp_ns=stamp_ns, expected=[scene.to_json() for scene in expected], may_lack=sorted(may_lack))

    def _say(self, **values: Any) -> None:
        self._shots.write(json.dumps(values) + "\n")


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which ends this
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    Rig(Path(sys.argv[1]), Path(sys.argv[2])).run()


if __name__ == "__main__":
    main()
