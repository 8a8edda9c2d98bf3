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

"""Results on servers are whole or not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from drive_bag import write_drive
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from flashocc_ros import bags
from flashocc_ros.errors import RemoteError
from flashocc_ros.remote import RemotePath, access, output_file, output_folder


class _Disk(LocalFileSystem):
    """A server with real files that renames, as sftp does, and writes down what comes."""

    protocol = "testdisk"
    came: ClassVar[list[str]] = []
    fails_at = ""

    @classmethod
    def _strip_protocol(cls, path: Any) -> str:
        return str(path).removeprefix("testdisk://")

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        if self.fails_at and rpath.endswith(self.fails_at):
            Path(rpath).write_bytes(Path(lpath).read_bytes()[:10])  # what a connection that broke leaves
            raise ConnectionResetError("the connection broke")
        self.came.append(Path(rpath).name)
        super().put_file(lpath, rpath, **options)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(access, "PAUSES_S", (0.0, 0.0, 0.0))
    fsspec.register_implementation("testdisk", _Disk, clobber=True)
    _Disk.came.clear()
    yield
    _Disk.fails_at = ""
    MemoryFileSystem.store.clear()


@pytest.fixture(params=["memory", "testdisk"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> RemotePath:
    return RemotePath(f"{request.param}://{tmp_path}/out/result")


def write_result(target: RemotePath, sets: int = 6) -> None:
    with output_folder(target) as folder:
        write_drive(folder, sets=sets)


def test_a_folder_arrives_and_replaces_an_older_one(target: RemotePath) -> None:
    for sets in (6, 8):
        write_result(target, sets)
        assert len(list(bags.read_sets(target))) == sets
        found = sorted(file.name for file in RemotePath(target.url).iterdir())
        assert found == ["metadata.yaml", "result.mcap"]


def test_a_file_arrives_and_replaces_an_older_one(target: RemotePath) -> None:
    for content in (b"one", b"other"):
        with output_file(target) as path:
            path.write_bytes(content)
        assert RemotePath(target.url).read_bytes() == content


def test_the_marker_comes_last_and_under_another_name_first(tmp_path: Path) -> None:
    write_result(RemotePath(f"testdisk://{tmp_path}/out/result"))
    assert _Disk.came == [".writing.result.mcap", ".writing.metadata.yaml"]


@pytest.mark.parametrize("fails_at", ["result.mcap", "metadata.yaml"])
def test_half_an_upload_is_never_taken_for_a_result(tmp_path: Path, fails_at: str) -> None:
    target = RemotePath(f"testdisk://{tmp_path}/out/result")
    write_result(target)
    _Disk.fails_at = fails_at
    with pytest.raises(RemoteError, match=r"result cannot be reached \(ConnectionResetError.*tried 4 times"):
        write_result(target, 8)
    there = {file.name for file in (tmp_path / "out" / "result").iterdir()}
    assert there <= {"result.mcap"}  # without its marker, and no half files


def test_an_error_while_writing_sends_nothing(target: RemotePath) -> None:
    def write_half() -> None:
        with output_file(target) as path:
            path.write_bytes(b"half")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        write_half()
    assert not RemotePath(target.url).exists()


def test_local_results_are_written_as_ever(tmp_path: Path) -> None:
    with output_file(tmp_path / "a.txt") as path:
        path.write_text("one")
    with output_folder(tmp_path / "bag") as folder:
        write_drive(folder)
    assert (tmp_path / "a.txt").read_text() == "one"
    assert len(list(bags.read_sets(tmp_path / "bag"))) == 6
