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

"""One attempt: what is written down for each way it can end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from copy_work import CopyWork, results, until, write_files

from flashocc_ros.errors import OutputError
from flashocc_ros.fleet import ledger as ledger_module
from flashocc_ros.fleet.attempt import Outcome, attempt
from flashocc_ros.fleet.ledger import Ledger
from flashocc_ros.fleet.recordings import Recording


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def once(tmp_path: Path, out: Path, content: str, **options: int) -> Outcome:
    (recording,) = write_files(tmp_path / "drives", drive=content)
    return attempt(recording, CopyWork(str(tmp_path)), Ledger(out), out, "me", **options)


def test_a_result_is_placed_and_all_is_noted(tmp_path: Path, out: Path) -> None:
    outcome = once(tmp_path, out, "fine")
    state = Ledger(out).read("drive")
    assert (outcome.kind, outcome.state) == ("new", state)
    assert state is not None
    assert (state.status, state.attempts, state.sets, state.worker, state.rig) == ("done", 1, 1, "me", "rig")
    assert state.metrics == {"bytes": 4.0}
    assert state.bytes == 4
    assert list(results(out)) == ["drive/digest"]
    assert state.result_bytes == 64
    assert not list((out / ".fleet" / "claims").iterdir())
    assert not list((out / ".fleet" / "work").iterdir())


def test_what_is_settled_is_not_done_again(tmp_path: Path, out: Path) -> None:
    once(tmp_path, out, "fine")
    assert once(tmp_path, out, "fine").kind == "before"
    again = once(tmp_path, out, "changed")
    assert again.state is not None
    assert (again.kind, again.state.attempts) == ("new", 1)


@pytest.mark.parametrize(
    ("order", "status", "reason"),
    [
        ("broken", "quarantined", "is broken; record it again"),
        ("engine", "failed", "the engine failed"),
        ("bug", "failed", "ZeroDivisionError: a bug"),
    ],
)
def test_who_is_to_blame_decides_the_status(tmp_path: Path, out: Path, order: str, status: str, reason: str) -> None:
    state = once(tmp_path, out, order).state
    assert state is not None
    assert state.status == status
    assert reason in state.reason
    assert not results(out)
    assert once(tmp_path, out, order).kind == ("before" if status == "quarantined" else "new")


def test_a_recording_that_is_gone_can_be_tried_again_when_it_is_back(tmp_path: Path, out: Path) -> None:
    gone = Recording("drive", str(tmp_path / "drives" / "drive.mcap"), 0)
    state = attempt(gone, CopyWork(), Ledger(out), out, "me").state
    assert state is not None
    assert "does not exist any more" in state.reason
    assert once(tmp_path, out, "fine").kind == "new"


def test_the_result_of_what_changed_meanwhile_is_not_placed(tmp_path: Path, out: Path) -> None:
    def replace() -> None:
        until((tmp_path / "drive.begun").exists)
        (tmp_path / "drives" / "drive.mcap").write_text("wait, but other")
        (tmp_path / "go").touch()

    thread = threading.Thread(target=replace)
    thread.start()
    state = once(tmp_path, out, "wait").state
    thread.join()
    assert state is not None
    assert state.status == "failed"
    assert "changed while it was read" in state.reason
    assert not results(out)


def test_the_old_result_of_a_recording_that_changed_goes_even_if_there_is_no_new_one(tmp_path: Path, out: Path) -> None:
    once(tmp_path, out, "fine")
    once(tmp_path, out, "broken")
    assert not results(out)


def test_a_worker_that_grows_beyond_its_limit_says_so(tmp_path: Path, out: Path) -> None:
    state = once(tmp_path, out, "fine", memory_limit_bytes=1_000_000).state
    assert state is not None
    assert "limit 0.0 GB; raise --memory-gb" in state.reason


def test_somebody_elses_recording_is_left_alone(tmp_path: Path, out: Path) -> None:
    with Ledger(out).claim("drive", "other") or pytest.fail("not free"):
        assert once(tmp_path, out, "fine").kind == "elsewhere"
    assert Ledger(out).read("drive") is None


def test_books_that_cannot_be_written_stop_the_fleet(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: object) -> None:
        raise OutputError(f"cannot write {path} (No space left on device)")

    assert once(tmp_path, out, "full").kind == "full"
    monkeypatch.setattr(ledger_module, "write_whole", full)
    assert once(tmp_path, out, "fine").kind == "full"


def test_a_state_that_nobody_can_read_is_none(tmp_path: Path, out: Path) -> None:
    once(tmp_path, out, "fine")
    path = out / ".fleet" / "recordings" / "drive.json"
    for damage in ("", "{", "[]", '{"recording": 3}'):
        path.write_text(damage)
        assert Ledger(out).read("drive") is None
    assert once(tmp_path, out, "fine").kind == "new"
