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

"""A drive of fisheyes labelled along their rays: what its samples hold for training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flashocc_ros.data.label_folder import open_drives
from flashocc_ros.data.recorded_frames import take_out
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.bag import BOXES_TOPIC, write_bag
from flashocc_ros.data.synthetic.lidar import make_lidar
from flashocc_ros.data.synthetic.rig import surround_rig
from flashocc_ros.errors import InputError
from flashocc_ros.labelling.recording import Recording
from flashocc_ros.labelling.run import label_drive
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.sources import Sources
from flashocc_ros.training.label_source import LabelSource
from flashocc_ros.variants import get_variant

SIZE = (176, 352)
VARIANT = get_variant("synthetic-tiny")


def _drive() -> Drive:
    return Drive(3, 1.0, surround_rig(), SIZE, threads=1)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lenses") / "drive"
    write_bag(path, _drive(), 2.0, lidar=make_lidar("16"))
    return path


@pytest.fixture(scope="module")
def labels(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("labels")
    recording = Recording(bag, Sources(boxes=BOXES_TOPIC, fisheye="rays"), Settings(), lambda sentence: None)
    label_drive(recording, out, "drive", recording.described(), Settings())
    return out


def test_pixels_of_lidar_points_have_the_range_that_the_fisheye_saw(labels: Path) -> None:
    sample = LabelSource(open_drives([labels]), VARIANT).sample(0, None)
    assert sample.geometry.models == surround_rig().cameras.models
    assert sample.depth_m is not None
    drive, recorded = _drive(), ("CAM_FRONT", "CAM_BACK", "CAM_LEFT", "CAM_RIGHT")
    cameras = [drive.rig.cameras.names.index(name) for name in recorded]
    true = drive.pictures(0.0).depth[cameras]
    known = (sample.depth_m > 0) & (true > 0)
    ratio = sample.depth_m[known] / true[known]
    assert known.sum() > 2000
    assert np.median(np.abs(ratio - 1)) < 0.02
    wide = known[:, :, :12] | known[:, :, -12:]  # where z is next to nothing
    assert wide.sum() > 50


def test_labels_and_pictures_of_different_kinds_do_not_mix(bag: Path, labels: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="was labelled as equidistant, here its pictures are pinhole; give"):
        take_out(bag, tmp_path / "cache", labels)
    folder = take_out(bag, tmp_path / "rays", labels, fisheye="rays")
    sample = LabelSource(open_drives([folder]), VARIANT).sample(0, None)
    assert sample.geometry.models == surround_rig().cameras.models
