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

"""Which recordings patterns name, and what their results are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from copy_work import write_files

from flashocc_ros.errors import ConfigError
from flashocc_ros.fleet.fingerprint import END_BYTES, fingerprint
from flashocc_ros.fleet.recordings import Recording, find_recordings, shard


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_names_are_paths_below_the_first_wildcard(tmp_path: Path) -> None:
    for name in ("monday/a.mcap", "tuesday/a.mcap.zstd", "tuesday/notes.txt"):
        touch(tmp_path / "drives" / name)
    touch(tmp_path / "drives" / "folder" / "metadata.yaml")
    found = find_recordings([f"{tmp_path}/drives/*/*", f"{tmp_path}/drives/fold*"])
    assert [r.name for r in found] == ["folder", "monday__a", "tuesday__a"]
    assert found[0].location == f"{tmp_path}/drives/folder"


def test_a_folder_and_the_files_in_it_are_one_recording(tmp_path: Path) -> None:
    touch(tmp_path / "drives" / "a" / "a_0.mcap")
    touch(tmp_path / "drives" / "b" / "b_0.db3")
    assert [r.name for r in find_recordings([f"{tmp_path}/drives/**"])] == ["a", "b"]


def test_results_are_not_taken_for_recordings(tmp_path: Path) -> None:
    touch(tmp_path / "a.mcap")
    touch(tmp_path / "results" / "a" / "a.mcap")
    assert [r.name for r in find_recordings([f"{tmp_path}/**/*.mcap"], tmp_path / "results")] == ["a"]


def test_paths_relative_to_the_working_folder_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a.mcap")
    touch(tmp_path / "b" / "x.mcap")
    monkeypatch.chdir(tmp_path)
    found = find_recordings(["a.mcap", "./b"])
    assert [r.name for r in found] == ["a", "b"]
    assert found[0].location == str(tmp_path / "a.mcap")
    assert [r.name for r in find_recordings(["*"])] == ["a", "b"]
    os.chdir(tmp_path / "b")
    assert [r.name for r in find_recordings(["."])] == ["b"]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["{0}/none/*"], "no recording matches .*/none/"),
        (["{0}/monday/a.mcap", "{0}/gone.mcap"], r"gone\.mcap does not exist"),
        (["{0}/monday/a.mcap", "{0}/tuesday/a.mcap"], "both give results called a; name them by one pattern"),
    ],
)
def test_what_names_nothing_or_two_alike_is_refused(tmp_path: Path, patterns: list[str], message: str) -> None:
    touch(tmp_path / "monday" / "a.mcap")
    touch(tmp_path / "tuesday" / "a.mcap")
    with pytest.raises(ConfigError, match=message):
        find_recordings([pattern.format(tmp_path) for pattern in patterns])


def test_shards_share_the_recordings_by_size() -> None:
    recordings = [Recording(f"r{k}", f"/r{k}", k) for k in range(10)]
    parts = [shard(recordings, f"{k}/3") for k in (1, 2, 3)]
    assert sorted(r.name for part in parts for r in part) == sorted(r.name for r in recordings)
    assert max(sum(r.bytes for r in part) for part in parts) - min(sum(r.bytes for r in part) for part in parts) <= 9


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/", "-1/2"])
def test_a_part_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="must be I/N"):
        shard([], text)


def test_a_fingerprint_follows_content_and_names_not_the_place(tmp_path: Path) -> None:
    (first,) = write_files(tmp_path / "a", drive="x" * 3 * END_BYTES)
    (moved,) = write_files(tmp_path / "b", drive="x" * 3 * END_BYTES)
    (tail,) = write_files(tmp_path / "c", drive="x" * (3 * END_BYTES - 1) + "y")
    before, there, other = (fingerprint(r.location).sha256 for r in (first, moved, tail))
    assert before == there != other
    longer = fingerprint(write_files(tmp_path / "a", drive="x" * 4 * END_BYTES)[0].location)
    assert (longer.bytes, longer.sha256 != before) == (4 * END_BYTES, True)
