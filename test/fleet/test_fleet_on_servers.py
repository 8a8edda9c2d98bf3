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

"""A fleet of recordings that lie on servers, and long ones in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from copy_work import results, until
from drive_bag import write_drive
from web_server import Web, serve

from flashocc_ros.errors import ConfigError, FlashOccError
from flashocc_ros.fleet.attempt import assist, attempt
from flashocc_ros.fleet.fingerprint import fingerprint
from flashocc_ros.fleet.ledger import Ledger, State
from flashocc_ros.fleet.predict import PredictWork
from flashocc_ros.fleet.recordings import Recording, find_recordings
from flashocc_ros.remote import access


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("FLASHOCC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(access, "PAUSES_S", (0.0, 0.0, 0.0))
    for day in ("monday", "tuesday"):
        (tmp_path / "served" / day).mkdir(parents=True)
        write_drive(tmp_path / "drive", sets=5)
        (tmp_path / "drive" / "drive.mcap").rename(tmp_path / "served" / day / "drive.mcap")
        (tmp_path / "drive" / "metadata.yaml").unlink()
        (tmp_path / "drive").rmdir()
    with serve(tmp_path / "served") as server:
        yield server


def did(recording: Recording, work: PredictWork, out: Path) -> State:
    state = attempt(recording, work, Ledger(out), out, "loop").state
    assert state is not None
    return state


def test_recordings_are_named_by_what_the_wildcard_stands_for(web: Web) -> None:
    found = find_recordings([f"{web.url}/monday/*.mcap", f"{web.url}/tuesday/drive.mcap"][:1])
    size = (web.folder / "monday" / "drive.mcap").stat().st_size
    assert found == [Recording("drive", f"{web.url}/monday/drive.mcap", size)]


def test_credentials_never_get_into_the_books(web: Web) -> None:
    with pytest.raises(ConfigError, match=r"drive.mcap is given with a password or a signature") as caught:
        find_recordings([f"{web.url}/monday/drive.mcap?signature=TOPSECRET"])
    assert "TOPSECRET" not in str(caught.value)


def test_a_replaced_file_has_another_fingerprint(web: Web) -> None:
    location, file = f"{web.url}/monday/drive.mcap", web.folder / "monday" / "drive.mcap"
    first = fingerprint(location)
    assert fingerprint(location) == first
    assert first.sha256 == fingerprint(str(file)).sha256
    file.write_bytes(file.read_bytes())
    again = fingerprint(location)
    assert again != first
    assert again.sha256 == first.sha256


def test_results_are_those_of_the_same_file_on_disk(web: Web, tmp_path: Path) -> None:
    work = PredictWork("synthetic-tiny")
    for out, pattern in (("there", f"{web.url}/monday/*.mcap"), ("here", f"{web.folder}/monday/*.mcap")):
        [recording] = find_recordings([pattern])
        assert did(recording, work, tmp_path / out).status == "done"
    assert results(tmp_path / "there") == results(tmp_path / "here")


def test_a_server_that_fails_is_no_fault_of_the_recording(web: Web, tmp_path: Path) -> None:
    [recording] = find_recordings([f"{web.url}/monday/*.mcap"])
    web.fault = lambda number: 503
    state = did(recording, PredictWork("synthetic-tiny"), tmp_path / "out")
    assert state.status == "failed"
    assert "the server answers 503, tried 4 times" in state.reason


class _Stops(PredictWork):
    """Fails when the second chunk has begun, as a worker that is killed."""

    def make(self, name: str, location: str, folder: Path, tell: object) -> object:  # type: ignore[override]
        def stop(done: int, expected: int | None) -> None:
            if done == 11:
                raise FlashOccError("stopped")

        return super().make(name, location, folder, stop)


def test_a_recording_in_chunks_goes_on_where_its_worker_died(tmp_path: Path) -> None:
    """With the bytes of one that was never cut."""
    drive = write_drive(tmp_path / "drive", sets=14, period_ms=190)
    [recording] = find_recordings([str(drive)])
    assert did(recording, PredictWork("synthetic-tiny"), tmp_path / "uncut").status == "done"
    stopped = did(recording, _Stops("synthetic-tiny", chunk_s=1.0), tmp_path / "cut")
    assert stopped.reason.startswith("stopped")
    told: list[int] = []

    class Listens(PredictWork):
        def make(self, name: str, location: str, folder: Path, tell: object) -> object:  # type: ignore[override]
            return super().make(name, location, folder, lambda done, expected: told.append(done))

    assert did(recording, Listens("synthetic-tiny", chunk_s=1.0), tmp_path / "cut").status == "done"
    assert told[0] >= 9  # the first chunk was there
    assert told == sorted(told)
    assert results(tmp_path / "cut") == results(tmp_path / "uncut")


def test_two_workers_at_one_recording_make_the_bytes_of_one(tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "drive", sets=28, period_ms=190)
    [recording] = find_recordings([str(drive)])
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    assert did(recording, PredictWork("synthetic-tiny"), alone).status == "done"
    told: list[int] = []

    class Helps(PredictWork):
        def help(self, location: str, folder: Path, tell: object) -> None:
            super().help(location, folder, lambda done, expected: told.append(done))

    with ThreadPoolExecutor(1) as pool:
        owner = pool.submit(did, recording, PredictWork("synthetic-tiny", chunk_s=1.0), shared)
        helper, ledger = Helps("synthetic-tiny", chunk_s=1.0), Ledger(shared)
        until(lambda: assist(recording, helper, ledger).kind == "helped")
        assert owner.result().status == "done"
    assert told, "the helper did nothing"
    assert results(shared) == results(alone)
    assert not list((shared / ".fleet" / "work").iterdir())
