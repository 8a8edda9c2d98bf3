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

"""Listens as a process: ``python -m benchmarks.soak.recorder FILE``. Results and reports of the node as JSON lines."""

from __future__ import annotations

import base64
import json
import signal
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile

from flashocc_ros.msg import Occupancy3D
from flashocc_ros.ros.stamps import ns_from_stamp


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which ends this
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    file = Path(sys.argv[1]).open("a", buffering=1)  # noqa: SIM115 (as long as the process)
    node = rclpy.create_node("soak_recorder")

    def write(**values: Any) -> None:
        file.write(json.dumps({"time_s": time.time()} | values) + "\n")

    def on_result(message: Occupancy3D) -> None:
        labels = base64.b64encode(zlib.compress(bytes(message.labels), 1)).decode()
        write(stamp_ns=ns_from_stamp(message.header.stamp), masked=list(message.masked_cameras), labels=labels)

    def on_report(message: DiagnosticArray) -> None:
        write(
            report=[
                {
                    "name": s.name,
                    "level": s.level[0],
                    "message": s.message,
                    "values": {v.key: v.value for v in s.values},
                }
                for s in message.status
            ]
        )

    node.create_subscription(Occupancy3D, "occupancy", on_result, QoSProfile(depth=50))
    node.create_subscription(DiagnosticArray, "/diagnostics", on_report, QoSProfile(depth=50))
    write(started=True)
    while True:
        rclpy.spin_once(node)


if __name__ == "__main__":
    main()
