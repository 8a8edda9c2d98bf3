"""Processes of these tests talk on a DDS domain of their own."""

from __future__ import annotations

import os

import pytest

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """ROS domain for this worker, also in the environment that child processes get."""
    pytest.importorskip("rclpy")
    number = (int(os.environ.get("ROS_DOMAIN_ID", "33")) + 1 + 3 * _WORKER) % 100
    monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    return number
