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

"""Cameras that publish video, over DDS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("rclpy")
from video_packets import encode, moving

from flashocc_ros.errors import ConfigError
from flashocc_ros.msg import Occupancy3D
from flashocc_ros.ros import transports
from flashocc_ros.ros.stamps import make_header, stamp_from_ns

Make = Callable[..., Any]
SIZE = (176, 352)


def compressed_video(name: str, stamp_ns: int, data: bytes) -> Any:
    from foxglove_msgs.msg import CompressedVideo

    return CompressedVideo(timestamp=stamp_from_ns(stamp_ns), frame_id=f"{name}_optical", format="h264", data=data)


def ffmpeg(name: str, stamp_ns: int, data: bytes) -> Any:
    from ffmpeg_image_transport_msgs.msg import FFMPEGPacket

    return FFMPEGPacket(header=make_header(f"{name}_optical", stamp_ns), encoding="libx264", data=data)


@pytest.mark.parametrize(("transport", "message"), [("compressed_video", compressed_video), ("ffmpeg", ffmpeg)])
def test_a_result_for_each_set_but_those_after_a_lost_packet(
    make_feeder: Make, start_node: Make, transport: str, message: Callable[..., Any]
) -> None:
    feeder = make_feeder(image_type=transport)
    occupancy = feeder.listen("occupancy", Occupancy3D)
    node = start_node(cameras__transport=transport)
    feeder.connect(node)
    packets = encode(moving(8, SIZE), key_every=4)

    def refused() -> int:
        counters, _ = node.node._statistics.summary()
        return int(counters.get(f"corrupt_{feeder.names[-1]}", 0))

    def send(number: int) -> None:
        stamp_ns = feeder.stamp_ns + 100_000_000
        before = len(occupancy)
        lost = feeder.names[-1] if number == 2 else ""
        feeder.send(
            stamp_ns, images={n: None if n == lost else message(n, stamp_ns, packets[number]) for n in feeder.names}
        )
        if number != 2:
            answered = (lambda: refused() == 1) if number == 3 else (lambda: len(occupancy) > before)
            feeder.until(answered, f"the answer to set {number}")

    for number in range(8):
        send(number)
    stamps = [m.header.stamp.nanosec // 100_000_000 for m in occupancy]
    assert stamps == [1, 2, 5, 6, 7, 8]


def test_a_message_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(transports.MESSAGE_TYPES, "ffmpeg", "no_such_msgs/msg/FFMPEGPacket")
    with pytest.raises(ConfigError, match=r"no_such_msgs is not installed; apt install ros-.*-no-such-msgs"):
        transports.message_class("ffmpeg")
