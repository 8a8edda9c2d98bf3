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

"""Which topics of a recording are cameras, among what `ros2 bag record -a` takes along."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import pytest
from drive_bag import NAMES, write_drive

from flashocc_ros import bags
from flashocc_ros.bags.cameras import camera_topics

COMPRESSED, RAW, INFO = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"


class Recorded(NamedTuple):
    type: str
    count: int = 10


def image_of(topics: dict[str, Recorded]) -> str:
    (camera,) = camera_topics({"/cam/camera_info": Recorded(INFO), **topics}).values()
    return camera.image


@pytest.mark.parametrize("drawn", ["/cam/detections/compressed", "/cam/annotated", "/cam/debug/image_raw/compressed"])
def test_a_picture_drawn_beside_a_camera_does_not_take_its_place(drawn: str) -> None:
    assert image_of({drawn: Recorded(COMPRESSED), "/cam/image_raw": Recorded(RAW)}) == "/cam/image_raw"


def test_a_compressed_topic_comes_before_a_raw_one_if_it_holds_messages() -> None:
    raw = {"/cam/image_raw": Recorded(RAW)}
    compressed = "/cam/image_raw/compressed"
    assert image_of({**raw, compressed: Recorded(COMPRESSED)}) == compressed
    assert image_of({**raw, compressed: Recorded(COMPRESSED, 0)}) == "/cam/image_raw"


def test_images_without_calibration_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    drive = write_drive(tmp_path / "drive")
    with bags.BagReader(drive) as reader, bags.BagWriter(tmp_path / "more") as writer:
        writer.add_topic("/roof/image_raw/compressed", COMPRESSED)
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type, topic.qos)
        for topic, stamp_ns, cdr in reader.messages():
            writer.write(topic.name, stamp_ns, cdr)
            if topic.type == COMPRESSED:
                writer.write("/roof/image_raw/compressed", stamp_ns, cdr)
    with caplog.at_level(logging.WARNING):
        (first, *_) = bags.read_sets(tmp_path / "more")
    assert first.names == NAMES
    assert "no camera_info beside or above /roof/image_raw/compressed, so no camera" in caplog.text
