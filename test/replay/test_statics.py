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

"""Static transforms of many broadcasters go out so that the last message holds them all."""

from __future__ import annotations

from pathlib import Path

import pytest
from drive_bag import MS, T0_NS, transform, write_drive

from flashocc_ros import bags
from flashocc_ros.bags.types import RELIABLE, TF_TYPE
from flashocc_ros.replay.schedule import Outgoing, in_time_order, latched_topics
from flashocc_ros.replay.statics import StaticTransforms

FRAMES = ["lidar", "imu", "gps"]


@pytest.fixture
def broadcasters(tmp_path: Path) -> Path:
    """A message per broadcaster, recorded as if they were volatile; the imu is moved later."""
    with bags.BagWriter(tmp_path / "drive") as writer:
        writer.add_topic("/tf_static", TF_TYPE, RELIABLE)
        writer.add_topic("/tf", TF_TYPE)
        for k, (frame, x) in enumerate([*((f, 1.0) for f in FRAMES), ("imu", 2.0)]):
            stamp_ns = T0_NS + k * MS
            writer.write("/tf_static", stamp_ns, transform(writer, stamp_ns, "base_link", frame, (x, 0.0, 0.0)))
            writer.write("/tf", stamp_ns, transform(writer, stamp_ns, "odom", "base_link", (x, 0.0, 0.0)))
    return tmp_path / "drive"


def positions(bag: bags.BagReader, message: Outgoing) -> dict[str, float]:
    return {t.child_frame_id: t.transform.translation.x for t in bag.deserialize(message.cdr, TF_TYPE).transforms}


def test_each_static_message_holds_all_before_it(broadcasters: Path) -> None:
    with bags.BagReader(broadcasters) as bag:
        sent = list(StaticTransforms(bag).complete(in_time_order(bag, ["/tf_static"], bag.start_ns)))
        assert [positions(bag, message) for message in sent] == [
            {"lidar": 1.0},
            {"lidar": 1.0, "imu": 1.0},
            {"lidar": 1.0, "imu": 1.0, "gps": 1.0},
            {"lidar": 1.0, "imu": 2.0, "gps": 1.0},
        ]


def test_a_loop_begins_with_all_of_them(broadcasters: Path) -> None:
    with bags.BagReader(broadcasters) as bag:
        statics = StaticTransforms(bag)
        for _ in range(2):
            first, *_ = list(statics.complete(in_time_order(bag, ["/tf_static"], bag.start_ns)))
        assert set(positions(bag, first)) == set(FRAMES)


def test_other_messages_pass_unchanged(broadcasters: Path) -> None:
    with bags.BagReader(broadcasters) as bag:
        plain = list(in_time_order(bag, ["/tf"], bag.start_ns))
        assert list(StaticTransforms(bag).complete(plain)) == plain


def test_a_message_that_cannot_be_read_passes_unchanged(broadcasters: Path) -> None:
    with bags.BagReader(broadcasters) as bag:
        broken = Outgoing("/tf_static", T0_NS, b"\0\1\0\0\5")
        assert list(StaticTransforms(bag).complete([broken])) == [broken]


def test_static_transforms_are_latched_whatever_was_recorded(broadcasters: Path, tmp_path: Path) -> None:
    with bags.BagReader(broadcasters) as bag:
        assert latched_topics(bag, list(bag.topics)) == ["/tf_static"]
        assert bag.topics["/tf"].qos == RELIABLE
    with bags.BagReader(write_drive(tmp_path / "plain")) as bag:
        assert latched_topics(bag, list(bag.topics)) == ["/tf_static"]
