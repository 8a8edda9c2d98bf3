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
