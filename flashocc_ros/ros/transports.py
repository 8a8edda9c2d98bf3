"""The message types that images come in."""

from __future__ import annotations

import importlib
from typing import Any

from flashocc_ros.cameras.video import COMPRESSED_VIDEO_TYPE, FFMPEG_PACKET_TYPE
from flashocc_ros.errors import ConfigError
from flashocc_ros.ros.stamps import ns_from_stamp

MESSAGE_TYPES = {
    "compressed": "sensor_msgs/msg/CompressedImage",
    "raw": "sensor_msgs/msg/Image",
    "compressed_video": COMPRESSED_VIDEO_TYPE,
    "ffmpeg": FFMPEG_PACKET_TYPE,
}
"""By the value of ``cameras.transport``."""


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
