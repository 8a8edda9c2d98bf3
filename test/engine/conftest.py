"""Fixtures of the engine tests."""

from __future__ import annotations

import pytest
from engine_helpers import rig_table, ring_rig

from flashocc_ros.geometry.lift import LiftTable
from flashocc_ros.model.variants import get_variant
from flashocc_ros.structures import CameraRig


@pytest.fixture(scope="session")
def rig() -> CameraRig:
    return ring_rig()


@pytest.fixture(scope="session")
def table_m0(rig: CameraRig) -> LiftTable:
    """44 depth bins, one height slice: the table of flashocc-r50-M0."""
    return rig_table(get_variant("flashocc-r50-M0"), rig)
