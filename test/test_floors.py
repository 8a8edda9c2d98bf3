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

"""Libraries that are too old end a start in one sentence; what is asked for stands in setup.cfg alone."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from flashocc_ros import floors

ROOT = Path(__file__).resolve().parents[1]


def pretend(folder: Path, **versions: str) -> None:
    """Metadata of distributions as apt of Debian 12 or Ubuntu 24.04 brings them."""
    for name, version in versions.items():
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_the_libraries_of_this_environment_are_new_enough() -> None:
    assert floors.problem() is None


def test_every_old_library_is_named_with_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, pydantic="1.10.4", numba="0.56.4")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    assert floors.problem() == (
        "numba 0.56.4 is too old, 0.60 is needed; pydantic 1.10.4 is too old, 2.5 is needed: run `make setup` in the "
        "checkout, or `python3 -m pip install 'numba>=0.60' 'pydantic>=2.5'` in a virtual environment"
    )
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    assert str(floors.problem()).endswith(": run `ros2 run flashocc_ros setup`, which leaves those of the system alone")


@pytest.mark.parametrize("version", ["2.5", "2.5.0", "2.10.1", "3.0.0rc1"])
def test_versions_are_compared_as_numbers(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, pydantic=version)
    monkeypatch.syspath_prepend(tmp_path)
    assert floors.problem() is None


@pytest.mark.parametrize(("found", "said"), [("4.6.0", "4.6.0 is too old, 4.8 is needed"), (None, "is missing")])
def test_opencv_of_apt_has_no_metadata(found: str | None, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = metadata.version

    def without_opencv(name: str) -> str:
        if name.startswith("opencv"):
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(metadata, "version", without_opencv)
    monkeypatch.setitem(sys.modules, "cv2", None if found is None else SimpleNamespace(__version__=found))
    assert f"opencv-python-headless {said}" in str(floors.problem())


@pytest.mark.parametrize(
    ("module", "start"), [("flashocc_ros.cli.main", "error: "), ("flashocc_ros.ros.main", "flashocc_node: ")]
)
def test_a_start_on_old_libraries_is_one_sentence(module: str, start: str, tmp_path: Path) -> None:
    pretend(tmp_path, pydantic="1.10.14", typer="0.9.0")
    # Modules that break when they are imported, as pydantic 1 and typer 0.9 do later.
    for name in ("pydantic", "typer", "rclpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", module], capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{start}pydantic 1.10.14 is too old, 2.5 is needed; typer 0.9.0 is too old, 0.12 is needed")


def test_package_xml_asks_for_the_versions_of_setup_cfg() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    asked = dict(re.findall(r"([\w.-]+)>=([\d.]+)", config["options"]["install_requires"]))
    names = {"opencv": "opencv-python-headless", "pil": "Pillow", "yaml": "PyYAML"}
    declared = {
        names.get(key, key): node.get("version_gte")
        for node in ElementTree.parse(ROOT / "package.xml").getroot().iter("exec_depend")
        if (key := str(node.text).removeprefix("python3-")) != node.text and node.get("version_gte")
    }
    assert len(declared) == 10
    assert declared == {name: asked[name] for name in declared}
