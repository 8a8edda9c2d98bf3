"""Fixtures of the training tests."""

from __future__ import annotations

from typing import Any

import pytest
from street_source import StreetSource, tiny_config


@pytest.fixture
def source() -> StreetSource:
    return StreetSource()


@pytest.fixture
def make_config() -> Any:
    return tiny_config
