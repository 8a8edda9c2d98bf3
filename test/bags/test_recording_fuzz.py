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

"""Recordings as anybody may have made them: sets, or an error of ours."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from drive_bag import write_drive
from hostile import damaged, takes

from flashocc_ros.bags import BagReader, BagWriter, read_sets


def read(path: Path) -> None:
    """All that a recording holds."""
    for camera_set in read_sets(path):
        assert len(camera_set.pictures) == 2


@pytest.fixture(scope="module", params=["mcap", "sqlite3"])
def drive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drive(tmp_path_factory.mktemp("drive") / "drive", storage=request.param, sets=6)


def _content(drive: Path) -> Path:
    return next(file for file in drive.iterdir() if file.suffix != ".yaml")


@pytest.mark.parametrize("which", [_content, lambda drive: drive / "metadata.yaml"], ids=["content", "metadata"])
def test_damaged_files_give_sets_or_an_error_of_ours(
    which: Callable[[Path], Path], drive: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "drive"
    shutil.copytree(drive, copy)
    assert takes(lambda: read(copy))
    for data in damaged(which(drive).read_bytes(), 25):
        which(copy).write_bytes(data)
        takes(lambda: read(copy))


@pytest.mark.parametrize("value", ["NULL", "'x'", "x'00'", "1.5", "-9223372036854775808"])
def test_a_database_with_anything_in_its_columns_is_refused_or_read(value: str, tmp_path: Path) -> None:
    """A column of SQLite holds what was put there, whatever type it was declared with."""
    drive = write_drive(tmp_path / "drive", storage="sqlite3", sets=6)
    sound = _content(drive).read_bytes()
    for table in ("topics", "messages", "message_definitions"):
        with closing(sqlite3.connect(_content(drive))) as database:
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        for column in columns:
            with closing(sqlite3.connect(_content(drive))) as database, suppress(sqlite3.Error), database:
                database.execute(f"UPDATE {table} SET {column} = {value} WHERE rowid = 2")
            takes(lambda: read(drive))
            _content(drive).write_bytes(sound)


def test_damaged_messages_give_sets_or_an_error_of_ours(drive: Path, tmp_path: Path) -> None:
    rng = random.Random(1)
    with BagReader(drive) as bag:
        messages, topics = list(bag.messages()), list(bag.topics.values())
    for number in range(12):
        with BagWriter(tmp_path / str(number)) as writer:
            for topic in topics:
                writer.add_topic(topic.name, topic.type, topic.qos)
            for topic, stamp_ns, cdr in messages:
                hit = rng.random() < 0.1
                writer.write(topic.name, stamp_ns, next(damaged(bytes(cdr), 1, rng.randrange(9**9))) if hit else cdr)
        takes(lambda number=number: read(tmp_path / str(number)))
