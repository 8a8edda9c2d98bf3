"""Processes of these tests talk on a DDS domain of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ros_domain import claim_domain


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """ROS domain of this test alone, also in the environment that child processes get."""
    pytest.importorskip("rclpy")
    claim = claim_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(claim.number))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    yield claim.number
    claim.lock.release()
