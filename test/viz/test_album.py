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

"""What is written over a picture: what the node told of itself, value by value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from labelled_drive import camera_set

from flashocc_ros.bags.results import ResultFrame
from flashocc_ros.structures import OCC3D_GRID
from flashocc_ros.viz.album import to_figure

RESULT = ResultFrame(1_500_000_000, np.zeros((200, 200, 16), np.uint8), None, OCC3D_GRID, None, None)


def test_the_head_line_tells_network_and_engine() -> None:
    """Commas in the name of a processor part nothing."""
    network = {"variant": "synthetic-tiny", "runs_on": "OpenVINO on Epyc, 2 cores, fp32", "trained": "true"}
    figure = to_figure(RESULT, network, 250_000_000)
    assert figure.title == "FlashOcc   synthetic-tiny"
    assert list(figure.details) == ["OpenVINO on Epyc, 2 cores, fp32", "1.2 s"]
    assert figure.note == ""


def test_the_head_line_tells_what_is_seen_from_how_many_cameras() -> None:
    assert to_figure(replace(RESULT, cameras=camera_set(0, 2)), {}, 0).title == "FlashOcc   3D occupancy from 2 cameras"


def test_the_warning_is_set_apart() -> None:
    assert to_figure(RESULT, {}, 0, "means nothing").note == "means nothing"
