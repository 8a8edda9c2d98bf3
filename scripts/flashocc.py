#!/usr/bin/env python3
"""Command line, as `ros2 run flashocc_ros flashocc`."""

from flashocc_ros.cli.main import main

if __name__ == "__main__":
    main()
