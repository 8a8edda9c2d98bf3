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

"""Recordings are read and written without ROS, and whatever is wrong with one is said in a sentence."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from drive_bag import MS, NAMES, T0_NS, header, spoil_pictures, transform, write_drive

from flashocc_ros import bags
from flashocc_ros.bags.camera_sets import Frames, odom_frame
from flashocc_ros.bags.headers import header_stamp_ns
from flashocc_ros.bags.results import to_objects
from flashocc_ros.errors import BagError


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_own_messages_survive_a_round_trip(tmp_path: Path, storage: str) -> None:
    labels = np.random.default_rng(0).integers(0, 18, 200 * 200 * 16).astype(np.uint8)
    with bags.BagWriter(tmp_path / "result", storage=storage, compress=True) as writer:
        writer.add_topic("/occupancy", "flashocc_ros/msg/Occupancy3D", bags.LATCHED)
        message = writer.message(
            "flashocc_ros/msg/Occupancy3D",
            header=header(writer, T0_NS, "base_link"),
            resolution=0.4,
            origin=writer.message("geometry_msgs/msg/Point", x=-40.0, y=-40.0, z=-1.0),
            size_x=200,
            size_y=200,
            size_z=16,
            labels=labels,
            instances=np.array([], np.uint16),
            class_table="occ3d-nuscenes",
            class_table_version=1,
            masked_cameras=[],
        )
        writer.write("/occupancy", T0_NS, message)
    [(topic, stamp_ns, read)] = bags.read_messages(tmp_path / "result")
    assert (topic, stamp_ns) == ("/occupancy", T0_NS)
    assert np.array_equal(read.labels, labels)
    assert read.header.frame_id == "base_link"
    with bags.BagReader(tmp_path / "result") as bag:
        assert bag.topics["/occupancy"].qos == bags.LATCHED


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_sets_carry_calibration_and_the_pose_of_each_image(tmp_path: Path, storage: str) -> None:
    sets = list(bags.read_sets(write_drive(tmp_path / "drive", storage=storage)))
    assert [s.stamp_ns for s in sets] == [T0_NS + k * 100 * MS for k in range(6)]
    middle = sets[1]
    assert middle.names == NAMES
    assert middle.stamps_ns.tolist() == [T0_NS + 100 * MS, T0_NS + 130 * MS]
    assert middle.odom_from_base[:, 0, 3] == pytest.approx([1.0, 1.3])
    assert middle.rig.base_from_camera[:, 0, 3] == pytest.approx([1.0, 2.0])
    assert middle.rig.intrinsics[0, 0, 0] == 20.0
    assert [int(i.mean()) for i in middle.images] == pytest.approx([40, 60], abs=2)


def test_cameras_are_chosen_and_ordered_by_name(tmp_path: Path) -> None:
    path = write_drive(tmp_path / "drive")
    [first, *_] = bags.read_sets(path, cameras=["CAM_BACK"])
    assert first.names == ("CAM_BACK",)
    assert first.stamp_ns == T0_NS + 30 * MS


def test_incomplete_sets_are_left_out(tmp_path: Path) -> None:
    sets = bags.read_sets(write_drive(tmp_path / "drive", skip={(1, 1), (3, 0)}))
    assert [s.stamp_ns for s in sets] == [T0_NS + k * 100 * MS for k in (0, 2, 4, 5)]


def test_a_damaged_image_costs_its_set_alone(tmp_path: Path) -> None:
    source = write_drive(tmp_path / "drive")
    with bags.BagReader(source) as reader, bags.BagWriter(tmp_path / "damaged") as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type, topic.qos)
        for topic, stamp_ns, cdr in reader.messages():
            if topic.name == "/CAM_BACK/image/compressed" and stamp_ns == T0_NS + 130 * MS:
                message = reader.deserialize(cdr, topic.type)
                message.data = message.data[: len(message.data) // 2]
                cdr = bytes(writer.types.serialize_cdr(message, topic.type))
            writer.write(topic.name, stamp_ns, cdr)
    sets = bags.read_sets(tmp_path / "damaged")
    assert [s.stamp_ns for s in sets] == [T0_NS + k * 100 * MS for k in (0, 2, 3, 4, 5)]


def test_the_bit_depth_of_sixteen_bit_images_is_an_option(tmp_path: Path) -> None:
    with bags.BagReader(write_drive(tmp_path / "drive", sets=1)) as reader, bags.BagWriter(tmp_path / "grey") as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type, topic.qos)
        for topic, stamp_ns, cdr in reader.messages():
            if topic.name.endswith("compressed"):
                message = reader.deserialize(cdr, topic.type)
                message.format = "mono16; png compressed "
                message.data = cv2.imencode(".png", np.full((24, 32), 200 << 4, np.uint16))[1].ravel()
                cdr = bytes(writer.types.serialize_cdr(message, topic.type))
            writer.write(topic.name, stamp_ns, cdr)
    (only,) = bags.read_sets(tmp_path / "grey", bit_depth=12)
    assert all((image == 200).all() for image in only.images)


def test_without_odometry_the_vehicle_stands_still(tmp_path: Path) -> None:
    for camera_set in bags.read_sets(write_drive(tmp_path / "drive", odometry=False)):
        assert np.array_equal(camera_set.odom_from_base, np.tile(np.eye(4), (2, 1, 1)))


def test_a_set_is_of_one_trigger_where_the_nearest_images_are_not(tmp_path: Path) -> None:
    """The last shutter of a real rig is nearer to the next trigger's first than to its own."""
    delays_ms = {"CAM_FRONT_LEFT": 0, "CAM_FRONT": 7.586, "CAM_BACK": 32.651, "CAM_BACK_LEFT": 42.549}
    path = write_drive(tmp_path / "drive", period_ms=83, delays_ms=delays_ms)
    sets = list(bags.read_sets(path, cameras=list(delays_ms), decode=False))
    assert [s.stamp_ns for s in sets] == [T0_NS + k * 83 * MS for k in range(6)]
    for found in sets:
        assert (found.stamps_ns - found.stamp_ns).tolist() == [round(ms * MS) for ms in delays_ms.values()]
        assert [i.header.stamp.sec * 10**9 + i.header.stamp.nanosec for i in found.images] == found.stamps_ns.tolist()


