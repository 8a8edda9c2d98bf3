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

"""Entries that nothing uses go, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flashocc_ros.cli.build import app
from flashocc_ros.engine.store.cache import CacheKey, cached, lock_of
from flashocc_ros.engine.store.prune import prune

DAY_S = 86_400


def make(root: Path, name: str, used_days_ago: float, size_bytes: int = 1_000_000) -> Path:
    def build(folder: Path) -> None:
        (folder / "engine.bin").write_bytes(bytes(size_bytes))

    entry = cached(root, CacheKey("openvino", "flashocc-r50-M0", {"name": name}), build)
    used_s = time.time() - used_days_ago * DAY_S
    os.utime(entry / "entry.json", (used_s, used_s))
    return entry


def test_what_was_not_used_for_90_days_goes(tmp_path: Path) -> None:
    old, young = make(tmp_path, "old", 91), make(tmp_path, "young", 89)
    done = prune(tmp_path)
    assert done.removed == (old,)
    assert done.freed_bytes == pytest.approx(1e6, rel=0.01)
    assert young.is_dir()
    assert not old.exists()


def test_the_longest_unused_go_until_the_rest_is_small_enough(tmp_path: Path) -> None:
    entries = [make(tmp_path, str(days), days) for days in (5, 4, 3, 2)]
    assert prune(tmp_path, keep_gb=0.0025).removed == tuple(entries[:2])


def test_what_was_used_today_stays_whatever_its_size(tmp_path: Path) -> None:
    entry = make(tmp_path, "now", 0.5)
    assert prune(tmp_path, keep_gb=0).removed == ()
    assert entry.is_dir()


def test_files_that_are_no_entries_stay(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "entry.json").write_text("{}")
    (tmp_path / "notes.txt").touch()
    target = make(tmp_path / "elsewhere", "old", 100)
    (tmp_path / target.name).symlink_to(target)
    os.utime(tmp_path / "thesis" / "entry.json", (0, 0))
    assert prune(tmp_path).removed == ()
    assert target.is_dir()


def test_an_entry_that_is_being_built_stays(tmp_path: Path) -> None:
    entry = make(tmp_path, "old", 100)
    with lock_of(entry):
        assert prune(tmp_path).removed == ()
    assert prune(tmp_path).removed == (entry,)


def test_what_killed_processes_left_goes(tmp_path: Path) -> None:
    entry = make(tmp_path, "young", 1)
    for pid in ("123", "123.old"):
        (tmp_path / f".{entry.name}.{pid}.tmp").mkdir()
    prune(tmp_path)
    assert list(tmp_path.glob("*.tmp")) == []
    assert entry.is_dir()


def test_a_cache_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert prune(tmp_path / "none").removed == ()


def test_the_command_says_what_went(tmp_path: Path) -> None:
    make(tmp_path, "old", 91)
    result = CliRunner().invoke(app, ["--prune", "--cache-dir", str(tmp_path)], catch_exceptions=False)
    assert result.output == "removed 1 of the cache's entries, 0.00 GB; 0.00 GB stay\n"
