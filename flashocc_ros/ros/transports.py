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

"""The message types that images come in."""

from __future__ import annotations

import importlib
from typing import Any

from flashocc_ros.cameras.transports import MESSAGE_TYPES
from flashocc_ros.errors import ConfigError
from flashocc_ros.ros.stamps import ns_from_stamp


def message_class(transport: str) -> Any:
    """The class to subscribe with.

    Raises:
        ConfigError: the package of the message is not installed.
    """
    package, _, name = MESSAGE_TYPES[transport].split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except ImportError as error:
        debian = package.replace("_", "-")
        raise ConfigError(
            f"cameras.transport is {transport!r}, whose package {package} is not installed; "
            f"apt install ros-$ROS_DISTRO-{debian}, or take another transport"
        ) from error


def stamp_and_frame(message: Any) -> tuple[int, str]:
    """Stamp [ns] and ``frame_id`` of an image message of any of these types."""
    header = getattr(message, "header", None)
    if header is not None:
        return ns_from_stamp(header.stamp), header.frame_id
    return ns_from_stamp(message.timestamp), message.frame_id
