"""How images arrive."""

from __future__ import annotations

from flashocc_ros.cameras.video import COMPRESSED_VIDEO_TYPE, FFMPEG_PACKET_TYPE

MESSAGE_TYPES = {
    "compressed": "sensor_msgs/msg/CompressedImage",
    "raw": "sensor_msgs/msg/Image",
    "compressed_video": COMPRESSED_VIDEO_TYPE,
    "ffmpeg": FFMPEG_PACKET_TYPE,
}
"""By the value of the node's ``cameras.transport``."""
