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

"""The committed program of the page is what its sources give."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

VIEW = Path(__file__).resolve().parents[2] / "flashocc_ros" / "view"


@pytest.mark.slow
def test_the_bundle_equals_a_rebuild(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not here: whether viewer.js belongs to its sources was left out")
    shutil.copytree(VIEW / "web", tmp_path / "web", ignore=shutil.ignore_patterns("node_modules"))
    for command in (["npm", "ci", "--no-audit", "--no-fund"], ["npm", "run", "check"], ["npm", "run", "build"]):
        subprocess.run(command, cwd=tmp_path / "web", check=True, capture_output=True, text=True)
    assert (tmp_path / "viewer.js").read_bytes() == (VIEW / "viewer.js").read_bytes(), (
        "build viewer.js anew: cd flashocc_ros/view/web && npm ci && npm run build"
    )
