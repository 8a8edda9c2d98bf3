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

"""``sensor_msgs_py.point_cloud2`` where it is installed, a small module of ours where it is not.

Every ROS 2 install has the real one, and it is used there; the ROS 2 wheels on PyPI lack it.
"""

from __future__ import annotations

try:
    from sensor_msgs_py import point_cloud2
except ImportError:
    from flashocc_ros.ros.fallback import point_cloud2

__all__ = ["point_cloud2"]
