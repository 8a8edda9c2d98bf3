"""Entry point of the process ``flashocc_node``: signals first, then the imports that take a second."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType

STOP_WAIT_S = 3.0
"""How long a stopping process waits for the inference that is running; `ros2 launch` kills after ten seconds."""


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; 0 is returned for both."""
    starting = True

    def stop(signum: int, frame: FrameType | None) -> None:
        if starting:  # nothing is published yet: leave from wherever the start is
            raise SystemExit(0)

    # rclpy's own handlers shut the context down, which ends the spinning, and call these afterwards. Without them a
    # signal would raise KeyboardInterrupt, also a second one in the middle of the clean-up.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)

    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

    from flashocc_ros.ros.node import FlashOccNode

    rclpy.init(args=args)
    node = FlashOccNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    node.autostart()
    starting = False
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()
    if not node.close(STOP_WAIT_S):
        # Ending the interpreter under a running engine would crash it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
