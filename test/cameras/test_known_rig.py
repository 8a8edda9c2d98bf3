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

"""A rig read from what a calibration is kept in is that of the pictures it describes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drive_bag import write_drive
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from flashocc_ros import CameraRig
from flashocc_ros.bags import read_sets
from flashocc_ros.data.rig_files import calibration_yaml
from flashocc_ros.data.rig_sources import read_rig
from flashocc_ros.errors import ConfigError, InputError

pytestmark = pytest.mark.ros

K = np.array([[400.0, 0, 310], [0, 410, 250], [0, 0, 1]])


def info(frame: str = "front", d: tuple[float, ...] = (), **more: Any) -> CameraInfo:
    message = CameraInfo(width=640, height=480, distortion_model="plumb_bob", d=list(d), k=K.ravel().tolist(), **more)
    message.header.frame_id = frame
    return message


def test_a_written_rig_is_the_one_it_was_written_from(tmp_path: Path) -> None:
    bag = write_drive(tmp_path / "bag")
    path = tmp_path / "calibration.yaml"
    path.write_text(calibration_yaml(read_rig(bag)))
    assert CameraRig.from_yaml(path).same_as(next(iter(read_sets(bag))).rig)


def test_messages_become_cameras_named_by_their_frames() -> None:
    poses = np.stack([np.eye(4), np.diag([-1.0, -1, 1, 1])])
    rig = CameraRig.from_camera_info([info("front"), info("back")], poses)
    assert rig.names == ("front", "back")
    np.testing.assert_array_equal(rig.intrinsics, [K, K])
    np.testing.assert_array_equal(rig.base_from_camera, poses)


def test_the_camera_matrix_is_that_of_the_published_region() -> None:
    half = info(binning_x=2, binning_y=2, roi=RegionOfInterest(x_offset=100, y_offset=40, width=400, height=400))
    rig = CameraRig.from_camera_info([half], [np.eye(4)], ["front"])
    np.testing.assert_allclose(rig.intrinsics[0], [[200, 0, 105], [0, 205, 105], [0, 0, 1]])


def test_rectified_images_have_the_projection_matrix() -> None:
    bent = info(d=(-0.3, 0.1, 0.0, 0.0, 0.0), p=[380.0, 0, 320, 0, 0, 390, 240, 0, 0, 0, 1, 0])
    rig = CameraRig.from_camera_info([bent], [np.eye(4)], rectified=True)
    np.testing.assert_allclose(rig.intrinsics[0], [[380, 0, 320], [0, 390, 240], [0, 0, 1]])
    with pytest.raises(InputError, match=r"camera front: .* has distortion \(plumb_bob\).*rectified=True"):
        CameraRig.from_camera_info([bent], [np.eye(4)])


def test_a_fisheye_in_a_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text(
        f"cameras:\n  left: {{K: {K.tolist()}, D: [0.1, 0, 0, 0], distortion_model: equidistant, "
        "T_base_cam: {translation_xyz: [0, 0, 1], rotation_xyzw: [0, 0, 0, 1]}}\n"
    )
    with pytest.raises(InputError, match=r"camera left: .*equidistant.*read_frames"):
        CameraRig.from_yaml(path)


def test_a_fisheye_in_a_message_is_refused_unless_its_rays_are_followed() -> None:
    lens = CameraInfo(
        width=640, height=480, distortion_model="equidistant", d=[0.1, 0.0, 0.0, 0.0], k=K.ravel().tolist()
    )
    with pytest.raises(InputError, match=r"camera left: .*equidistant"):
        CameraRig.from_camera_info([lens], [np.eye(4)], ["left"])
    rig = CameraRig.from_camera_info([lens], [np.eye(4)], ["left"], fisheye="rays")
    assert rig.models[0].kind == "equidistant"
    assert rig.models[0].coefficients == (0.1, 0.0, 0.0, 0.0)
    np.testing.assert_array_equal(rig.intrinsics[0], K)
    with pytest.raises(ConfigError, match="fisheye is 'yes'"):
        CameraRig.from_camera_info([lens], [np.eye(4)], ["left"], fisheye="yes")


def test_what_is_no_calibration_is_one_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="pipe or a device"):
        CameraRig.from_yaml(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="needs a path"):
        CameraRig.from_yaml(7)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="2 names for 1 messages"):
        CameraRig.from_camera_info([info()], [np.eye(4)], ["a", "b"])
