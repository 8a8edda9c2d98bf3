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

"""The order in which a recording goes out, and what ``flashocc replay`` refuses. DDS itself: test/e2e."""

from __future__ import annotations

from pathlib import Path

import pytest
from drive_bag import MS, T0_NS, write_drive
from rosbags.interfaces import QosDurability, QosReliability
from typer.testing import CliRunner

from flashocc_ros.bags import LATCHED, SENSOR_DATA, BagReader
from flashocc_ros.cli.replay import app
from flashocc_ros.errors import BagError, OutputError
from flashocc_ros.replay.schedule import LOOKAHEAD_NS, find_camera_sets, in_time_order, set_by_set

IMAGES = ("/CAM_FRONT/image/compressed", "/CAM_BACK/image/compressed")


def test_a_report_that_cannot_be_written_is_refused_before_the_replay(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        CliRunner().invoke(app, [str(tmp_path / "none"), "--report", str(tmp_path)], catch_exceptions=False)


def test_time_order_is_the_recorded_one(tmp_path: Path) -> None:
    with BagReader(write_drive(tmp_path / "drive")) as bag:
        sent = list(in_time_order(bag, list(bag.topics), bag.start_ns))
        assert len(sent) == bag.message_count
    assert [m.stamp_ns for m in sent] == sorted(m.stamp_ns for m in sent)


def test_latched_topics_survive_a_late_start(tmp_path: Path) -> None:
    with BagReader(write_drive(tmp_path / "drive")) as bag:
        start_ns = T0_NS + 150 * MS
        sent = list(in_time_order(bag, list(bag.topics), start_ns))
    early = [m.topic for m in sent if m.stamp_ns < start_ns]
    assert set(early) == {"/tf_static"}
    assert [m.topic for m in sent[: len(early)]] == early


def test_each_complete_set_ends_with_its_last_image(tmp_path: Path) -> None:
    with BagReader(write_drive(tmp_path / "drive", skip={(1, 1)})) as bag:
        sets = find_camera_sets(bag, list(bag.topics), bag.start_ns)
        sent = list(set_by_set(bag, list(bag.topics), bag.start_ns, sets))
    assert sets.first_ns == tuple(T0_NS + k * 100 * MS for k in (0, 2, 3, 4, 5))
    assert [(m.topic, m.completes) for m in sent if m.completes >= 0] == [(IMAGES[1], k) for k in range(5)]


def test_poses_are_out_before_the_images_that_need_them_and_the_time_never_goes_back(tmp_path: Path) -> None:
    with BagReader(write_drive(tmp_path / "drive")) as bag:
        sets = find_camera_sets(bag, list(bag.topics), bag.start_ns)
        newest_pose_ns = 0
        recorded_ns = {cdr: stamp_ns for _, stamp_ns, cdr in bag.messages(["/tf"])}
        sent = list(set_by_set(bag, list(bag.topics), bag.start_ns, sets))
    for message in sent:
        if message.topic == "/tf":
            newest_pose_ns = recorded_ns[message.cdr]
        elif message.topic in IMAGES:
            assert newest_pose_ns >= min(message.stamp_ns + LOOKAHEAD_NS - 100 * MS, max(recorded_ns.values()))
    assert [m.stamp_ns for m in sent] == sorted(m.stamp_ns for m in sent)


def test_a_lockstep_needs_complete_sets(tmp_path: Path) -> None:
    with BagReader(write_drive(tmp_path / "drive", info=False)) as bag, pytest.raises(BagError, match="needs cameras"):
        find_camera_sets(bag, list(bag.topics), bag.start_ns)


def test_the_recorded_quality_of_service_is_kept() -> None:
    qos = pytest.importorskip("rclpy.qos")
    from flashocc_ros.replay.player import to_profile

    latched = to_profile(LATCHED)
    assert latched.durability == qos.DurabilityPolicy.TRANSIENT_LOCAL
    assert latched.reliability == qos.ReliabilityPolicy.RELIABLE
    sensor = to_profile(SENSOR_DATA)
    assert sensor.reliability == qos.ReliabilityPolicy.BEST_EFFORT
    assert sensor.durability == qos.DurabilityPolicy.VOLATILE
    in_lockstep = to_profile(SENSOR_DATA, reliable=True)
    assert in_lockstep.reliability == qos.ReliabilityPolicy.RELIABLE
    unknown = LATCHED._replace(reliability=QosReliability.UNKNOWN, durability=QosDurability.UNKNOWN)
    assert to_profile(unknown).reliability == qos.ReliabilityPolicy.RELIABLE
    assert to_profile(unknown).durability == qos.DurabilityPolicy.VOLATILE


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["missing"], "does not exist"),
        (["drive", "--topics", "/nothing"], "no messages on /nothing"),
        (["drive", "--start", "60"], "lies behind the end"),
        (["drive", "--lockstep", "occupancy", "--topics", "/tf"], "needs cameras"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_drive(tmp_path / "drive")
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code != 0
    assert reason in str(result.exception)


def test_an_empty_recording_and_a_wrong_rate_are_refused(tmp_path: Path) -> None:
    from flashocc_ros.bags import BagWriter

    with BagWriter(tmp_path / "empty") as writer:
        writer.add_topic("/tf", "tf2_msgs/msg/TFMessage")
    assert "0 messages" in str(CliRunner().invoke(app, [str(tmp_path / "empty")]).exception)
    assert CliRunner().invoke(app, [str(tmp_path / "empty"), "--rate", "0"]).exit_code == 2
