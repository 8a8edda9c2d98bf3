"""Recordings (rosbag2, mcap or sqlite3) read and written without ROS, this package's own messages included."""

from __future__ import annotations

from flashocc_ros.bags.camera_sets import Frames, read_sets
from flashocc_ros.bags.cameras import camera_topics, colour_cameras
from flashocc_ros.bags.reader import BagReader, Topic, read_messages
from flashocc_ros.bags.types import LATCHED, RELIABLE, SENSOR_DATA, typestore
from flashocc_ros.bags.writer import BagWriter

__all__ = [
    "LATCHED",
    "RELIABLE",
    "SENSOR_DATA",
    "BagReader",
    "BagWriter",
    "Frames",
    "Topic",
    "camera_topics",
    "colour_cameras",
    "read_messages",
    "read_sets",
    "typestore",
]
