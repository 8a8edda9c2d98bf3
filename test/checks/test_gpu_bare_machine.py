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

"""``make gpu-check`` where there is PyTorch and little else: no ROS, no pydantic, no typer, nothing to install from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ABSENT = (
    "pydantic",
    "typer",
    "click",
    "rich",
    "safetensors",
    "rosbags",
    "simplejpeg",
    "yaml",
    "openvino",
    "onnxruntime",
)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """All installed packages but those of ``ABSENT`` and ROS."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.lower().startswith((*ABSENT, "_yaml", "ros_", "rclpy", "flashocc_ros", "__editable__")):
            (folder / entry.name).symlink_to(entry)
    return folder


def test_what_can_be_checked_is_and_the_rest_is_named(bare: Path, tmp_path: Path) -> None:
    # -S: nothing of the environment but what is linked.
    command = [sys.executable, "-S", "-m", "flashocc_ros.checks.gpu", "--device", "cpu", "--out", str(tmp_path / "out")]
    parts = ["machine", "pooling", "pictures", "engines without a GPU", "life of engines"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{bare}{os.pathsep}{ROOT}", "FLASHOCC_SHARED": "/nowhere"}
    done = subprocess.run(
        [*command, "--only", *parts], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "out/gpu_report.json").read_text())
    found = {part["name"]: part["results"] for part in report["parts"]}
    assert {result["status"] for result in found["pooling"] + found["pictures"]} <= {"ok", "skipped"}
    (unbuilt,) = found["engines without a GPU"]
    assert "needs the Python module pydantic, safetensors, rosbags, yaml, not installed" in unbuilt["text"]
    assert "noise instead of real pictures" in report["specification"]
    assert done.stdout.splitlines()[-3].endswith("life of engines  no GPU: skipped")


def test_an_unknown_part_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flashocc_ros.checks.gpu", "--out", str(tmp_path), "--only", "everything"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no part 'everything'; choose machine, pooling,")
    assert not list(tmp_path.iterdir())


def test_without_pytorch_the_script_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    environment = os.environ | {"PYTHON": str(tmp_path / "python")}
    done = subprocess.run([ROOT / "scripts/gpu_check.sh"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "PYTHON=/path/to/python make gpu-check" in done.stderr
