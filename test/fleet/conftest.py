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

"""Tiny recordings for the tests of fleets."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from drive_bag import header, stamp

from flashocc_ros import bags
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.bag import write_bag

T0_NS = 1_700_000_000_000_000_000


@pytest.fixture(scope="session")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drives of two sets, and three recordings that are none: cut, without cameras, of wrong types."""
    folder = tmp_path_factory.mktemp("fleet") / "drives"
    for seed in (1000, 1001):
        write_bag(folder / f"drive_{seed}", Drive(seed, 1.0, image_size=(99, 176), threads=1), rate_hz=2.0)
    whole = folder / "drive_1000" / "drive_1000.mcap"
    (folder / "cut.mcap").write_bytes(whole.read_bytes()[:40_000])
    with bags.BagWriter(folder / "blind") as writer:
        writer.add_topic("/clock", "rosgraph_msgs/msg/Clock")
        writer.write("/clock", T0_NS, writer.message("rosgraph_msgs/msg/Clock", clock=stamp(writer, T0_NS)))
    with bags.BagWriter(folder / "types") as writer:
        writer.add_topic("/front/image_raw", "std_msgs/msg/Header")
        writer.add_topic("/front/camera_info", "std_msgs/msg/Header")
        for topic in ("/front/image_raw", "/front/camera_info"):
            writer.write(topic, T0_NS, header(writer, T0_NS, "front"))
    return folder


@pytest.fixture
def own_drives(drives: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(drives, tmp_path / "drives"))