def test_a_recording_too_short_to_learn_from_says_so(tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"learning the delays of the cameras\. Learning takes 5 triggers or more"):
        next(bags.read_sets(write_drive(tmp_path / "drive", sets=3)))


def test_a_fault_of_every_image_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spoilt = spoil_pictures(write_drive(tmp_path / "drive"), tmp_path / "spoilt")
    with pytest.raises(BagError, match="none of its 6 complete sets can be used"):
        next(bags.read_sets(spoilt))
    assert len(caplog.messages) == 1


def test_a_single_key_frame_is_a_set(tmp_path: Path) -> None:
    (only,) = bags.read_sets(write_drive(tmp_path / "drive", sets=1))
    assert only.stamps_ns.tolist() == [T0_NS, T0_NS + 30 * MS]


def shift_tf(source: Path, out: Path, late_ns: int, until_ns: int = 2**62) -> Path:
    """The drive with its transforms recorded later, and none of after ``until_ns``."""
    with bags.BagReader(source) as reader, bags.BagWriter(out) as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type, topic.qos)
        for topic, stamp_ns, cdr in reader.messages():
            is_tf = topic.name.startswith("/tf")
            if not is_tf or topic.name == "/tf_static" or stamp_ns < until_ns:
                writer.write(topic.name, stamp_ns + late_ns * is_tf, cdr)
    return out


