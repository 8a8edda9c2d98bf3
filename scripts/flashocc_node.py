#!/usr/bin/env python3
"""Perception node, as `ros2 run flashocc_ros flashocc_node`."""

from flashocc_ros.ros.main import main

if __name__ == "__main__":
    main()
