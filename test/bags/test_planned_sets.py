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

"""Sets that were decided in one pass are those of ``read_sets``, wherever one begins to read."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
from drive_bag import write_drive

from flashocc_ros import bags
from flashocc_ros.bags.planned_sets import plan_sets, read_planned
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.decode import SetDropped
from flashocc_ros.errors import BagError

STAGGERED_MS = {"CAM_FRONT": 0, "CAM_FRONT_LEFT": 14, "CAM_BACK_LEFT": 28, "CAM_BACK": 41, "CAM_BACK_RIGHT": 55}


def content(found: CameraSet | SetDropped) -> tuple[object, ...]:
    """All that the network sees, to the bit."""
    assert isinstance(found, CameraSet)
    arrays = (*found.pictures, found.rig.intrinsics, found.rig.base_from_camera, found.odom_from_base, found.key_pose)
    return found.names, found.stamp_ns, found.stamps_ns.tolist(), [np.asarray(array).tobytes() for array in arrays]


def in_pieces(path: Path, size: int) -> list[CameraSet | SetDropped]:
    planned = plan_sets(path)
    pieces = [planned.some(first, first + size) for first in range(0, len(planned.sets), size)]
    read = [list(read_planned(pickle.loads(pickle.dumps(piece)))) for piece in reversed(pieces)]
    return [found for piece in reversed(read) for found in piece]


@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_pieces_of_staggered_cameras_are_the_whole(tmp_path: Path, size: int, storage: str) -> None:
    lost = {(7, 0), (8, 2), (15, 1), (16, 1), (17, 1)}
    drive = write_drive(tmp_path / "drive", storage=storage, sets=24, period_ms=83, delays_ms=STAGGERED_MS, skip=lost)
    whole = [content(found) for found in bags.read_sets(drive)]
    assert len(whole) == 24 - 5
    assert [content(found) for found in in_pieces(drive, size)] == whole


def test_a_plan_is_small_and_knows_equal_calibrations(tmp_path: Path) -> None:
    planned = plan_sets(write_drive(tmp_path / "drive", sets=30))
    assert len(planned.infos) == 1  # both cameras have the same, each time with another stamp
    assert len(pickle.dumps(planned)) / 30 < 3000


def test_a_damaged_picture_is_left_out_with_its_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    drive = write_drive(tmp_path / "drive", sets=8)
    with bags.BagReader(drive) as reader, bags.BagWriter(tmp_path / "spoilt") as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type, topic.qos)
        pictures = 0
        for topic, stamp_ns, cdr in reader.messages():
            pictures += topic.name == "/CAM_BACK/image/compressed"
            if topic.name == "/CAM_BACK/image/compressed" and pictures == 4:
                message = reader.deserialize(cdr, topic.type)
                message.data = message.data[:100]
                cdr = bytes(writer.types.serialize_cdr(message, topic.type))
            writer.write(topic.name, stamp_ns, cdr)
    with caplog.at_level(logging.WARNING):
        found = in_pieces(tmp_path / "spoilt", 3)
    assert [number for number, one in enumerate(found) if isinstance(one, SetDropped)] == [3]
    usable = [content(one) for one in found if isinstance(one, CameraSet)]
    assert usable == [content(one) for one in bags.read_sets(tmp_path / "spoilt")]


def test_a_recording_that_has_changed_is_refused(tmp_path: Path) -> None:
    planned = plan_sets(write_drive(tmp_path / "drive", sets=8))
    (tmp_path / "drive").rename(tmp_path / "old")
    write_drive(tmp_path / "drive", sets=8, skip={(5, 1)})
    with pytest.raises(BagError, match="has changed since it was looked at: 3 sets lack images; start again"):
        list(read_planned(planned))


def test_nothing_complete_is_one_sentence(tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "drive", sets=6, skip={(k, 1) for k in range(1, 6)})
    with pytest.raises(BagError, match="holds no complete set of 2 cameras"):
        plan_sets(drive)
