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

"""Which topics of a recording are cameras, and what they are called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from drive_bag import transform, write_drive

from flashocc_ros import bags
from flashocc_ros.bags.camera_sets import Frames
from flashocc_ros.bags.cameras import camera_topics, find_cameras
from flashocc_ros.errors import BagError, ConfigError

IMAGE, COMPRESSED, INFO = (f"sensor_msgs/msg/{kind}" for kind in ("Image", "CompressedImage", "CameraInfo"))


def topics(**types: str) -> dict[str, Any]:
    return {name: SimpleNamespace(type=kind, count=1) for name, kind in types.items()}


@pytest.mark.parametrize(
    ("image", "info", "name"),
    [
        ("/front/image_raw", "/front/camera_info", "front"),
        ("/front/image_rect/compressed", "/front/camera_info", "front"),
        ("/front/image_rect/compressed", "/front/image_rect/camera_info", "front"),
        ("/robot/front/color/image_raw", "/robot/front/color/camera_info", "robot/front/color"),
        ("/image_raw", "/camera_info", "camera"),
    ],
)
def test_a_camera_is_an_image_with_a_calibration_beside_or_above_it(image: str, info: str, name: str) -> None:
    found = camera_topics(topics(**{image: IMAGE, info: INFO}))
    assert found == {name: (image, info)}


def test_the_namespace_of_a_robot_is_no_part_of_the_name() -> None:
    found = camera_topics(topics(**{"/robot1/CAM_FRONT/image": IMAGE, "/robot1/CAM_FRONT/camera_info": INFO}), "robot1")
    assert list(found) == ["CAM_FRONT"]


def test_a_compressed_topic_is_preferred_and_compressed_depth_is_none() -> None:
    found = camera_topics(
        topics(
            **{
                "/a/camera_info": INFO,
                "/a/image": IMAGE,
                "/a/image/compressed": COMPRESSED,
                "/b/camera_info": INFO,
                "/b/image/compressedDepth": COMPRESSED,
            }
        )
    )
    assert {name: pair.image for name, pair in found.items()} == {"a": "/a/image/compressed"}


def rewritten(source: Path, out: Path, change: Callable[[bags.BagWriter, str, int, Any], Any]) -> Path:
    """The drive message by message; ``change`` writes what it wants of each."""
    with bags.BagReader(source) as reader, bags.BagWriter(out) as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name if change is beside_depth else f"/robot1{topic.name}", topic.type, topic.qos)
        if change is beside_depth:
            writer.add_topic("/depth/image_rect_raw", IMAGE)
            writer.add_topic("/depth/camera_info", INFO)
        for topic, stamp_ns, cdr in reader.messages():
            change(writer, topic.name, stamp_ns, reader.deserialize(cdr, topic.type))
    return out


def beside_depth(writer: bags.BagWriter, topic: str, stamp_ns: int, message: Any) -> None:
    writer.write(topic, stamp_ns, message)
    if topic == "/CAM_BACK/camera_info":
        writer.write("/depth/camera_info", stamp_ns, message)
    if topic == "/CAM_BACK/image/compressed":
        values = np.full(24 * 32, 1000, np.uint16).view(np.uint8)
        shape = {"height": 24, "width": 32, "encoding": "16UC1", "is_bigendian": 0, "step": 64}
        depth = writer.message(IMAGE, header=message.header, data=values, **shape)
        writer.write("/depth/image_rect_raw", stamp_ns, depth)


def below_robot1(writer: bags.BagWriter, topic: str, stamp_ns: int, message: Any) -> None:
    writer.write(f"/robot1{topic}", stamp_ns, message)


def test_a_depth_camera_beside_the_rig_is_no_camera(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = rewritten(write_drive(tmp_path / "drive"), tmp_path / "deep", beside_depth)
    sets = list(bags.read_sets(path))
    assert len(sets) == 6
    assert sets[0].names == ("CAM_FRONT", "CAM_BACK")
    assert "depth, no colour" in caplog.text
    with bags.BagReader(path) as bag:
        assert list(find_cameras(bag, ["depth"])) == ["depth"]  # asked for by name


def test_a_robot_in_a_namespace_is_read_with_its_prefix(tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "drive")
    path = rewritten(drive, tmp_path / "robot", below_robot1)
    plain = list(bags.read_sets(drive, decode=False))
    sets = list(bags.read_sets(path, decode=False, frames=Frames(tf_prefix="robot1")))
    assert [s.stamps_ns.tolist() for s in sets] == [s.stamps_ns.tolist() for s in plain]
    assert [s.names for s in sets] == [s.names for s in plain]
    np.testing.assert_array_equal(sets[1].poses.odom_from_base, plain[1].poses.odom_from_base)
    with pytest.raises(BagError, match="tf has no frame"):
        next(bags.read_sets(path))


def test_a_camera_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="distinct"):
        next(bags.read_sets(write_drive(tmp_path / "drive"), cameras=["CAM_FRONT", "CAM_FRONT"]))


def test_more_cameras_than_a_rig_may_have_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "many"
    with bags.BagWriter(path) as writer:
        writer.add_topic("/tf", "tf2_msgs/msg/TFMessage")
        writer.write("/tf", 1, transform(writer, 1, "odom", "base_link", (0.0, 0.0, 0.0)))
        for index in range(13):
            writer.add_topic(f"/c{index}/image", IMAGE)
            writer.add_topic(f"/c{index}/camera_info", INFO)
    with pytest.raises(BagError, match=r"holds 13 cameras, a rig has at most 12; choose some of them by name .*c0, c1"):
        next(bags.read_sets(path))
