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

"""Ground truth of a recording that cannot be compared with is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flashocc_ros.bags import BagReader, BagWriter
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.bag import TRUTH_TOPIC, write_bag
from flashocc_ros.errors import BagError
from flashocc_ros.evaluation.frames import read_truth


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("truth") / "drive"
    write_bag(path, Drive(1000, 0.5, image_size=(90, 160)), 2.0)
    return path


def changed(drive: Path, out: Path, change: Callable[[Any], None]) -> Path:
    with BagReader(drive) as reader, BagWriter(out) as writer:
        writer.add_topic(TRUTH_TOPIC, "flashocc_ros/msg/OccupancyTruth")
        for topic, stamp_ns, cdr in reader.messages([TRUTH_TOPIC]):
            message = reader.deserialize(cdr, topic.type)
            change(message)
            writer.write(TRUTH_TOPIC, stamp_ns, message)
    return out


def test_sound_truth_is_read(drive: Path) -> None:
    (truth,) = read_truth(drive).values()
    assert truth.semantics.shape == truth.mask_camera.shape == (200, 200, 16)
    assert truth.instances is not None


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("occupancy.size_x", 10**9, "1000000000 x 200 x 16 voxels but holds 640000 labels"),
        ("occupancy.labels", np.zeros(0, np.uint8), "holds 0 labels"),
        ("occupancy.labels", np.full(640_000, 200, np.uint8), "holds class 200, the highest is 17"),
        ("occupancy.instances", np.zeros(7, np.uint16), "holds 7 instances"),
        ("mask_camera", np.zeros(3, np.uint8), "holds 3 mask_camera"),
    ],
)
def test_truth_that_is_none_is_one_sentence(drive: Path, tmp_path: Path, field: str, value: Any, words: str) -> None:
    def change(message: Any) -> None:
        *parents, last = field.split(".")
        for parent in parents:
            message = getattr(message, parent)
        setattr(message, last, value)

    with pytest.raises(BagError, match=words):
        read_truth(changed(drive, tmp_path / "changed", change))
