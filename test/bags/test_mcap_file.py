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

"""MCAP files as others write them, and as killed recorders and bad disks leave them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from drive_bag import write_drive
from raw_mcap import channel, chunk, drive_parts, file, message, schema

from flashocc_ros import bags
from flashocc_ros.errors import BagError

IMU_PROTOBUF = b"\x0a\xff\xfe\x80"  # no text in any encoding


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drive(tmp_path_factory.mktemp("source") / "drive")


def contents(path: Path) -> list[tuple[str, int, bytes]]:
    with bags.BagReader(path) as bag:
        return [(topic.name, stamp_ns, bytes(cdr)) for topic, stamp_ns, cdr in bag.messages()]


def written(path: Path, *parts: bytes, finished: bool = True) -> Path:
    path.write_bytes(file(parts, finished))
    return path


@pytest.mark.parametrize("compression", ["", "lz4"])
def test_chunks_without_an_index_are_found(drive: Path, tmp_path: Path, compression: str) -> None:
    declarations, groups = drive_parts(drive)
    chunks = [chunk(b"".join(messages), stamps, compression) for messages, stamps in groups]
    assert contents(written(tmp_path / "a.mcap", *declarations, *chunks)) == contents(drive)


def test_declarations_inside_chunks_are_found(drive: Path, tmp_path: Path) -> None:
    declarations, groups = drive_parts(drive, per_chunk=1000)
    [(messages, stamps)] = groups
    assert contents(written(tmp_path / "a.mcap", chunk(b"".join(declarations + messages), stamps))) == contents(drive)


def test_messages_outside_chunks_come_in_time_order(drive: Path, tmp_path: Path) -> None:
    declarations, groups = drive_parts(drive)
    backwards = [m for messages, _ in reversed(groups) for m in messages]
    found = contents(written(tmp_path / "a.mcap", *declarations, *backwards))
    assert sorted(found) == sorted(contents(drive))
    assert [stamp for _, stamp, _ in found] == sorted(stamp for _, stamp, _ in found)


@pytest.mark.parametrize("compression", ["", "lz4"])
def test_a_file_that_was_never_finished_is_read_as_far_as_it_goes(
    drive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, compression: str
) -> None:
    declarations, groups = drive_parts(drive)
    chunks = [chunk(b"".join(messages), stamps, compression) for messages, stamps in groups]
    path = written(tmp_path / "a.mcap", *declarations, *chunks, finished=False)
    whole = path.read_bytes()
    path.write_bytes(whole[: -len(chunks[-1]) - 40])  # the last chunk is missing and the one before it not whole
    with caplog.at_level(logging.WARNING):
        found = contents(path)
    kept = sum(len(messages) for messages, _ in groups[:-2])
    assert found == contents(drive)[: len(found)]
    assert kept <= len(found) < kept + 8
    [said] = [r.getMessage() for r in caplog.records]
    assert said.startswith(f"{path} was never finished or is cut off: it is read as far as it goes")


def test_what_can_be_read_of_a_cut_off_chunk_is_read(drive: Path, tmp_path: Path) -> None:
    declarations, groups = drive_parts(drive, per_chunk=1000)
    [(messages, stamps)] = groups
    path = written(tmp_path / "a.mcap", *declarations, chunk(b"".join(messages), stamps), finished=False)
    path.write_bytes(path.read_bytes()[: -len(messages[-1]) - 1])
    assert contents(path) == contents(drive)[:-2]


def test_a_damaged_chunk_alone_is_left_out(drive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    declarations, groups = drive_parts(drive)
    chunks = [chunk(b"".join(m), s, crc=12345 if k == 1 else None) for k, (m, s) in enumerate(groups)]
    with caplog.at_level(logging.WARNING):
        found = contents(written(tmp_path / "a.mcap", *declarations, *chunks))
    whole = contents(drive)
    assert found == whole[:8] + whole[16:]
    assert "checksum is wrong" in caplog.text


def test_our_own_chunks_have_a_checksum(drive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.mcap"
    data = bytearray((drive / "drive.mcap").read_bytes())
    data[data.index(b"\xff\xd8\xff") + 200] ^= 1  # inside of a picture: no length and no header tells
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING), pytest.raises(BagError, match="none of 34 messages can be read"):
        contents(path)
    assert "checksum is wrong" in caplog.text


def test_a_wrong_index_does_not_hide_the_messages(drive: Path, tmp_path: Path) -> None:
    data = (drive / "drive.mcap").read_bytes()
    index = data.rindex(b"\x08" + (8 * 4 + 4 + 10 * 6 + 8 + 4 + 16).to_bytes(8, "little"))
    path = tmp_path / "a.mcap"
    path.write_bytes(data[: index + 9 + 16] + (12345).to_bytes(8, "little") + data[index + 9 + 24 :])
    assert contents(path) == contents(drive)


def test_topics_that_are_not_of_ros_2_are_skipped_by_name(
    drive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    declarations, groups = drive_parts(drive)
    others = [
        schema(90, "Imu", "jsonschema", "{}"),
        channel(90, 90, "/imu", "json"),
        schema(91, "foxglove.SceneUpdate", "protobuf", IMU_PROTOBUF),
        channel(91, 91, "/scene", "protobuf"),
        schema(92, "own/msg/Secret", "", ""),
        channel(92, 92, "/secret"),
        schema(93, "own/msg/Broken", "ros2msg", "this is % no definition"),
        channel(93, 93, "/broken"),
        *(message(number, groups[0][1][0], b"{}") for number in (90, 91, 92, 93)),
    ]
    chunks = [chunk(b"".join(messages), stamps) for messages, stamps in groups]
    path = written(tmp_path / "a.mcap", *declarations, *others, *chunks)
    with caplog.at_level(logging.WARNING):
        assert contents(path) == contents(drive)
        assert len(list(bags.read_sets(path))) == 6
    [said] = [r.getMessage() for r in caplog.records if "left out" in r.getMessage()]
    for part in ("/imu (json messages instead of cdr)", "/scene (protobuf messages", "/secret (the definition of own"):
        assert part in said
    assert "/broken (the definition of own/msg/Broken cannot be used" in said


def test_bytes_of_unknown_types_can_be_passed_on(drive: Path, tmp_path: Path) -> None:
    declarations, groups = drive_parts(drive)
    secret = [
        schema(92, "own/msg/Secret", "", ""),
        channel(92, 92, "/secret"),
        message(92, groups[0][1][0], b"\0\1\0\0"),
    ]
    path = written(tmp_path / "a.mcap", *declarations, *secret)
    with bags.BagReader(path, raw=True) as bag:
        assert [(t.name, t.type, bytes(cdr)) for t, _, cdr in bag.messages()] == [
            ("/secret", "own/msg/Secret", b"\0\1\0\0")
        ]


def test_an_mcap_of_ros_1_is_called_so(drive: Path, tmp_path: Path) -> None:
    parts = [schema(1, "tf2_msgs/TFMessage", "ros1msg", ""), channel(1, 1, "/tf", "ros1"), message(1, 5, b"")]
    with pytest.raises(BagError, match=r"messages of ROS 1: convert .* with `rosbags-convert`"):
        bags.BagReader(written(tmp_path / "a.mcap", *parts))


def test_an_announced_size_is_not_believed(drive: Path, tmp_path: Path) -> None:
    declarations, groups = drive_parts(drive)
    [(messages, stamps), *_] = groups
    huge = bytearray(chunk(b"".join(messages), stamps))
    huge[9 + 16 : 9 + 24] = (1 << 60).to_bytes(8, "little")
    with pytest.raises(BagError, match="0 messages"):
        contents(written(tmp_path / "a.mcap", *declarations, bytes(huge)))


def test_chunks_without_a_wanted_topic_are_not_read(
    drive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A topic that stands in one chunk of a long recording is found without decompressing all others."""
    with bags.BagReader(drive) as reader, bags.BagWriter(tmp_path / "apart", compress=True) as writer:
        writer.add_topic("/tf", reader.topics["/tf"].type)
        writer.add_topic("/rare", reader.topics["/tf"].type)
        ((_, stamp_ns, cdr), *_) = reader.messages(["/tf"])
        bulk = bytes(cdr) + bytes(3 << 20)  # a chunk of its own
        for index in range(3):
            writer.write("/tf", stamp_ns + index, bulk)
        writer.write("/rare", stamp_ns + 9, bytes(cdr))
    (path,) = (tmp_path / "apart").glob("*.mcap")
    data = bytearray(path.read_bytes())
    first = data.index(b"zstd") + 40
    data[first : first + 64] = bytes(64)
    path.write_bytes(data)
    with bags.BagReader(tmp_path / "apart") as bag:
        assert len(list(bag.messages(["/rare"]))) == 1
        assert not caplog.records
        assert len(list(bag.messages(["/tf"]))) < 3
        assert "damaged" in caplog.text
