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

"""Real Ray, in a network of its own: the bytes of the process pool; actors that are killed cost one attempt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import own_network
import pytest
from copy_work import results

from flashocc_ros.fleet.attempt import attempt
from flashocc_ros.fleet.ledger import Ledger
from flashocc_ros.fleet.manifest import read_manifest
from flashocc_ros.fleet.predict import PredictWork
from flashocc_ros.fleet.recordings import find_recordings

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(own_network.prefix() is None, reason="no network of one's own here, and Ray listens on all"),
]


def fleet(drives: Path, out: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flashocc_ros.cli", "fleet", "predict", f"{drives}/*", "--json", "--variant"]
    command += ["synthetic-tiny", "--out", str(out), "--executor", "ray", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(own_network.inside(command), stdout=pipe, stderr=pipe, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def looped(drives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By a plain loop."""
    out = tmp_path_factory.mktemp("looped") / "out"
    work = PredictWork("synthetic-tiny")
    for recording in find_recordings([f"{drives}/drive_*"]):
        attempt(recording, work, Ledger(out), out, "loop")
    return out


def test_actors_give_the_bytes_of_a_loop(drives: Path, looped: Path, tmp_path: Path) -> None:
    process = fleet(drives, tmp_path / "out", "--workers", 2)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 3, stderr
    numbers = json.loads(stdout)
    assert (numbers["done"], numbers["quarantined"], numbers["failed"]) == (2, 3, 0)
    assert results(tmp_path / "out") == results(looped)
    assert {s.worker.partition("/")[2] for s in read_manifest(tmp_path / "out")} <= {"ray-0", "ray-1"}


def test_an_actor_that_is_killed_costs_one_attempt(drives: Path, looped: Path, tmp_path: Path) -> None:
    process = fleet(drives, tmp_path / "out", "--workers", 1, "--retries", 1)
    ledger = Ledger(tmp_path / "out")
    working = ledger.working()
    while not any(name.startswith("drive_") for name in working):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
        working = ledger.working()
    (victim,) = working.values()
    os.kill(victim["pid"], signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 3, stderr
    numbers = json.loads(stdout)
    assert (numbers["done"], numbers["deaths"], numbers["failed"]) == (2, 1, 0)
    assert results(tmp_path / "out") == results(looped)
    attempts = {s.recording: s.attempts for s in read_manifest(tmp_path / "out") if s.status == "done"}
    assert sorted(attempts.values()) == [1, 2]


def test_a_cluster_that_is_not_there_is_one_sentence(drives: Path, tmp_path: Path) -> None:
    process = fleet(drives, tmp_path / "out", "--address", "auto")
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "error: no Ray cluster answers at --address auto" in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "out").exists()
