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

"""Which files a recording consists of, however it came here; nothing makes opening one slow."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from drive_bag import MS, T0_NS, write_drive
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from flashocc_ros import bags
from flashocc_ros.bags.files import MAX_FILES, is_recording
from flashocc_ros.errors import BagError

LIMIT_S = 20


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise TimeoutError(f"nothing after {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    return write_drive(tmp_path / "drive")


def stamps(path: Path) -> list[int]:
    return [found.stamp_ns for found in bags.read_sets(path)]


ALL = [T0_NS + k * 100 * MS for k in range(6)]


def edit_metadata(drive: Path, pattern: str, replacement: str) -> None:
    index = drive / "metadata.yaml"
    text, count = re.subn(pattern, replacement, index.read_text(), count=1)
    assert count == 1
    index.write_text(text)


def rewritten(source: Path, target: Path, storage: str, mode: CompressionMode = CompressionMode.NONE) -> Path:
    with bags.BagReader(source) as reader:
        writer = Writer(target, version=8, storage_plugin=StoragePlugin[storage])
        writer.set_compression(mode, CompressionFormat.ZSTD)
        with writer:
            connections = {
                t.name: writer.add_connection(t.name, t.type, typestore=reader.types, offered_qos_profiles=[t.qos])
                for t in reader.topics.values()
            }
            for topic, stamp_ns, cdr in reader.messages():
                writer.write(connections[topic.name], stamp_ns, cdr)
    return target


@pytest.mark.parametrize("storage", ["MCAP", "SQLITE3"])
@pytest.mark.parametrize("mode", [CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE])
@pytest.mark.parametrize("index", [True, False])
def test_every_storage_and_compression_opens(
    drive: Path, tmp_path: Path, storage: str, mode: CompressionMode, index: bool
) -> None:
    copy = rewritten(drive, tmp_path / "copy", storage, mode)
    if not index:
        (copy / "metadata.yaml").unlink()
    assert stamps(copy) == ALL
    [file] = [p for p in copy.iterdir() if p.name != "metadata.yaml"]
    assert stamps(file) == ALL


def test_a_missing_index_is_said_once(drive: Path, caplog: pytest.LogCaptureFixture) -> None:
    (drive / "metadata.yaml").unlink()
    with caplog.at_level(logging.WARNING):
        assert stamps(drive) == stamps(drive) == ALL
    assert [r.getMessage() for r in caplog.records] == [f"{drive} has no metadata.yaml; its files are read without it"]


@pytest.mark.parametrize("identifier", ["''", "sqlite3", "unknown"])
def test_the_content_says_what_a_file_is(drive: Path, identifier: str) -> None:
    edit_metadata(drive, r"storage_identifier: \w+", f"storage_identifier: {identifier}")
    assert stamps(drive) == ALL


@pytest.mark.parametrize("replacement", ["message_count: 99", "message_count: 0", "message_count: many"])
def test_wrong_counts_are_said_and_made_up_for(drive: Path, caplog: pytest.LogCaptureFixture, replacement: str) -> None:
    index = (drive / "metadata.yaml").read_text()
    at = index.index("name: /tf\n")
    at = index.index("message_count: ", at)
    (drive / "metadata.yaml").write_text(index[:at] + replacement + index[index.index("\n", at) :])
    with caplog.at_level(logging.WARNING):
        assert stamps(drive) == ALL
    assert ("counts wrongly: /" in caplog.text) == ("many" not in replacement)


def test_split_recordings_are_one(tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "drive", sets=12)
    joined = tmp_path / "joined"
    joined.mkdir()
    with bags.BagReader(drive) as reader:
        cut_ns = T0_NS + 550 * MS
        for name, wanted in (("b_first", lambda s: s < cut_ns), ("a_second", lambda s: s >= cut_ns)):
            with bags.BagWriter(tmp_path / name) as writer:
                for topic in reader.topics.values():
                    writer.add_topic(topic.name, topic.type, topic.qos)
                for topic, stamp_ns, cdr in reader.messages():
                    if wanted(stamp_ns):
                        writer.write(topic.name, stamp_ns, cdr)
            shutil.move(tmp_path / name / f"{name}.mcap", joined)
    assert stamps(joined) == stamps(drive)
    with bags.BagReader(joined) as both, bags.BagReader(drive) as whole:
        assert (both.start_ns, both.end_ns, both.message_count) == (whole.start_ns, whole.end_ns, whole.message_count)
        assert [stamp for _, stamp, _ in both.messages()] == [stamp for _, stamp, _ in whole.messages()]


def test_a_file_that_is_missing_or_unreadable_costs_no_other(drive: Path, caplog: pytest.LogCaptureFixture) -> None:
    edit_metadata(drive, "- drive.mcap", "- drive.mcap\n  - lost.mcap\n  - empty.mcap")
    (drive / "empty.mcap").touch()
    with caplog.at_level(logging.WARNING):
        assert stamps(drive) == ALL
    assert "lacks 1 of the 3 files that its metadata.yaml lists (lost.mcap)" in caplog.text
    assert "empty.mcap: it is empty; this file is left out" in caplog.text


def test_files_of_another_folder_are_not_opened(drive: Path, tmp_path: Path) -> None:
    other = write_drive(tmp_path / "other", sets=1)
    edit_metadata(drive, "- drive.mcap", f"- {other}/other.mcap")
    assert stamps(drive) == ALL


def test_ros_1_is_called_ros_1(tmp_path: Path) -> None:
    for name, content in (("a.bag", b"#ROSBAG V2.0\n"), ("b.bag", b""), ("c.mcap", b"#ROSBAG V2.0\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BagError, match=r"is a ROS 1 recording; convert it with `rosbags-convert --src \S+ --dst"):
            bags.BagReader(tmp_path / name)


def test_a_named_pipe_is_not_waited_for(drive: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mcap")
    with pytest.raises(BagError, match="neither a folder nor a regular file"):
        bags.BagReader(tmp_path / "pipe.mcap")
    os.mkfifo(drive / "pipe.mcap")
    assert stamps(drive) == ALL
    edit_metadata(drive, "- drive.mcap", "- pipe.mcap")
    with pytest.raises(BagError, match="is not a regular file"):
        bags.BagReader(drive)
    (drive / "metadata.yaml").unlink()
    os.mkfifo(drive / "metadata.yaml")
    with pytest.raises(BagError, match=r"metadata\.yaml is not a regular file"):
        bags.BagReader(drive)


def test_links_in_a_circle_are_no_recording(drive: Path, tmp_path: Path) -> None:
    (drive / "again").symlink_to(drive)
    assert stamps(drive) == ALL
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(BagError, match="does not exist"):
        bags.BagReader(tmp_path / "circle")
    (drive / "drive.mcap").unlink()
    (drive / "drive.mcap").symlink_to(drive / "drive.mcap")
    with pytest.raises(BagError, match="lacks the files"):
        bags.BagReader(drive)


def test_an_index_out_of_bounds_is_refused(drive: Path) -> None:
    edit_metadata(drive, "- drive.mcap", "- drive.mcap\n" + "  - drive.mcap\n" * 100_000)
    with pytest.raises(BagError, match=f"lists 100001 files, the limit is {MAX_FILES}"):
        bags.BagReader(drive)
    (drive / "metadata.yaml").write_text("a: 1\n" * 2_000_000)
    with pytest.raises(BagError, match=r"is 10\.0 MB long, the limit is 4\.2 MB; delete it"):
        bags.BagReader(drive)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + k)}: &{chr(98 + k)} [{', '.join([f'*{chr(97 + k)}'] * 9)}]\n" for k in range(9)
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 5000,
        "- " * 100_000,
        "a: {b: 1}\n<<: *x\n",
        BOMB + "rosbag2_bagfile_information: *j\n",
        "!!python/object/apply:os.system ['true']",
        "rosbag2_bagfile_information: {relative_file_paths: 5}",
        "rosbag2_bagfile_information: {relative_file_paths: [], topics_with_message_count: [1, {topic_metadata: 2}]}",
        "\x00",
    ],
)
def test_a_useless_index_is_ignored(drive: Path, text: str) -> None:
    (drive / "metadata.yaml").write_text(text)
    assert stamps(drive) == ALL


def test_an_index_alone_is_refused(drive: Path) -> None:
    (drive / "drive.mcap").unlink()
    with pytest.raises(BagError, match=r"lacks the files that its metadata\.yaml lists \(drive\.mcap\)"):
        bags.BagReader(drive)


def test_folders_and_files_are_recognised(drive: Path, tmp_path: Path) -> None:
    assert is_recording(drive)
    assert is_recording(drive / "drive.mcap")
    (drive / "metadata.yaml").unlink()
    assert is_recording(drive)
    assert not is_recording(tmp_path / "nothing")
    (tmp_path / "notes.txt").write_text("no recording")
    assert not is_recording(tmp_path / "notes.txt")


def test_a_definition_that_the_recorder_did_not_find_costs_its_topic_alone(drive: Path, tmp_path: Path) -> None:
    import sqlite3

    copy = rewritten(drive, tmp_path / "copy", "SQLITE3")
    with sqlite3.connect(copy / "copy.db3") as database:
        database.execute("UPDATE topics SET type = 'own/msg/Secret' WHERE name = '/CAM_BACK/camera_info'")
        database.execute("UPDATE message_definitions SET encoding = 'unknown', encoded_message_definition = ''")
    with bags.BagReader(copy) as bag:
        assert "/CAM_BACK/camera_info" not in bag.topics
        assert bag.topics["/tf"].count == 8


def test_a_damaged_database_is_refused(drive: Path, tmp_path: Path) -> None:
    file = rewritten(drive, tmp_path / "copy", "SQLITE3") / "copy.db3"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(
        BagError, match=r"is damaged, cut off or not a recording.*try `sqlite3 FILE \.recover"
    ) as caught:
        stamps(file)
    assert "mcap" not in str(caught.value)
