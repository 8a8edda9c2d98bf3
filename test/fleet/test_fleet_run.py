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

"""The driver with real processes: workers and drivers that die, two drivers, full disks, going on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from copy_work import CopyWork, results, run_local, until, write_files
from full_disk import largest_file

from flashocc_ros.errors import ConfigError, OutputError
from flashocc_ros.fleet.ledger import Ledger
from flashocc_ros.fleet.manifest import NAME, read_manifest
from flashocc_ros.fleet.recordings import Recording
from flashocc_ros.fleet.status import read_status
from flashocc_ros.fleet.todo import check_settings

DRIVER = (
    "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
    "from copy_work import CopyWork, run_local; from flashocc_ros.fleet.recordings import find_recordings;"
    "run_local(find_recordings([sys.argv[2]]), Path(sys.argv[3]), CopyWork(sys.argv[4]), workers=int(sys.argv[5]),"
    "          resume=True)"
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def statuses(out: Path) -> dict[str, str]:
    return {state.recording: state.status for state in read_manifest(out)}


def driver(tmp_path: Path, out: Path, workers: int = 1) -> subprocess.Popen[bytes]:
    """A driver in a process of its own."""
    here = str(Path(__file__).parent)
    arguments = (here, f"{tmp_path}/drives/*", str(out), str(tmp_path), str(workers))
    return subprocess.Popen([sys.executable, "-c", DRIVER, *arguments])


def begun(tmp_path: Path, name: str) -> None:
    until((tmp_path / f"{name}.begun").exists)


def worker_of(out: Path, name: str) -> int:
    """The process that works on a recording."""
    found = Ledger(out).working()
    return int(found[name]["pid"])


def test_the_rest_goes_on_and_the_manifest_says_all(tmp_path: Path, out: Path) -> None:
    recordings = write_files(tmp_path / "drives", a="fine", b="broken", c="engine", d="fine too")
    summary = run_local(recordings, out, CopyWork(), workers=2)
    assert (summary.done, summary.quarantined, summary.failed, summary.left) == (2, 1, 1, 0)
    assert summary.reasons["c"] == "the engine failed"
    assert statuses(out) == {"a": "done", "b": "quarantined", "c": "failed", "d": "done"}
    assert {s.recording: s.attempts for s in read_manifest(out)} == {"a": 1, "b": 1, "c": 2, "d": 1}
    assert sorted(results(out)) == ["a/digest", "d/digest"]
    assert not list((out / ".fleet" / "lists").iterdir())


def test_going_on_does_what_is_missing_changed_or_failed(tmp_path: Path, out: Path) -> None:
    contents = {"kept": "fine", "missing": "fine 2", "changed": "fine 3", "failed": "engine", "bad": "broken"}
    recordings = write_files(tmp_path / "drives", **contents)
    run_local(recordings, out, CopyWork())
    with pytest.raises(ConfigError, match=r"5 of 5 recordings were worked on in .* --resume does what is missing"):
        run_local(recordings, out, CopyWork())
    (out / "missing" / "digest").unlink()
    (out / "missing").rmdir()
    before = (out / "kept" / "digest").stat().st_mtime_ns
    recordings = write_files(tmp_path / "drives", changed="fine again", failed="fine at last", new="fine 4")
    summary = run_local(recordings, out, CopyWork(), resume=True)
    assert (summary.done, summary.before, summary.quarantined, summary.failed) == (4, 1, 1, 0)
    assert (out / "kept" / "digest").stat().st_mtime_ns == before
    assert set(statuses(out).values()) == {"done", "quarantined"}


def test_a_worker_that_is_killed_costs_one_attempt(tmp_path: Path, out: Path) -> None:
    recordings = write_files(tmp_path / "drives", a="wait", b="fine")
    killed: list[int] = []

    def kill() -> None:
        begun(tmp_path, "a")
        killed.append(worker_of(out, "a"))
        os.kill(killed[0], signal.SIGKILL)
        (tmp_path / "go").touch()

    thread = threading.Thread(target=kill)
    thread.start()
    summary = run_local(recordings, out, CopyWork(str(tmp_path)), workers=2)
    thread.join()
    assert (summary.done, summary.deaths) == (2, 1)
    assert {s.recording: s.attempts for s in read_manifest(out)} == {"a": 2, "b": 1}
    assert not list((out / ".fleet" / "work").iterdir())


def test_a_recording_that_kills_its_workers_fails_alone(tmp_path: Path, out: Path) -> None:
    recordings = write_files(tmp_path / "drives", a="die", b="fine")
    summary = run_local(recordings, out, CopyWork())
    assert (summary.done, summary.failed, summary.deaths) == (1, 1, 2)
    assert "its worker died 2 times while it had this recording" in summary.reasons["a"]
    assert statuses(out) == {"a": "failed", "b": "done"}


def test_a_worker_without_a_recording_helps_with_that_of_another(tmp_path: Path, out: Path) -> None:
    recordings = write_files(tmp_path / "drives", a="share")
    summary = run_local(recordings, out, CopyWork(shared=True), workers=2)
    assert (summary.done, summary.deaths) == (1, 0)
    assert results(out) == {"a/part": b"by a helper"}
    assert not list((out / ".fleet" / "work").iterdir())


def test_a_helper_that_dies_costs_the_recording_nothing(tmp_path: Path, out: Path) -> None:
    recordings = write_files(tmp_path / "drives", a="share")
    summary = run_local(recordings, out, CopyWork(str(tmp_path), shared=True), workers=2)
    assert (summary.done, summary.deaths) == (1, 1)
    assert [state.attempts for state in read_manifest(out)] == [1]


def test_workers_end_with_their_driver_and_another_goes_on(tmp_path: Path, out: Path) -> None:
    write_files(tmp_path / "drives", a="wait", b="fine")
    first = driver(tmp_path, out)
    begun(tmp_path, "a")
    worker = worker_of(out, "a")
    first.kill()
    first.wait()
    until(lambda: not Path(f"/proc/{worker}").exists())
    status = read_status(out)
    assert (status.counts["running"], status.counts["queued"], status.counts["done"]) == (0, 2, 0)
    (tmp_path / "go").touch()
    assert driver(tmp_path, out).wait(60) == 0
    assert statuses(out) == {"a": "done", "b": "done"}
    assert len(results(out)) == 2


def test_two_drivers_never_work_on_one_recording_and_both_end_when_all_is_done(tmp_path: Path, out: Path) -> None:
    write_files(tmp_path / "drives", **{f"r{k}": f"wait {k}" for k in range(4)})
    drivers = [driver(tmp_path, out), driver(tmp_path, out)]
    until(lambda: len(Ledger(out).working()) == 2)
    (tmp_path / "go").touch()
    assert [process.wait(60) for process in drivers] == [0, 0]
    assert {s.recording: (s.status, s.attempts) for s in read_manifest(out)} == {f"r{k}": ("done", 1) for k in range(4)}


def test_what_the_other_driver_leaves_is_taken_over(tmp_path: Path, out: Path) -> None:
    write_files(tmp_path / "drives", a="wait")
    first = driver(tmp_path, out)
    begun(tmp_path, "a")
    second = driver(tmp_path, out)
    until(lambda: len(list((out / ".fleet" / "lists").iterdir())) == 2)
    (tmp_path / "go").touch()  # for the second; the first is killed before it sees it, or has done it
    first.kill()
    assert second.wait(60) == 0
    first.wait()
    assert statuses(out) == {"a": "done"}


def test_a_full_disk_stops_the_fleet_and_leaves_the_rest_for_later(tmp_path: Path, out: Path) -> None:
    recordings = write_files(tmp_path / "drives", a="full and largest", b="fine", c="fine")
    summary = run_local(recordings, out, CopyWork())
    assert "No space left" in summary.problem
    assert (summary.done, summary.left) == (0, 2)
    assert statuses(out) == {"a": "failed", "b": "queued", "c": "queued"}
    write_files(tmp_path / "drives", a="fine now")
    assert run_local(recordings, out, CopyWork(), resume=True).done == 3


def test_books_on_a_full_disk_are_never_half(tmp_path: Path, out: Path) -> None:
    recordings = write_files(tmp_path / "drives", a="fine", b="fine 2")
    run_local(recordings[:1], out, CopyWork())
    with largest_file(100), pytest.raises(OutputError, match="cannot write"):
        run_local(recordings, out, CopyWork(), resume=True)
    assert statuses(out) == {"a": "done"}
    assert run_local(recordings, out, CopyWork(), resume=True).failed == 0
    assert statuses(out) == {"a": "done", "b": "done"}


def test_results_of_other_settings_are_not_mixed(tmp_path: Path, out: Path) -> None:
    recordings = write_files(tmp_path / "drives", a="fine")
    run_local(recordings, out, CopyWork())
    with pytest.raises(ConfigError, match="holds results of work copy, this run has predict; choose another --out"):
        check_settings(Ledger(out), {"work": "predict"})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(ConfigError, match="holds files that are not of a fleet"):
        check_settings(Ledger(tmp_path / "full"), {"work": "copy"})


def test_everything_that_is_known_is_in_the_manifest_before_anything_is_begun(tmp_path: Path, out: Path) -> None:
    ledger = Ledger(out)
    ledger.begin({"work": "copy"}, [Recording("a", "/drives/a", 7)])
    (state,) = ledger.states()
    assert (state.recording, state.location, state.bytes, state.status) == ("a", "/drives/a", 7, "queued")
    ledger.forget_lists()
    assert len(list(ledger.states())) == 1


def test_a_manifest_is_read_by_any_tool(tmp_path: Path, out: Path) -> None:
    import pyarrow.parquet

    run_local(write_files(tmp_path / "drives", a="fine"), out, CopyWork())
    (row,) = pyarrow.parquet.read_table(out / NAME).to_pylist()
    assert (row["recording"], row["status"], row["metrics"]) == ("a", "done", '{"bytes": 4.0}')
