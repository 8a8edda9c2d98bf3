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

"""What the node predicts for fisheyes, by its parameter, on a recorded set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from flashocc_ros import Predictor
from flashocc_ros.bags import read_sets
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.bag import write_bag
from flashocc_ros.data.synthetic.rig import surround_rig
from flashocc_ros.ros.inference import Inference
from flashocc_ros.ros.parameter_checks import build


def test_the_node_follows_rays_where_its_parameter_says_so(tmp_path: Path) -> None:
    write_bag(tmp_path / "drive", Drive(1003, 1.0, surround_rig(), (176, 352), threads=1), rate_hz=1.0)
    (posed,) = read_sets(tmp_path / "drive", decode=False)
    given = {
        "cameras.names": list(posed.names),
        "cameras.image_topic": "{name}/image_raw/compressed",
        "variant": "synthetic-tiny",
        "engine": "torch",
    }
    found = {}
    for fisheye in ("rays", "rectify"):
        inference = Inference(build({**given, "cameras.fisheye": fisheye}, {}), lambda sentence: None)
        found[fisheye] = inference.run(posed).semantics
        inference.predictor.close()
    for fisheye in ("rays", "rectify"):
        predictor = Predictor("synthetic-tiny", engine="torch")
        (camera_set,) = read_sets(tmp_path / "drive", fisheye=fisheye)
        np.testing.assert_array_equal(found[fisheye], predictor.predict(camera_set).semantics)
    assert (found["rays"] != found["rectify"]).mean() > 0.01
