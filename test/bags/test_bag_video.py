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

"""Recordings whose cameras are videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drive_bag import MS, NAMES, T0_NS, YAWS_DEG, camera_info, header, optical, stamp, transform
from video_packets import encode, moving

from flashocc_ros import bags
from flashocc_ros.bags import read_sets

SIZE = (24, 32)
TYPES = {"CAM_FRONT": "foxglove_msgs/msg/CompressedVideo", "CAM_BACK": "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"}
SETS = 8


def write_video_drive(path: Path, lost: tuple[int, ...] = ()) -> Path:
    """A set every 100 ms of two standing cameras, one of each message type; packets ``lost`` of the first."""
    pictures = [np.asarray(p) for p in moving(SETS, SIZE)]
    packets = {"CAM_FRONT": encode(pictures, "hevc", 4), "CAM_BACK": encode(pictures, "h264", 4)}
    with bags.BagWriter(path, storage="sqlite3") as writer:
        writer.add_topic("/tf_static", "tf2_msgs/msg/TFMessage", bags.LATCHED)
        for name in NAMES:
            writer.add_topic(f"/{name}/image_raw/video", TYPES[name], bags.SENSOR_DATA)
            writer.add_topic(f"/{name}/camera_info", "sensor_msgs/msg/CameraInfo", bags.SENSOR_DATA)
            writer.write(
                "/tf_static",
                T0_NS,
                transform(writer, T0_NS, "base_link", name, (1.0, 0.0, 1.5), optical(YAWS_DEG[name])),
            )
        for number in range(SETS):
            when = T0_NS + number * 100 * MS
            for name in NAMES:
                writer.write(f"/{name}/camera_info", when, camera_info(writer, when, name))
                if name == "CAM_FRONT" and number in lost:
                    continue
                data = np.frombuffer(packets[name][number], np.uint8)
                if name == "CAM_FRONT":
                    message = writer.message(
                        TYPES[name], timestamp=stamp(writer, when), frame_id=name, data=data, format="h265"
                    )
                else:
                    message = writer.message(
                        TYPES[name],
                        header=header(writer, when, name),
                        width=SIZE[1],
                        height=SIZE[0],
                        encoding="libx264;yuv420p;bgr8;bgr8",
                        pts=number,
                        flags=0,
                        is_bigendian=False,
                        data=data,
                    )
                writer.write(f"/{name}/image_raw/video", when, message)
    return path


def test_each_set_has_the_pictures_of_its_stamp(tmp_path: Path) -> None:
    sets = list(read_sets(write_video_drive(tmp_path / "drive"), NAMES))
    assert [s.stamp_ns for s in sets] == [T0_NS + k * 100 * MS for k in range(SETS)]
    for true, camera_set in zip(moving(SETS, SIZE), sets, strict=True):
        for picture in camera_set.images:
            assert np.abs(np.asarray(picture).astype(int) - true).mean() < 16


def test_sets_after_a_lost_packet_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sets = list(read_sets(write_video_drive(tmp_path / "drive", lost=(2,)), NAMES))
    assert [(s.stamp_ns - T0_NS) // (100 * MS) for s in sets] == [0, 1, 4, 5, 6, 7]
    assert "camera CAM_FRONT: a packet was lost" in caplog.text
    assert "1 because of image" in caplog.text
