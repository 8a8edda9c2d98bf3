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

"""Frames for exports: lift tables of their pictures, and what a network is fed with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flashocc_ros import weights
from flashocc_ros.bags import read_sets
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.bag import write_bag
from flashocc_ros.data.synthetic.rig import surround_rig
from flashocc_ros.engine.export.calibration import frame_table, record_feeds, standing_table
from flashocc_ros.engine.onnxruntime_backend import OnnxRuntimeBackend
from flashocc_ros.geometry import camera_params
from flashocc_ros.pipeline.set_geometry import geometry_of
from flashocc_ros.structures import CameraRig
from flashocc_ros.variants import get_variant


def test_the_table_of_a_frame_knows_the_size_of_its_pictures(rig: CameraRig) -> None:
    """The same cameras with pictures of half the size see the same cells."""
    variant = get_variant("flashocc-r50-M0")
    scaled = CameraRig(rig.names, rig.intrinsics * np.array([0.5, 0.5, 1])[:, None], rig.base_from_camera)
    halved = CameraSet([np.zeros((450, 800, 3), np.uint8)] * 6, scaled, np.tile(np.eye(4), (6, 1, 1)), 1)
    table, expected = frame_table(variant, halved), standing_table(variant, rig)
    assert abs(len(table.point_index) - len(expected.point_index)) < 0.001 * len(expected.point_index)
    assert len(np.setxor1d(table.cell_index, expected.cell_index)) < 0.01 * len(expected.cell_index)


@pytest.fixture(scope="module")
def fisheye_drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fisheyes") / "drive"
    write_bag(path, Drive(1003, 1.0, surround_rig(), (88, 176), threads=1), rate_hz=1.0)
    return path


@pytest.mark.parametrize("fisheye", ["rays", "rectify"])
def test_wide_lenses_are_measured_as_they_are_used(fisheye: Fisheye, fisheye_drive: Path) -> None:
    variant = get_variant("synthetic-tiny")
    backend = OnnxRuntimeBackend(variant, weights.export_dir(variant.name))
    (feed,) = record_feeds(backend, fisheye_drive, fisheye=fisheye)["image_encoder"]
    backend.close()
    (frame,) = read_sets(fisheye_drive, fisheye=fisheye)
    assert {model.kind for model in frame.rig.models} == {"equidistant" if fisheye == "rays" else "pinhole"}
    expected = camera_params(geometry_of(frame, variant))
    np.testing.assert_allclose(feed["camera_params"], expected, rtol=1e-5)
