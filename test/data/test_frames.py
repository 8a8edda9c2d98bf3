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

"""Frames for exports: what is of another rig is refused before anything is measured on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.nominal_rig import nominal_rig
from flashocc_ros.data import frames
from flashocc_ros.data.frames import check_cameras, first_frame
from flashocc_ros.errors import ConfigError, InputError

BAG = Path("drive")


@pytest.fixture
def frame() -> CameraSet:
    rig = nominal_rig(6)
    images = [np.zeros((900, 1600, 3), np.uint8) for _ in rig.names]
    return CameraSet(images, rig, np.tile(np.eye(4), (6, 1, 1)), 1)


def test_frames_of_the_vehicle_are_taken(frame: CameraSet) -> None:
    check_cameras(frame, BAG, 6)


def test_pictures_of_another_size_than_their_calibration_are_refused(frame: CameraSet) -> None:
    with pytest.raises(InputError, match=r"principal point \(800, 450\) of camera camera_0 .* 800x450: .*K"):
        replace(frame, images=[image[::2, ::2] for image in frame.images])


def test_frames_of_another_number_of_cameras_are_refused(frame: CameraSet) -> None:
    with pytest.raises(ConfigError, match=r"drive is of a rig with 6 cameras, the engine is for 4: .*--cameras 6"):
        check_cameras(frame, BAG, 4)


def test_a_recording_without_a_frame_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "read_frames", lambda *_: iter(()))
    with pytest.raises(ConfigError, match="drive holds no complete frame; record"):
        first_frame(BAG)