def rewrite_tf(source: Path, out: Path, namespace: str = "", downwards: bool = False) -> Path:
    """The drive with its transforms in a namespace, or its odometry as a transform from the vehicle down to odom."""
    with bags.BagReader(source) as reader, bags.BagWriter(out) as writer:
        for topic in reader.topics.values():
            writer.add_topic(namespace * topic.name.startswith("/tf") + topic.name, topic.type, topic.qos)
        for topic, stamp_ns, cdr in reader.messages():
            if topic.name == "/tf" and downwards:
                message = reader.deserialize(cdr, topic.type)
                position = message.transforms[0].transform.translation
                cdr = bytes(
                    writer.types.serialize_cdr(
                        transform(writer, stamp_ns, "base_link", "odom", (-position.x, 0.0, 0.0)), topic.type
                    )
                )
            writer.write(namespace * topic.name.startswith("/tf") + topic.name, stamp_ns, cdr)
    return out


def test_odometry_published_from_the_vehicle_downwards_is_used(tmp_path: Path) -> None:
    middle = list(bags.read_sets(rewrite_tf(write_drive(tmp_path / "drive"), tmp_path / "down", downwards=True)))[1]
    assert middle.odom_from_base[:, 0, 3] == pytest.approx([1.0, 1.3])


def test_transforms_in_a_namespace_are_pointed_at(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spaced = rewrite_tf(write_drive(tmp_path / "drive"), tmp_path / "spaced", namespace="/robot1")
    with pytest.raises(BagError, match="tf has no frame 'CAM_FRONT'; frames there: none at all"):
        next(bags.read_sets(spaced))
    assert "but below robot1; name it with --tf-prefix" in caplog.text
    assert len(list(bags.read_sets(spaced, frames=Frames(tf_prefix="robot1")))) == 6


def test_transforms_recorded_within_the_wait_after_the_images_serve_them(tmp_path: Path) -> None:
    middle = list(bags.read_sets(shift_tf(write_drive(tmp_path / "drive"), tmp_path / "late", 150 * MS)))[1]
    assert middle.odom_from_base[:, 0, 3] == pytest.approx([1.0, 1.3])
    assert middle.rig.base_from_camera[:, 0, 3] == pytest.approx([1.0, 2.0])


def test_transforms_recorded_too_late_are_refused_as_the_node_does(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="tf has no frame 'CAM_FRONT'"):
        next(bags.read_sets(shift_tf(write_drive(tmp_path / "drive"), tmp_path / "late", 2000 * MS)))


def test_odometry_of_another_time_is_named(tmp_path: Path) -> None:
    cut = shift_tf(write_drive(tmp_path / "drive"), tmp_path / "cut", 0, until_ns=T0_NS)
    with pytest.raises(BagError, match=r"none of its 6 complete sets can be used; .* tf has not yet brought base_link"):
        next(bags.read_sets(cut))


def test_a_message_without_room_for_a_stamp_is_refused() -> None:
    with pytest.raises(BagError, match="7 bytes is too short"):
        header_stamp_ns(bytes(7))


def test_an_empty_recording_is_refused(tmp_path: Path) -> None:
    with bags.BagWriter(tmp_path / "empty") as writer:
        writer.add_topic("/tf", "tf2_msgs/msg/TFMessage")
    with pytest.raises(BagError, match="0 messages"):
        bags.BagReader(tmp_path / "empty")


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    for name, content, reason in (
        ("notes.txt", b"hello", "is no recording"),
        ("notes.mcap", b"hello, this is no recording at all, but long enough to look at", "not a recording"),
        ("notes.db3", b"hello", "not a recording"),
        ("nothing.mcap", b"", "not a recording"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BagError, match=reason):
            bags.BagReader(tmp_path / name)


def test_missing_and_misnamed_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="does not exist"):
        bags.BagReader(tmp_path / "nowhere")
    (tmp_path / "plain").mkdir()
    with pytest.raises(BagError, match=r"no metadata\.yaml"):
        bags.BagReader(tmp_path / "plain")
    shutil.copytree(write_drive(tmp_path / "drive"), tmp_path / "drive.bag")
    assert len(list(bags.read_sets(tmp_path / "drive.bag"))) == 6  # the content counts, not the name
    with pytest.raises(BagError, match=r"must not end in \.bag"):
        bags.BagWriter(tmp_path / "other.bag")
    with pytest.raises(BagError, match="exists already"):
        bags.BagWriter(tmp_path / "drive")


def test_a_truncated_mcap_gives_the_sets_that_it_holds(tmp_path: Path) -> None:
    path = write_drive(tmp_path / "drive") / "drive.mcap"
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"\xff\xd8\xff") + 50])  # within the last picture
    assert len(list(bags.read_sets(path.parent))) == 5


