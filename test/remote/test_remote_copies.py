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

"""The folder of copies stays within its limit and gives whole files only, whoever works in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_server import Web, serve

from flashocc_ros.errors import ConfigError, OutputError, RemoteError
from flashocc_ros.remote import RemotePath, access

MB = 1_000_000


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASHOCC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FLASHOCC_RECORDINGS_GB", "0.003")
    monkeypatch.setattr(access, "PAUSES_S", (0.0, 0.0, 0.0))


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    (tmp_path / "served").mkdir()
    for name in "abcd":
        (tmp_path / "served" / f"{name}.db3").write_bytes(name.encode() * MB)
    with serve(tmp_path / "served") as server:
        yield server


def copies(tmp_path: Path) -> list[str]:
    return sorted(path.name.partition(".")[2] for path in (tmp_path / "cache" / "recordings").glob("*.*"))


def place(web: Web, name: str) -> RemotePath:
    return RemotePath(f"{web.url}/{name}.db3")


def test_the_copy_used_longest_ago_makes_room(web: Web, tmp_path: Path) -> None:
    for number, name in enumerate("abcab"):
        used = place(web, name)
        path = used.local()
        used.release()
        os.utime(path, (number, number))  # a clock may be too coarse to tell uses apart
    place(web, "d").local()
    assert copies(tmp_path) == ["a.db3", "b.db3", "d.db3"]


def test_a_copy_in_use_stays(web: Web, tmp_path: Path) -> None:
    held = [place(web, name) for name in "abc"]
    for used in held:
        used.local()
    with pytest.raises(OutputError, match=r"3 of 0.003 GB for copies .* are in use|0.0 of 0.003 GB"):
        place(web, "d").local()
    assert copies(tmp_path) == ["a.db3", "b.db3", "c.db3"]
    held[1].release()
    place(web, "d").local()
    assert copies(tmp_path) == ["a.db3", "c.db3", "d.db3"]


def test_what_is_larger_than_the_limit_is_refused_at_once(web: Web, tmp_path: Path) -> None:
    (web.folder / "huge.db3").write_bytes(bytes(4 * MB))
    with pytest.raises(OutputError, match=r"huge.db3 cannot be read in place and takes 0.0 GB or more, the limit"):
        place(web, "huge").local()
    assert web.sent == 0
    assert copies(tmp_path) == []


def test_a_body_that_breaks_off_never_becomes_a_copy(web: Web, tmp_path: Path) -> None:
    web.ranges = False
    web.fault = lambda number: "cut" if number > 1 else None
    with pytest.raises(RemoteError, match=r"a.db3 cannot be reached .* tried 4 times"):
        place(web, "a").local()
    assert copies(tmp_path) == []
    web.fault = lambda number: None
    assert place(web, "a").local().read_bytes() == b"a" * MB


def test_what_a_killed_process_left_makes_room(web: Web, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "recordings"
    folder.mkdir(parents=True)
    (folder / "0123.x.db3.part").write_bytes(bytes(3 * MB))
    os.utime(folder / "0123.x.db3.part", (1, 1))
    place(web, "a").local()
    assert copies(tmp_path) == ["a.db3"]


def test_two_processes_fetch_a_file_once(web: Web) -> None:
    code = (
        "import sys; from flashocc_ros.remote import RemotePath; "
        "print(len(RemotePath(sys.argv[1]).local().read_bytes()))"
    )
    command = [sys.executable, "-c", code, f"{web.url}/a.db3"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == [str(MB)] * 3
    assert web.sent == MB


@pytest.mark.parametrize("value", ["much", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_none_is_refused(web: Web, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("FLASHOCC_RECORDINGS_GB", value)
    with pytest.raises(ConfigError, match=f"FLASHOCC_RECORDINGS_GB is '{value}', needs a number of gigabytes above 0"):
        place(web, "a").local()
