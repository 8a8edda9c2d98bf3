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

"""The commands as a whole."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flashocc_ros.cli import main as main_module
from flashocc_ros.cli.options import counted
from flashocc_ros.version import __version__


def test_the_package_of_the_commands_can_be_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flashocc_ros.cli", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"{__version__}\n"


def test_one_is_no_plural() -> None:
    assert [counted(number, "set") for number in (0, 1, 2)] == ["0 sets", "1 set", "2 sets"]


@pytest.mark.parametrize("command", ["predict", "doctor", "train"])
def test_a_path_that_cannot_be_one_is_one_sentence(command: str, tmp_path: Path) -> None:
    place = [] if command == "doctor" else ["--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "flashocc_ros.cli", command, "x" * 5000, *place],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "File name too long" in said or "does not exist" in said


def test_a_misspelt_command_or_option_is_guessed() -> None:
    for arguments, hint in (
        (["inti-rig"], "did you mean init-rig?"),
        (["predict", "x", "--varient", "y"], "--variant"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "flashocc_ros.cli", *arguments], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 2
        assert hint in done.stderr


def test_the_log_of_engines_is_shown_while_a_command_runs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    log = logging.getLogger("flashocc_ros.engine")
    held: list[list[logging.Handler]] = []
    before = list(log.handlers)
    monkeypatch.setattr(main_module, "app", lambda **_: held.append(list(log.handlers)))
    main_module.main()
    assert len(held[0]) == len(before) + 1
    assert log.handlers == before


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["pre"], {"predict"}),
        (["predict", "x", "--variant", "flashocc-r50-M"], {"flashocc-r50-M0"}),
        (["predict", "x", "--engine", "o"], {"openvino", "onnxruntime"}),
        (["bench", "--precision", ""], {"auto", "fp32", "fp16", "int8"}),
        (["render", "x", "--video", ""], {"mp4", "gif", "none"}),
        (["fleet", "predict", "x", "--variant", "synth"], {"synthetic-tiny", "synthetic-tiny-4d"}),
        (["doctor", "x", "--fisheye", "r"], {"rays", "rectify"}),
        (["predict", "--calib"], {"--calibration"}),
    ],
)
def test_the_shell_completes_commands_options_and_values(words: list[str], offered: set[str]) -> None:
    environment = {
        "_FLASHOCC_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["flashocc", *words]),
        "COMP_CWORD": str(len(words)),
        "_TYPER_COMPLETE_ARGS": " ".join(["flashocc", *words]),
    }
    done = subprocess.run(
        [sys.executable, "-m", "flashocc_ros.cli"], env=os.environ | environment, capture_output=True, text=True
    )
    assert offered <= set(done.stdout.split())
    assert all(word.startswith(words[-1]) for word in done.stdout.split())


def test_completion_can_be_installed() -> None:
    done = subprocess.run([sys.executable, "-m", "flashocc_ros.cli", "--help"], capture_output=True, text=True)
    assert "--install-completion" in done.stdout