def test_an_mcap_that_holds_no_message_before_it_ends_is_refused(tmp_path: Path) -> None:
    path = write_drive(tmp_path / "drive") / "drive.mcap"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(BagError, match="0 messages"):
        list(bags.read_sets(path.parent))


def test_damage_in_the_middle_is_said(tmp_path: Path) -> None:
    path = write_drive(tmp_path / "drive") / "drive.mcap"
    content = bytearray(path.read_bytes())
    content[600:2000] = bytes(1400)
    path.write_bytes(content)
    with pytest.raises(BagError, match="damaged"):
        list(bags.read_messages(path.parent))


def test_what_a_recording_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"no camera CAM_LEFT; cameras there: CAM_FRONT, CAM_BACK"):
        next(bags.read_sets(write_drive(tmp_path / "a"), cameras=["CAM_LEFT"]))
    with pytest.raises(BagError, match=r"tf has no frame 'CAM_FRONT'; frames there: base_link, odom$"):
        next(bags.read_sets(write_drive(tmp_path / "b", tf_static=False)))
    with pytest.raises(BagError, match="no camera at all"):
        next(bags.read_sets(write_drive(tmp_path / "c", info=False)))
    with pytest.raises(BagError, match="no messages on /nothing"):
        list(bags.read_messages(tmp_path / "a", "/nothing"))


def test_writing_to_an_unannounced_topic_is_refused(tmp_path: Path) -> None:
    with bags.BagWriter(tmp_path / "drive") as writer:
        with pytest.raises(BagError, match="not announced"):
            writer.write("/tf", T0_NS, b"")
        with pytest.raises(BagError, match="unknown"):
            writer.add_topic("/x", "nobody/msg/Knows")


@pytest.mark.data
def test_the_real_recordings_hold_three_sets(shared_dir: Path) -> None:
    for scene in ("0003", "0061"):
        sets = list(bags.read_sets(shared_dir / f"data/nuscenes_frame_scene{scene}_rosbag2"))
        assert len(sets) == 3
        assert sets[0].names[0] == "CAM_FRONT_LEFT"
        assert {i.shape for s in sets for i in s.images} == {(900, 1600, 3)}
        assert np.ptp(sets[0].stamps_ns) == pytest.approx(43 * MS, abs=2 * MS)


def test_a_camera_whose_calibration_names_no_frame_is_where_its_images_are(tmp_path: Path) -> None:
    with bags.BagReader(write_drive(tmp_path / "drive")) as reader, bags.BagWriter(tmp_path / "named") as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type, topic.qos)
        for topic, stamp_ns, cdr in reader.messages():
            message = reader.deserialize(cdr, topic.type)
            if topic.name.endswith("camera_info"):
                message.header.frame_id = ""
            elif topic.name.endswith("compressed"):
                message.header.frame_id += "_optical"
            elif topic.name == "/tf_static":
                message.transforms[0].child_frame_id += "_optical"
            writer.write(topic.name, stamp_ns, message)
    sets = list(bags.read_sets(tmp_path / "named"))
    assert len(sets) == 6
    assert sets[0].rig.base_from_camera[1, 0, 3] == 2.0


