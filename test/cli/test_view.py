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

"""``flashocc view``: one file, a server that ends well, and one clear line for what cannot be shown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from drive_bag import write_drive
from result_bag import add_results
from typer.testing import CliRunner

from flashocc_ros.cli.view import app
from flashocc_ros.errors import BagError, ConfigError, InputError, OutputError


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    return add_results(write_drive(folder / "drive"), folder / "result", truth=True)


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_one_file_is_written(bag: Path, tmp_path: Path) -> None:
    said = run(str(bag), "--html", str(tmp_path / "out" / "drive.html"))
    assert said.startswith(f"{tmp_path}/out/drive.html: 3 frames, ")
    page = (tmp_path / "out" / "drive.html").read_text()
    assert page.count('type="text/plain"') == 4
    assert "://" not in page.split("<script", 1)[0]


def test_a_limit_leaves_later_frames_out(bag: Path, tmp_path: Path) -> None:
    assert ": 2 frames" in run(str(bag), "--html", str(tmp_path / "drive.html"), "--limit", "2")


def test_the_server_serves_until_it_is_told_to_end(bag: Path) -> None:
    command = [sys.executable, "-m", "flashocc_ros.cli.main", "view", str(bag), "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    url = process.stdout.readline().split()[0]
    with urlopen(url, timeout=30) as answer:
        assert b"viewer.js" in answer.read()
    process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ((), ConfigError, "either a recording or folder to show, or --live"),
        (("{bag}", "--live"), ConfigError, "either a recording or folder to show, or --live"),
        (("--live", "--html", "x.html"), ConfigError, "--html writes what was recorded"),
        (("{tmp}/nothing",), InputError, "nothing does not exist"),
        (("{tmp}", "--html", "{tmp}/x.html"), InputError, "holds no recording and no .npz"),
        (("{tmp}/drive", "--html", "{tmp}/x.html"), BagError, "run `flashocc demo --bag"),
        (("{bag}", "--html", "{tmp}"), OutputError, "it is a folder"),
    ],
)
def test_what_cannot_be_shown_is_said(
    bag: Path, tmp_path: Path, arguments: tuple[str, ...], error: type[Exception], sentence: str
) -> None:
    if "{tmp}/drive" in arguments:
        write_drive(tmp_path / "drive", sets=2)
    with pytest.raises(error) as caught:
        run(*(argument.format(bag=bag, tmp=tmp_path) for argument in arguments))
    assert sentence in str(caught.value)
    assert not (tmp_path / "x.html").exists()
