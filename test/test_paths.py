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

"""Finding the launch and config files in a checkout and in an installation."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import flashocc_ros.paths


def run_copy(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs share_directory() from a copy of the module that has no checkout around it."""
    module = folder / "somewhere" / "deep" / "paths.py"
    module.parent.mkdir(parents=True)
    shutil.copy(flashocc_ros.paths.__file__, module)
    code = "import sys; sys.prefix = sys.argv[1]; import paths; print(paths.share_directory())"
    return subprocess.run(
        [sys.executable, "-S", "-c", code, str(folder / "prefix")],
        capture_output=True, text=True, cwd=module.parent, env=environment,
    )  # fmt: skip


def test_checkout_comes_first() -> None:
    assert (flashocc_ros.paths.share_directory() / "package.xml").is_file()


def test_ament_prefix_is_searched(tmp_path: Path) -> None:
    share = tmp_path / "underlay" / "share" / "flashocc_ros"
    share.mkdir(parents=True)
    (share / "package.xml").touch()
    done = run_copy(tmp_path, {"AMENT_PREFIX_PATH": f"/nowhere:{tmp_path / 'underlay'}"})
    assert done.stdout.strip() == str(share)


def test_prefix_of_the_interpreter_is_searched(tmp_path: Path) -> None:
    share = tmp_path / "prefix" / "share" / "flashocc_ros"
    share.mkdir(parents=True)
    (share / "package.xml").touch()
    assert run_copy(tmp_path, {}).stdout.strip() == str(share)


def test_missing_files_are_named(tmp_path: Path) -> None:
    assert "reinstall the package" in run_copy(tmp_path, {}).stderr


def test_cache_directory_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FLASHOCC_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert flashocc_ros.paths.cache_directory() == tmp_path / "flashocc_ros"
    monkeypatch.setenv("FLASHOCC_CACHE", str(tmp_path / "mine"))
    assert flashocc_ros.paths.cache_directory() == tmp_path / "mine"
