"""``sensor_msgs_py.point_cloud2`` where it is installed, a small module of ours where it is not.

Every ROS 2 install has the real one, and it is used there; the ROS 2 wheels on PyPI lack it.
"""

from __future__ import annotations

try:
    from sensor_msgs_py import point_cloud2
except ImportError:
    from flashocc_ros.ros.fallback import point_cloud2

__all__ = ["point_cloud2"]
