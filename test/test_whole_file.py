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

"""A result is there whole, or what was there before is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from full_disk import largest_file

from flashocc_ros.errors import OutputError
from flashocc_ros.whole_file import check_writable, make_folder, whole_file, whole_folder, write_whole


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with whole_file(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        assert temporary.suffix == ".json"
    assert content(tmp_path) == {"a.json": "half"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interruption_keeps_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a.json").write_text("old")

    def stop() -> None:
        with whole_file(tmp_path / "a.json") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        stop()
    assert content(tmp_path) == {"a.json": "old"}


def test_a_full_disk_keeps_the_old_file_and_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with largest_file(1000), pytest.raises(OutputError, match=r"cannot write .*a\.json \(File too large\); free some"):
        write_whole(path, "x" * 2000)
    assert content(tmp_path) == {"a.json": "old"}


def test_what_a_killed_run_left_does_not_block_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from flashocc_ros.whole_file import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.json")], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "a.json").exists()
    write_whole(tmp_path / "a.json", "whole")
    assert content(tmp_path) == {"a.json": "whole"}


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    write_whole(Path(f"/dev/fd/{writing}"), "numbers")
    assert os.read(reading, 100) == b"numbers"
    os.close(reading)
    os.close(writing)


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "a.json").symlink_to("real.json")
    write_whole(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").is_symlink()
    assert (tmp_path / "real.json").read_text() == "new"


def test_a_file_that_cannot_be_made_is_said_before_the_work(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "a.json")
    with pytest.raises(OutputError, match="it is a folder"):
        check_writable(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        check_writable(tmp_path / "file" / "a.json")


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "sub" / "drive") as folder:
        assert folder.name == "drive"
        folder.mkdir()
        (folder / "a").write_text("half")
        assert not (tmp_path / "sub" / "drive").exists()
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["drive"]


def test_half_a_folder_of_a_killed_run_does_not_block_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from flashocc_ros.whole_file import whole_folder\n"
        "with whole_folder(Path(sys.argv[1])) as folder:\n"
        "    folder.mkdir(); (folder / 'old').write_text('half'); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "drive")], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "drive").exists()
    with whole_folder(tmp_path / "drive") as folder:
        folder.mkdir()
        (folder / "new").write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["drive"]
    assert [path.name for path in (tmp_path / "drive").iterdir()] == ["new"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interruption_leaves_no_folder(tmp_path: Path, error: BaseException) -> None:
    def interrupted() -> None:
        with whole_folder(tmp_path / "drive") as folder:
            folder.mkdir()
            raise error

    with pytest.raises((OutputError, KeyboardInterrupt)):
        interrupted()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [lambda path: write_whole(path, "a"), make_folder, check_writable])
def test_a_url_is_no_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: object) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=r"cannot write s3:/bucket/a.json: results of this command go to local disks"):
        write(Path("s3://bucket/a.json"))  # type: ignore[operator]
    assert content(tmp_path) == {}
