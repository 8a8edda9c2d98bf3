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

"""``flashocc demo`` end to end: replay and node are processes of their own and talk over DDS."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from flashocc_ros import bags
from flashocc_ros.bags import BagReader, BagWriter
from flashocc_ros.bags.results import read_results
from flashocc_ros.labels import FREE

pytestmark = pytest.mark.ros

LIMIT_S = 600
SETS = 6


def demo(out: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    command = [sys.executable, "-m", "flashocc_ros.cli.main", "demo", "--out", str(out), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S)
    return done.returncode, " ".join(done.stdout.split())


def summary(out: Path) -> dict[str, Any]:
    return json.loads((out / "summary.json").read_text())


def with_damaged_images(source: Path, target: Path, camera: str, which: set[int] | None) -> Path:
    """A copy in which the images with these numbers (all: None) of one camera are no longer JPEGs."""
    number = -1
    with BagReader(source) as reader, BagWriter(target) as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type, topic.qos)
        for topic, stamp_ns, cdr in reader.messages():
            if topic.name == f"/{camera}/image_rect_compressed":
                number += 1
                if which is None or number in which:
                    message = reader.deserialize(cdr, topic.type)
                    message.data = np.full(500, 7, np.uint8)
                    cdr = bytes(writer.types.serialize_cdr(message, topic.type))
            writer.write(topic.name, stamp_ns, cdr)
    return target


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated drive with small pictures."""
    from flashocc_ros.data.synthetic import Drive
    from flashocc_ros.data.synthetic.bag import write_bag

    path = tmp_path_factory.mktemp("generated") / "drive"
    write_bag(path, Drive(1001, SETS / 4, image_size=(198, 352)), rate_hz=4.0, truth_every=1)
    return path


def test_a_generated_drive_is_shown(tmp_path: Path, domain: int, drive: Path) -> None:
    code, output = demo(tmp_path, "--bag", str(drive), "--variant", "synthetic-tiny")
    assert code == 0, output
    result = summary(tmp_path)
    assert (result["published"], result["skipped"], result["dropped"]) == (SETS, 0, 0)
    assert result["sets_in_bag"] == SETS
    assert result["node_exit_code"] == 0
    assert {"p50", "p95", "max"} == set(result["latency_ms"]) == set(result["stages_ms"]["encoder"])
    assert result["node_peak_memory_mb"] > 100
    assert result["truth"]["frames"] == SETS
    assert f"{SETS} published" in output
    assert ("untrained" in output) == (not result["trained"])
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert len(pictures) == SETS
    assert cv2.imread(str(pictures[0])).shape[1] == 1920
    assert (tmp_path / "demo.mp4").exists() or (tmp_path / "demo.gif").exists()
    # what the node published is in the recording: one result per set, at the stamp of its first camera
    frames = list(read_results(tmp_path / "result"))
    assert [f.stamp_ns for f in frames] == [s.stamp_ns for s in bags.read_sets(drive, decode=False)]
    assert all(f.cameras is not None and f.truth is not None for f in frames)
    tables = [m for _, _, m in bags.read_messages(tmp_path / "result", "/class_table")]
    assert tables[-1].names[4] == "car"
    # and so is what viewers show that do not know our messages, for every set
    for topic in ("/points", "/markers"):
        assert [at for _, at, _ in bags.read_messages(tmp_path / "result", topic)] == [f.stamp_ns for f in frames]
    clouds = [m for _, _, m in bags.read_messages(tmp_path / "result", "/points")]
    assert [m.width for m in clouds] == [int((f.semantics != FREE).sum()) for f in frames]


def test_a_damaged_image_costs_one_set(tmp_path: Path, domain: int, drive: Path) -> None:
    damaged = with_damaged_images(drive, tmp_path / "damaged", "CAM_BACK", {1})
    code, output = demo(tmp_path / "out", "--bag", str(damaged), "--variant", "synthetic-tiny", "--no-pictures")
    assert code == 0, output
    result = summary(tmp_path / "out")
    assert (result["published"], result["dropped"]) == (SETS - 1, 1)
    assert result["dropped_reasons"] == {"image": 1}


def test_publishing_nothing_is_a_failure(tmp_path: Path, domain: int, drive: Path) -> None:
    damaged = with_damaged_images(drive, tmp_path / "damaged", "CAM_BACK", None)
    code, output = demo(tmp_path / "out", "--bag", str(damaged), "--variant", "synthetic-tiny", "--no-pictures")
    assert code == 1
    assert "published nothing" in output
    assert "sets_dropped_image" in output


def test_a_node_that_cannot_be_configured_ends_the_demo(tmp_path: Path, domain: int, drive: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"no weights at all")
    code, output = demo(
        *(tmp_path / "out", "--bag", str(drive), "--variant", "synthetic-tiny"),
        *("--checkpoint", str(tmp_path / "weights.safetensors")),
    )
    assert code == 1
    assert "cannot be configured" in output
    assert "weights.safetensors" in output


def test_a_demo_that_is_told_to_end_takes_its_node_along(tmp_path: Path, domain: int, drive: Path) -> None:
    log = tmp_path / "node.log"
    command = [sys.executable, "-m", "flashocc_ros.cli.main", "demo", "--variant", "synthetic-tiny"]
    command += ["--bag", str(drive), "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as process:
        node = until(lambda: processes_with(str(tmp_path / "node.yaml")))
        until(lambda: "active: waiting for" in log.read_text() or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)  # `timeout` sends it to the process and to its group
        code = process.wait(LIMIT_S)
    left = processes_with(str(tmp_path / "node.yaml"))
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert (code, len(node), left) == (130, 1, [])


def processes_with(word: str) -> list[int]:
    """Processes with this word on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if word in path.read_text().split("\0"):
                found.append(int(path.parent.name))
    return found


def until(condition: Callable[[], Any]) -> Any:
    """Value of the condition once it holds; fails after two minutes."""
    end = time.monotonic() + 120
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


@pytest.mark.data
def test_the_real_recording_gives_one_result_per_set(tmp_path: Path, domain: int, shared_dir: Path) -> None:
    bag = shared_dir / "data/nuscenes_frame_scene0003_rosbag2"
    code, output = demo(tmp_path, "--bag", str(bag), "--variant", "synthetic-tiny", "--no-pictures")
    assert code == 0, output
    result = summary(tmp_path)
    assert (result["published"], result["skipped"], result["dropped"]) == (3, 0, 0)


@pytest.mark.slow
@pytest.mark.data
def test_the_published_network_runs_on_the_real_recording(tmp_path: Path, domain: int, shared_dir: Path) -> None:
    bag = shared_dir / "data/nuscenes_frame_scene0003_rosbag2"
    code, output = demo(tmp_path, "--bag", str(bag), "--variant", "flashocc-r50-M0", "--untrained")
    assert code == 0, output
    assert summary(tmp_path)["published"] == 3
    assert len(list((tmp_path / "pictures").iterdir())) == 3
