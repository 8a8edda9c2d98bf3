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

"""The page that documents the node says what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
from flashocc_ros.ros.parameters import walk

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "node.md"


def test_the_tables_of_the_page_are_up_to_date():
    pytest.importorskip("vision_msgs")  # the page shows all topics, also those that an installation can lack
    pytest.importorskip("nav2_msgs")
    update = runpy.run_path(str(ROOT / "scripts" / "node_tables.py"))["update"]
    assert update(PAGE.read_text()) == PAGE.read_text(), "run: python -m scripts.node_tables"


def test_every_parameter_is_on_the_page():
    page = PAGE.read_text()
    assert [name for name, _, _ in walk() if f"`{name}`" not in page] == []
