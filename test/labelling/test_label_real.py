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

"""Real frames: nothing is free where their own sweep hit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flashocc_ros.labelling.recording import Recording
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.sources import Sources
from flashocc_ros.labelling.stream import Labeller
from flashocc_ros.labels import FREE

UNKNOWN, FIRST_STUFF = 255, 11


@pytest.mark.data
@pytest.mark.parametrize("scene", ["scene0003", "scene0061"])
def test_no_voxel_is_free_that_the_sweep_hit(shared_dir: Path, scene: str) -> None:
    with np.load(shared_dir / "data" / f"nuscenes_frame_{scene}" / "lidar_occupancy.npz") as arrays:
        given = arrays["semantics"]
    hit = (given < FIRST_STUFF) | (given == UNKNOWN)
    settings = Settings()
    # Key frames are times of the lidar, as those of the given occupancy are.
    recording = Recording(shared_dir / "data" / f"nuscenes_frame_{scene}_rosbag2", Sources(cameras=()), settings)
    frames = list(Labeller(settings, False, False).run(recording.events()))
    assert frames
    for frame in frames:
        labels = frame.labels
        assert not (hit & labels.observed & (labels.semantics == FREE)).any()
        assert (labels.semantics[hit] != FREE).mean() > 0.99
