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

from dataclasses import replace

import numpy as np
import pytest

from flashocc_ros.camera_model import PINHOLE, CameraModel
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.straighten import WIDEST_DEG, straightened, straightened_set
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.rig import surround_rig
from flashocc_ros.view.frame import shots_of

SIZE = (176, 352)


def test_a_straightened_fisheye_shows_what_a_pinhole_in_its_place_would() -> None:
    rig = surround_rig()
    fish = Drive(3, 1.0, rig, SIZE, threads=1)
    picture = fish.pictures(0.0).images[0]
    cameras = fish.rig.cameras
    flat, matrix = straightened(picture, cameras.intrinsics[0], cameras.models[0])
    assert matrix[0, 0] == pytest.approx(SIZE[1] / 2 / np.tan(np.deg2rad(WIDEST_DEG / 2)))
    straight = replace(cameras, intrinsics=np.tile(matrix, (4, 1, 1)), models=())
    drawn = Drive(3, 1.0, replace(rig, cameras=straight, image_size=SIZE), SIZE, threads=1).pictures(0.0).images[0]
    off = np.abs(flat.astype(int) - drawn).mean()
    mirrored = np.abs(flat[:, ::-1].astype(int) - drawn).mean()
    assert off < 0.3 * mirrored


def test_where_a_lens_sees_nothing_is_black() -> None:
    k = np.array([[100.0, 0, 176], [0, 100, 88], [0, 0, 1]])
    white = np.full((*SIZE, 3), 255, np.uint8)
    flat, _ = straightened(white, k, CameraModel("equidistant", (-0.3, 0, 0, 0)))
    assert flat[88, 176].min() == 255
    assert flat[0, 0].max() == 0


def test_pinholes_stay_as_they_are() -> None:
    rig = replace(surround_rig().cameras, models=(PINHOLE,) * 4)
    images = [np.zeros((800, 1600, 3), np.uint8)] * 4
    camera_set = CameraSet(images, rig, np.tile(np.eye(4), (4, 1, 1)), 1)
    assert straightened_set(camera_set) is camera_set


def test_viewers_are_shown_pinholes() -> None:
    rig = surround_rig().resized(SIZE).cameras
    images = [np.full((*SIZE, 3), 255, np.uint8)] * 4
    shots = shots_of(CameraSet(images, rig, np.tile(np.eye(4), (4, 1, 1)), 1))
    assert shots[0].intrinsic[0, 0] == pytest.approx(SIZE[1] / 2 / np.tan(np.deg2rad(WIDEST_DEG / 2)))
    np.testing.assert_array_equal(shots[3].base_from_camera, rig.base_from_camera[3])
