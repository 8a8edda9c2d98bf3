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

"""Dense 3D semantic occupancy and panoptic instances from surround cameras.

Importing this package is cheap: the heavy parts (numba, torch, rclpy, inference engines) load on first use.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from flashocc_ros.version import __version__

# Generated messages live in an installed package of the same name; running from a checkout must still find them.
__path__ = pkgutil.extend_path(__path__, __name__)

if TYPE_CHECKING:
    from flashocc_ros.predictor import Predictor
    from flashocc_ros.structures import CameraRig, Instance, Occupancy, VoxelGrid
    from flashocc_ros.view import LiveView, show

_EXPORTS = {
    "CameraRig": "flashocc_ros.structures",
    "Instance": "flashocc_ros.structures",
    "Occupancy": "flashocc_ros.structures",
    "LiveView": "flashocc_ros.view",
    "Predictor": "flashocc_ros.predictor",
    "VoxelGrid": "flashocc_ros.structures",
    "rig_from_camera_info": "flashocc_ros.cameras.known_rig",
    "rig_from_yaml": "flashocc_ros.cameras.known_rig",
    "show": "flashocc_ros.view",
}

__all__ = [
    "CameraRig",
    "Instance",
    "LiveView",
    "Occupancy",
    "Predictor",
    "VoxelGrid",
    "__version__",
    "show",
]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