def test_results_of_an_earlier_version_are_read_by_the_definition_recorded_with_them(tmp_path: Path) -> None:
    with bags.BagWriter(tmp_path / "old") as writer:
        kind = "flashocc_ros/msg/Occupancy3D"
        constants, fields = writer.types.fielddefs.pop(kind)
        earlier = [field for field in fields if field[0] != "masked_cameras"]
        assert len(earlier) == len(fields) - 1
        writer.types.register({kind: (constants, earlier)})
        writer.add_topic("/occupancy", kind)
        header = writer.message(
            "std_msgs/msg/Header", stamp=writer.message("builtin_interfaces/msg/Time", sec=1, nanosec=2), frame_id="b"
        )
        message = writer.message(
            kind,
            header=header,
            resolution=0.4,
            origin=writer.message("geometry_msgs/msg/Point", x=0.0, y=0.0, z=0.0),
            size_x=2,
            size_y=2,
            size_z=2,
            labels=np.arange(8, dtype=np.uint8),
            instances=np.zeros(0, np.uint16),
            class_table="t",
            class_table_version=1,
        )
        writer.write("/occupancy", 5, message)
    ((_, _, read),) = list(bags.read_messages(tmp_path / "old", "/occupancy"))
    assert read.labels.tolist() == list(range(8))
    assert not hasattr(read, "masked_cameras")


def test_objects_of_an_earlier_version_tell_no_velocity(tmp_path: Path) -> None:
    with bags.BagWriter(tmp_path / "old") as writer:
        array, kind = "flashocc_ros/msg/PanopticInstanceArray", "flashocc_ros/msg/PanopticInstance"
        constants, fields = writer.types.fielddefs.pop(kind)
        writer.types.register({kind: (constants, [field for field in fields if "velocity" not in field[0]])})
        writer.add_topic("/instances", array)
        zeros = dict.fromkeys("xyz", 0.0)
        place, size = (writer.message(f"geometry_msgs/msg/{name}", **zeros) for name in ("Point", "Vector3"))
        old = writer.message(kind, id=20, class_id=4, score=0.5, center=place, extent=size, voxel_count=9)
        writer.write("/instances", 5, writer.message(array, header=writer.header(1, "base_link"), instances=[old, old]))
    ((_, _, read),) = list(bags.read_messages(tmp_path / "old", "/instances"))
    assert [(i.id, i.voxel_count, i.velocity_mps) for i in to_objects(read)] == [(20, 9, None)] * 2


def test_damaged_messages_cost_what_they_hold(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    front, back, info = "/CAM_FRONT/image/compressed", "/CAM_BACK/image/compressed", "/CAM_FRONT/camera_info"
    lengths = {(front, 2): 30, (back, 4): 3, (info, 3): 30, ("/tf", 4): 30}  # bytes left, by topic and number
    numbers: dict[str, int] = {}
    with bags.BagReader(write_drive(tmp_path / "drive")) as reader, bags.BagWriter(tmp_path / "cut") as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type, topic.qos)
        for topic, stamp_ns, cdr in reader.messages():
            numbers[topic.name] = numbers.get(topic.name, -1) + 1
            writer.write(topic.name, stamp_ns, bytes(cdr)[: lengths.get((topic.name, numbers[topic.name]))])
    with caplog.at_level(logging.WARNING):
        stamps = [s.stamp_ns for s in bags.read_sets(tmp_path / "cut")]
    assert stamps == [T0_NS + k * 100 * MS for k in (0, 1, 3, 5)]
    said = [record.getMessage() for record in caplog.records]
    for topic in ("/tf", info, back):
        assert sum(f"a message on {topic} is left out" in sentence for sentence in said) == 1
    assert sum("the set at" in sentence and "camera CAM_FRONT" in sentence for sentence in said) == 1


def test_the_frame_that_the_vehicle_moves_in_is_found_without_reading_on(tmp_path: Path) -> None:
    write_drive(tmp_path / "drive", sets=6)
    with bags.BagReader(tmp_path / "drive") as bag:
        total, read = sum(1 for _ in bag.messages(["/tf"])), 0

        def counted(topics: list[str]) -> Iterator[Any]:
            nonlocal read
            for item in bags.BagReader.messages(bag, topics):
                read += 1
                yield item

        bag.messages = counted  # type: ignore[method-assign, assignment]
        assert odom_frame(bag) == "odom"
    assert read < total
