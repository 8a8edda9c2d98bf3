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
