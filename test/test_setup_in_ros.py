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

"""``setup.sh`` and the launchers beside a sourced ROS 2: what is installed, what is left alone, which Python starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECORD = """#!/bin/sh
case "$*" in
  -c*) [ -n "$SEEN_TORCH" ] && echo "$SEEN_TORCH" || exit 1 ;;
  *) echo "$*" >> "$CALLS" ;;
esac
"""


def requirements(tmp_path: Path, extras: str, ros: str | None, numpy: str = "") -> list[str]:
    """Lines of requirements.py, run where ``numpy`` is the version of the system."""
    if numpy:
        info = tmp_path / f"numpy-{numpy}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: numpy\nVersion: {numpy}\n")
    environment = {k: v for k, v in os.environ.items() if k != "ROS_DISTRO"} | {"PYTHONPATH": str(tmp_path)}
    environment |= {} if ros is None else {"ROS_DISTRO": ros}
    command = [sys.executable, str(ROOT / "scripts" / "requirements.py"), extras]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()


def test_without_ros_nothing_is_limited_and_the_middleware_comes_along(tmp_path: Path) -> None:
    lines = requirements(tmp_path, "dev", None)
    assert "pytest>=8,<10" in lines
    assert any(line.startswith("ros-kilted-rclpy") for line in lines)
    assert not any(line.startswith("coverage") for line in lines)


@pytest.mark.parametrize(("numpy", "asked"), [("1.21.5", "numpy>=1.26,<3,<2"), ("2.3.5", "numpy>=1.26,<3")])
def test_beside_ros_what_its_compiled_parts_need_is_kept(tmp_path: Path, numpy: str, asked: str) -> None:
    lines = requirements(tmp_path, "dev", "humble", numpy)
    assert asked in lines
    assert "opencv-python-headless>=4.8,<6,<5" in lines
    assert "pytest>=8,<10,<9" in lines
    assert "coverage>=7.6.1,<8" in lines  # numba cannot be imported beside that of Ubuntu and Debian
    assert not any(line.startswith("ros-kilted") for line in lines)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose .venv records what pip is asked for instead of doing it."""
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/setup.sh", "scripts/requirements.py", "setup.cfg"):
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(RECORD)
    python.chmod(0o755)
    return tmp_path


def pip_installs(checkout: Path, seen_torch: str, **variables: str) -> tuple[str, list[str]]:
    """What `setup.sh torch --no-build` says and asks pip for, where a PyTorch of that version is visible."""
    calls = checkout / "calls"
    environment = os.environ | {"ROS_DISTRO": "humble", "PYTHON": sys.executable, "CALLS": str(calls)}
    environment |= {"SEEN_TORCH": seen_torch, **variables}
    command = ["bash", str(checkout / "scripts" / "setup.sh"), "torch", "--no-build"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return done.stderr, calls.read_text().splitlines() if calls.exists() else []


@pytest.mark.parametrize("version", ["2.5.0a0+872d972e41.nv24.08", "2.4.0", "2.8.0"])
def test_pytorch_that_is_there_is_not_shadowed(checkout: Path, version: str) -> None:
    _, calls = pip_installs(checkout, version)
    assert [call for call in calls if "torch==" in call] == []
    assert calls[-1] == "-m pip --quiet install -r .venv/requirements.txt"


@pytest.mark.parametrize("version", ["1.13.1", "2.3.0", "2.4.0a0+3bcc3cddb5.nv24.07"])
def test_pytorch_that_is_too_old_is_said_and_nothing_installed(checkout: Path, version: str) -> None:
    said, calls = pip_installs(checkout, version)
    assert said.startswith(f"setup: PyTorch {version} of this system is older than 2.4: ")
    assert calls == []


def test_pytorch_comes_from_the_index_that_is_named(checkout: Path) -> None:
    _, calls = pip_installs(checkout, "1.13.1", TORCH_INDEX="https://example.org/jp6")
    assert "-m pip --quiet install --no-deps --index-url https://example.org/jp6 torch" in calls
    _, calls = pip_installs(checkout, "", TORCH="torch==2.8.0")
    assert "-m pip --quiet install torch==2.8.0" in calls


def test_libraries_are_installed_once(checkout: Path) -> None:
    first = pip_installs(checkout, "")[1]
    assert "-m pip --quiet install torch==2.13.0" in first
    assert pip_installs(checkout, "2.13.0")[1] == first


def test_no_build_without_ros_says_what_it_is_for(checkout: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "ROS_DISTRO"}
    command = ["bash", str(checkout / "scripts" / "setup.sh"), "--no-build"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "no ROS 2 is sourced" in done.stderr


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """The launcher of the node as CMake configures it, around an entry that prints its interpreter and arguments."""
    text = (ROOT / "scripts" / "launcher.sh.in").read_text()
    places = {"CMAKE_CURRENT_SOURCE_DIR": tmp_path / "source", "CMAKE_INSTALL_PREFIX": tmp_path / "install"}
    for name, value in {**places, "PROJECT_NAME": "flashocc_ros", "entry": "flashocc_node"}.items():
        text = text.replace(f"@{name}@", str(value))
    assert "@" not in text.replace('"$@"', "")
    folder = tmp_path / "install" / "lib" / "flashocc_ros"
    folder.mkdir(parents=True)
    (folder / "flashocc_node.py").write_text("import os, sys; print(os.environ.get('WHO', 'python3'), sys.argv[1:])\n")
    (folder / "flashocc_node").write_text(text)
    (folder / "flashocc_node").chmod(0o755)
    return folder / "flashocc_node"


def python_named(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\nWHO={path.parents[1].name} exec {sys.executable} "$@"\n')
    path.chmod(0o755)


def start(launcher: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "FLASHOCC_PYTHON"} | variables
    command = [str(launcher), "--ros-args", "-r", "a b"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd="/")


def test_a_launcher_takes_the_named_python_then_that_of_setup_then_the_one_of_the_path(
    launcher: Path, tmp_path: Path
) -> None:
    assert start(launcher).stdout == "python3 ['--ros-args', '-r', 'a b']\n"
    python_named(tmp_path / "source" / ".venv" / "bin" / "python")
    assert start(launcher).stdout.startswith(".venv ")
    python_named(tmp_path / "mine" / "bin" / "python")
    assert start(launcher, FLASHOCC_PYTHON=str(tmp_path / "mine" / "bin" / "python")).stdout.startswith("mine ")


def test_a_named_python_that_is_none_is_said(launcher: Path) -> None:
    done = start(launcher, FLASHOCC_PYTHON="/nowhere/python")
    assert done.returncode == 1
    assert (
        done.stderr == "flashocc_node: FLASHOCC_PYTHON is '/nowhere/python', which cannot be run; correct or unset it\n"
    )
