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

"""What holds for several cameras is one sentence."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from drive_bag import write_drive

from flashocc_ros import bags
from flashocc_ros.cameras.findings import CameraFindings
from flashocc_ros.cameras.rig_check import check_rig
from flashocc_ros.structures import CameraRig


def test_a_sentence_about_several_cameras_names_them_all_once() -> None:
    said: list[str] = []
    findings = CameraFindings(said.append)
    for camera in ("a", "b"):
        findings.of(camera)("is dark")
    findings.of("c")("is bright")
    findings.tell()
    findings.tell()
    assert said == ["cameras a, b: is dark", "camera c: is bright"]


def test_sixteen_bit_images_of_all_cameras_are_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with bags.BagReader(write_drive(tmp_path / "drive")) as reader, bags.BagWriter(tmp_path / "grey") as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type, topic.qos)
        for number, (topic, stamp_ns, cdr) in enumerate(reader.messages()):
            if topic.name.endswith("compressed"):
                message = reader.deserialize(cdr, topic.type)
                message.format = "mono16; png compressed "
                message.data = cv2.imencode(".png", np.full((24, 32), 2000 + number, np.uint16))[1].ravel()
                cdr = bytes(writer.types.serialize_cdr(message, topic.type))
            writer.write(topic.name, stamp_ns, cdr)
    with caplog.at_level(logging.WARNING):
        assert len(list(bags.read_sets(tmp_path / "grey"))) == 6
    (said,) = [record.getMessage() for record in caplog.records if "bits" in record.getMessage()]
    assert said.startswith("cameras CAM_FRONT, CAM_BACK: 16 bit images without a value of more than 12 bits")


def test_calibrations_of_another_picture_size_are_one_finding() -> None:
    k = np.array([[500.0, 0, 1500], [0, 500, 450], [0, 0, 1]])
    front, back = np.eye(4), np.eye(4)
    front[:3, :3], back[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]], [[0, 0, -1], [1, 0, 0], [0, -1, 0]]
    front[:3, 3] = back[:3, 3] = (0.0, 0.0, 1.5)
    rig = CameraRig(["front", "back"], [k, k], [front, back])
    (finding,) = check_rig(rig, [(900, 1600)] * 2)
    assert finding.cameras == ("front", "back")
    assert finding.text.startswith("all 2 cameras: camera front: the principal point is 44% of the width")
