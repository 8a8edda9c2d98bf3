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

"""Recordings (rosbag2, mcap or sqlite3) read and written without ROS, this package's own messages included."""

from __future__ import annotations

from flashocc_ros.bags.camera_sets import Frames, cameras_at, read_sets
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
    "cameras_at",
    "colour_cameras",
    "read_messages",
    "read_sets",
    "typestore",
]
