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

"""Transform messages without ROS, with the fields that `TransformIntake` reads."""

from __future__ import annotations

from types import SimpleNamespace as Fields
from typing import Any

from scipy.spatial.transform import Rotation

S = 1_000_000_000


def transform(
    parent: str,
    child: str,
    stamp_ns: int,
    position: tuple[float, float, float] = (0.0, 0.0, 0.0),
    rotation: Rotation | None = None,
) -> Any:
    """A ``geometry_msgs/TransformStamped``."""
    q = (rotation or Rotation.identity()).as_quat().tolist()
    return Fields(
        header=Fields(frame_id=parent, stamp=Fields(sec=stamp_ns // S, nanosec=stamp_ns % S)),
        child_frame_id=child,
        transform=Fields(
            translation=Fields(x=position[0], y=position[1], z=position[2]),
            rotation=Fields(x=q[0], y=q[1], z=q[2], w=q[3]),
        ),
    )


def message(*transforms: Any) -> Any:
    """A ``tf2_msgs/TFMessage``."""
    return Fields(transforms=list(transforms))
