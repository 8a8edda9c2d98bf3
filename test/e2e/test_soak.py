"""The fault matrix as a whole: every kind of fault once at real processes, and what is left of the node after it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_node_bears_every_fault_once(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"}
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", "--minutes", "0", "--out", str(tmp_path)],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 wrong" in run.stdout
