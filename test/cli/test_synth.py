"""``flashocc synth``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from full_disk import largest_file

from flashocc_ros.bags import read_sets


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
