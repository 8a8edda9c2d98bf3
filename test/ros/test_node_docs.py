"""The page that documents the node says what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy")
from flashocc_ros.ros.parameters import walk
from flashocc_ros.ros.reference import update

PAGE = Path(__file__).resolve().parents[2] / "docs" / "node.md"


def test_the_tables_of_the_page_are_up_to_date():
    assert update(PAGE.read_text()) == PAGE.read_text(), "run: python -m flashocc_ros.ros.reference"


def test_every_parameter_is_on_the_page():
    page = PAGE.read_text()
    assert [name for name, _, _ in walk() if f"`{name}`" not in page] == []
