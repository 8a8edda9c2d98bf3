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

"""Claims: one holder at a time, gone with its process, patient with other machines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from full_disk import largest_file

from flashocc_ros.errors import OutputError
from flashocc_ros.fleet import claims

HOLD = (
    "import sys, time; from pathlib import Path; from flashocc_ros.fleet.claims import take;"
    "claim = take(Path(sys.argv[1]), 'other'); claim.tell(3, 9, 5); claim._write(); print('held', flush=True);"
    "time.sleep(600)"
)


def other_holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def foreign_claim(path: Path, age_s: float) -> None:
    """As another machine left it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"worker": "far/0", "machine": "another boot", "token": "abc"}))
    os.utime(path, (time.time() - age_s,) * 2)


def test_a_claim_has_one_holder_and_is_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "claims" / "drive"
    with claims.take(path, "me/0") or pytest.fail("not free") as claim:
        assert claims.take(path, "me/1") is None
        assert claim.held
    assert not path.exists()
    second = claims.take(path, "me/1")
    assert second is not None
    second.release()
    second.release()


def test_a_living_process_keeps_its_claim_and_tells_how_far_it_is(tmp_path: Path) -> None:
    path = tmp_path / "drive"
    process = other_holder(path)
    try:
        assert claims.take(path, "me") is None
        facts = claims.holder(path)
        assert facts is not None
        assert (facts["worker"], facts["frames"], facts["expected"]) == ("other", 3, 9)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_claim_of_a_process_that_was_killed_is_taken_over_at_once(tmp_path: Path, number: int) -> None:
    path = tmp_path / "drive"
    process = other_holder(path)
    process.send_signal(number)
    process.wait()
    assert path.exists()
    assert claims.holder(path) is None
    claim = claims.take(path, "me")
    assert claim is not None
    assert claim.held
    claim.release()


def test_a_stopped_process_keeps_its_claim(tmp_path: Path) -> None:
    path = tmp_path / "drive"
    process = other_holder(path)
    try:
        process.send_signal(signal.SIGSTOP)
        os.utime(path, (0, 0))  # as after hours without a beat
        assert claims.take(path, "me") is None
    finally:
        process.kill()
        process.wait()


def test_another_machine_is_thought_dead_only_after_a_long_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "SETTLE_S", 0.0)
    foreign_claim(tmp_path / "fresh", claims.SILENT_S / 2)
    foreign_claim(tmp_path / "silent", claims.SILENT_S * 2)
    assert claims.take(tmp_path / "fresh", "me") is None
    assert claims.holder(tmp_path / "fresh") is not None
    assert claims.holder(tmp_path / "silent") is None
    claim = claims.take(tmp_path / "silent", "me")
    assert claim is not None
    claim.release()


def test_a_holder_whose_claim_was_taken_over_knows_it_and_leaves_the_new_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "drive"
    claim = claims.take(path, "me")
    assert claim is not None
    path.write_text(json.dumps({"worker": "far/0", "machine": "another boot", "token": "abc"}))
    assert not claim.held
    claim.release()
    assert json.loads(path.read_text())["token"] == "abc"


def test_a_beat_changes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT_S", 0.01)
    path = tmp_path / "drive"
    with claims.take(path, "me") or pytest.fail("not free") as claim:
        claim.tell(7, None, 1)
        end_s = time.monotonic() + 10
        while json.loads(path.read_text() or "{}").get("frames") != 7:
            assert time.monotonic() < end_s


def test_a_file_that_is_being_written_is_of_somebody_alive(tmp_path: Path) -> None:
    path = tmp_path / "drive"
    path.touch()
    assert claims.take(path, "me") is None
    os.utime(path, (time.time() - 2 * claims.UNWRITTEN_S,) * 2)
    claim = claims.take(path, "me")
    assert claim is not None
    claim.release()


def test_a_claim_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with largest_file(10), pytest.raises(OutputError, match="cannot write"):
        claims.take(tmp_path / "drive", "me")
    assert not list(tmp_path.iterdir())
