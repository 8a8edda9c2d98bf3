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

"""``flashocc synth``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from full_disk import largest_file

from flashocc_ros.bags import read_sets
from flashocc_ros.bags.results import read_truths
from flashocc_ros.data.synthetic import FrameCache
from flashocc_ros.variants import get_variant
from flashocc_ros.view.sources import open_source

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "variant.yaml"


def flashocc(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flashocc_ros.cli.main", "synth", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)


def test_a_drive_is_written_and_read_back(tmp_path: Path) -> None:
    out = tmp_path / "drive"
    done = flashocc("--seed", "1001", "--seconds", "0.5", "--rate", "2", "--width", "160", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "1 set of 6 cameras" in done.stdout
    (found,) = read_sets(out)
    assert found.images[0].shape == (90, 160, 3)
    again = flashocc("--seed", "1001", "--seconds", "0.5", "--out", str(out))
    assert again.returncode == 1
    assert "exists already" in again.stderr


def test_bad_input_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    done = flashocc("--seconds", "-3", "--out", str(tmp_path / "drive"))
    assert done.returncode == 1
    assert "error: duration -3 s" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "drive").exists()


@pytest.mark.parametrize("room_bytes", [4, 20_000], ids=["from-the-start", "later"])
def test_a_full_disk_leaves_no_half_drive(tmp_path: Path, room_bytes: int) -> None:
    with largest_file(room_bytes):
        done = flashocc("--seconds", "0.5", "--rate", "2", "--width", "160", "--out", str(tmp_path / "drive"))
    assert done.returncode == 1
    assert (
        done.stderr
        == f"error: cannot write {tmp_path / 'drive'} (File too large); free some space or choose another place\n"
    )
    assert not (tmp_path / "drive").exists()


def test_a_cache_is_drawn_and_continued(tmp_path: Path) -> None:
    arguments = ("--cache", str(tmp_path / "frames"), "--seeds", "7:8", "--frames", "1", "--quiet")
    done = flashocc(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'frames'}: 1 frame of 1 drive\n"
    assert len(FrameCache(tmp_path / "frames")) == 1
    assert flashocc(*arguments).returncode == 0
    other = flashocc("--cache", str(tmp_path / "frames"), "--seeds", "8:9", "--frames", "1", "--quiet")
    assert other.returncode == 1
    assert "was begun with seeds [7], not [8]" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "either --out for a recording or --cache"),
        (("--out", "a", "--cache", "b"), "either --out for a recording or --cache"),
        (("--cache", "b", "--seeds", "7:7"), "--seeds 7:7 must hold 1 to"),
        (("--cache", "b", "--width", "352"), "--width is of a recording"),
    ],
)
def test_what_to_draw_must_be_clear(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = flashocc(*(str(tmp_path / a) if a in ("a", "b") else a for a in arguments))
    assert done.returncode == 1
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_killed_drive_does_not_block_the_next(tmp_path: Path) -> None:
    half = tmp_path / ".writing.drive" / "drive"
    half.mkdir(parents=True)
    (half / "drive.mcap").write_bytes(b"half")
    done = flashocc("--seconds", "0.5", "--rate", "2", "--width", "160", "--out", str(tmp_path / "drive"))
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["drive"]


def test_a_drive_for_a_variant_has_its_grid_and_classes(tmp_path: Path) -> None:
    options = ("--seconds", "0.5", "--rate", "2", "--width", "160", "--variant", str(EXAMPLE))
    done = flashocc("--seed", "1001", *options, "--out", str(tmp_path / "drive"))
    assert done.returncode == 0, done.stderr
    own = get_variant(EXAMPLE)
    ((_, truth, _),) = read_truths(tmp_path / "drive", pictures=False)
    assert truth.grid == own.grid
    assert truth.classes.same_ids(own.classes)
    assert truth.classes.things == own.classes.things
    assert (truth.semantics == own.classes.index("road")).any()
    assert truth.instances is not None
    assert truth.instances.max() >= own.classes.first_instance_id
    source = open_source(tmp_path / "drive")
    assert source.classes.names == own.classes.names
    (frame,) = source.frames()
    assert frame.classes.names == own.classes.names
