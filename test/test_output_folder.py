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

"""A folder that a command writes into keeps what is not ours."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flashocc_ros.errors import ConfigError
from flashocc_ros.output_folder import MARKER, OutputFolder


def make(out: Path, *names: str) -> None:
    with OutputFolder(out).writing(names):
        for name in names:
            (out / name).mkdir()
            (out / name / "a").write_text("ours")


def names(out: Path) -> list[str]:
    return sorted(p.name for p in out.iterdir() if p.name != MARKER)


def test_an_earlier_run_is_removed_and_nothing_else(tmp_path: Path) -> None:
    make(tmp_path, "result")
    (tmp_path / "thesis.tex").touch()
    with OutputFolder(tmp_path).writing(["result"]):
        assert names(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_half_written_after_an_error_does_not_block_the_next_run(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with OutputFolder(tmp_path).writing(["result", "empty"]):
            (tmp_path / "result").write_text("half")
            (tmp_path / "empty").mkdir()
            raise error

    with pytest.raises(error):
        fail()
    make(tmp_path, "result", "empty")
    assert (tmp_path / "result" / "a").read_text() == "ours"


KILLED = """
import os, signal, sys
from pathlib import Path
from flashocc_ros.output_folder import OutputFolder
out = Path(sys.argv[1])
with OutputFolder(out).writing(["result", "log", "empty"]):
    (out / "result").mkdir()
    (out / "empty").mkdir()
    (out / "result" / "a").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The folder of a run that was killed while it wrote."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "out")], timeout=60)
    assert done.returncode == -signal.SIGKILL
    return tmp_path / "out"


def test_half_written_by_a_killed_run_does_not_block_the_next(killed: Path) -> None:
    with OutputFolder(killed).writing(["other"]):
        pass
    make(killed, "result", "log", "empty")
    assert (killed / "result" / "a").read_text() == "ours"


def test_what_is_older_than_the_killed_run_is_not_its_own(killed: Path) -> None:
    (killed / "log").write_text("mine")
    os.utime(killed / "log", ns=(0, 0))
    with pytest.raises(ConfigError, match="log is in the way"):
        make(killed, "result", "log")
    assert names(killed) == ["empty", "log", "result"]


def test_a_folder_without_marker_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "result")
    (tmp_path / MARKER).unlink()
    with pytest.raises(ConfigError, match=f"{tmp_path / 'result'} is in the way.*move it or choose another --out"):
        make(tmp_path, "result")


def test_an_empty_folder_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()
    with pytest.raises(ConfigError, match="in the way"):
        make(tmp_path, "result")


def test_a_file_put_into_ours_is_refused_before_anything_is_removed(tmp_path: Path) -> None:
    make(tmp_path, "log", "result")
    (tmp_path / "result" / "notes").write_text("mine")
    with pytest.raises(ConfigError, match="result/notes is in the way"):
        make(tmp_path, "log", "result")
    assert (tmp_path / "log" / "a").exists()


def test_a_file_of_ours_that_was_edited_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "result")
    (tmp_path / "result" / "a").write_text("mine")
    with pytest.raises(ConfigError, match="in the way"):
        make(tmp_path, "result")


def test_a_link_in_place_of_ours_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "result")
    shutil.move(tmp_path / "result", tmp_path / "kept")
    (tmp_path / "result").symlink_to("kept")
    with pytest.raises(ConfigError, match="in the way"):
        make(tmp_path, "result")
    assert (tmp_path / "kept" / "a").exists()


def test_a_name_given_up_is_no_longer_ours(tmp_path: Path) -> None:
    make(tmp_path, "drive")
    with OutputFolder(tmp_path).writing(["result"], stale=["drive"]):
        assert names(tmp_path) == []
    (tmp_path / "drive").mkdir()
    with pytest.raises(ConfigError, match="in the way"):
        make(tmp_path, "drive")


def test_stale_things_stay_where_they_are_read_or_not_ours(tmp_path: Path) -> None:
    make(tmp_path, "drive")
    (tmp_path / "pictures").mkdir()
    with OutputFolder(tmp_path).writing([], stale=["drive", "pictures"], inputs=[tmp_path / "drive"]):
        assert names(tmp_path) == ["drive", "pictures"]
    make(tmp_path, "drive")


def test_a_marker_that_is_cut_off_proves_nothing(tmp_path: Path) -> None:
    make(tmp_path, "result")
    (tmp_path / MARKER).write_text((tmp_path / MARKER).read_text()[:-5])
    (tmp_path / "result" / "a").write_text("mine")
    os.utime(tmp_path / "result" / "a", ns=(0, 0))
    with pytest.raises(ConfigError, match="in the way"):
        make(tmp_path, "result")


def test_a_file_as_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(ConfigError, match="is a file; give a folder"):
        OutputFolder(tmp_path / "out")
