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

"""Commands take URLs where they take recordings, and show none of their secrets."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from drive_bag import write_drive
from fsspec.implementations.memory import MemoryFileSystem
from typer.testing import CliRunner, Result
from web_server import Web, serve

from flashocc_ros.errors import BagError
from flashocc_ros.remote import RemotePath
from flashocc_ros.structures import Occupancy

SECRET = "X-Signature=TOPSECRET"


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("FLASHOCC_CACHE", str(tmp_path / "cache"))
    write_drive(tmp_path / "served" / "drive")
    with serve(tmp_path / "served") as server:
        yield server
    MemoryFileSystem.store.clear()


def run(command: str, *arguments: object) -> Result:
    app = importlib.import_module(f"flashocc_ros.cli.{command}").app
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_predict_reads_and_writes_urls(web: Web, tmp_path: Path) -> None:
    options = ("--variant", "synthetic-tiny", "--limit", 1)
    assert run("predict", web.folder / "drive", *options, "--out", tmp_path / "out").exit_code == 0
    there = f"{web.url}/drive/drive.mcap?{SECRET}"
    result = run("predict", there, *options, "--out", "memory://results/drive")
    assert result.exit_code == 0, result.exception
    [sent, note] = sorted(RemotePath("memory://results/drive").iterdir(), key=lambda file: file.suffix != ".npz")
    [written] = (tmp_path / "out").glob("*.npz")
    assert sent.name == written.name
    (tmp_path / "sent.npz").write_bytes(sent.read_bytes())
    assert (Occupancy.load(tmp_path / "sent.npz").semantics == Occupancy.load(written).semantics).all()
    assert b"/drive/drive.mcap" in note.read_bytes()
    assert b"TOPSECRET" not in note.read_bytes()
    assert "TOPSECRET" not in result.output


def test_doctor_looks_at_urls(web: Web, tmp_path: Path) -> None:
    result = run("doctor", f"{web.url}/drive/drive.mcap?{SECRET}", "--picture", tmp_path / "rig.png")
    assert result.exit_code == 0, result.exception
    assert "2 cameras, shutters spread over 30 ms" in result.output
    assert "TOPSECRET" not in result.output


@pytest.mark.parametrize(
    ("command", "arguments"),
    [("label", []), ("eval", ["--bag"]), ("render", []), ("view", ["--no-browser", "--html", "page.html"])],
)
def test_what_a_recording_lacks_is_said_of_its_url(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(
        command,
        *arguments,
        f"{web.url}/drive/*.mcap" if command in ("label", "eval") else f"{web.url}/drive/drive.mcap",
    )
    assert isinstance(result.exception, BagError), result.output
    assert f"{web.url}/drive/drive.mcap" in str(result.exception)


def test_patterns_that_fit_nothing_are_refused(web: Web) -> None:
    result = run("label", f"{web.url}/drive/*.db3")
    assert str(result.exception) == f"{web.url}/drive/*.db3 fits nothing; check the pattern"
