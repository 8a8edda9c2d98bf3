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

"""Entry point of the process ``flashocc_node``: signals first, then the imports that take a second."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from flashocc_ros import floors
from flashocc_ros.ros.memory import fill_small_blocks, use_one_small_heap

STOP_WAIT_S = 3.0
"""How long a stopping process waits for the inference that is running; `ros2 launch` kills after ten seconds."""


HELP = """\
usage: flashocc_node [--help] [--ros-args [--params-file FILE] [-p NAME:=VALUE] [-r FROM:=TO] [--log-level LEVEL] ...]

Lifecycle node that turns camera images and tf into semantic 3D occupancy. It configures and activates itself unless
the parameter autostart is false.

  flashocc_node --ros-args --params-file config/cameras_nuscenes.yaml -p variant:=flashocc-r50-M0

Topics, parameters and services are listed in docs/node.md; `ros2 param describe /flashocc_node NAME` explains a
parameter of a running node, `flashocc variants` lists the networks.
"""


def main(args: list[str] | None = None) -> NoReturn:
    """Run the node until SIGINT or SIGTERM; the process ends with code 0 for both, and after ``--help``."""
    if {"-h", "--help"} & set(sys.argv[1:] if args is None else args):
        print(HELP, end="")
        leave()
    if problem := floors.problem():
        sys.exit(f"flashocc_node: {problem}")
    use_one_small_heap()
    starting = True

    def stop(signum: int, frame: FrameType | None) -> None:
        if starting:  # nothing is published yet: leave from wherever the start is
            leave()

    # rclpy's own handlers shut the context down, which ends the spinning, and call these afterwards. Without them a
    # signal would raise KeyboardInterrupt, also a second one in the middle of the clean-up.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)

    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    from flashocc_ros.ros.node import FlashOccNode

    fill_small_blocks()
    rclpy.init(args=args)
    node = FlashOccNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    node.autostart()
    starting = False
    try:
        executor.spin()
    except Exception:
        # The context goes away under whatever callback runs: its next publish or create fails.
        if rclpy.ok():
            raise
    if node.close(STOP_WAIT_S):
        rclpy.try_shutdown()
    leave()


def leave() -> NoReturn:
    """End the process with code 0 at once.

    The interpreter's own end would crash under an engine that is still running, and takes seconds with PyTorch loaded,
    during which the default handlers are back and the next signal of an impatient `ros2 launch` kills.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
