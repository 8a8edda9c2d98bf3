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

"""The geometry of a camera set: each camera by its own picture and pose, seen from the key pose."""

from __future__ import annotations

import numpy as np
import pytest
import simplejpeg
from small_stream import rig

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.pipeline.preprocess import image_transform
from flashocc_ros.pipeline.set_geometry import geometry_of, rig_geometry
from flashocc_ros.variants import get_variant

VARIANT = get_variant("flashocc-r50-M0")
IMAGES = [np.zeros((200, 352, 3), np.uint8), np.zeros((400, 704, 3), np.uint8)]


def at(*x_m: float) -> np.ndarray:
    poses = np.tile(np.eye(4), (len(x_m), 1, 1))
    poses[:, 0, 3] = x_m
    return poses


def test_every_camera_has_the_transform_of_its_own_picture() -> None:
    jpeg = simplejpeg.encode_jpeg(IMAGES[1])
    geometry = geometry_of(CameraSet([IMAGES[0], jpeg], rig(), at(0, 0), 1), VARIANT)
    expected = [image_transform(size, VARIANT) for size in ((200, 352), (400, 704))]
    np.testing.assert_array_equal(geometry.post_rot[0], [t.post_rot for t in expected])
    np.testing.assert_array_equal(geometry.post_tran[0], [t.post_tran for t in expected])
    assert (geometry.post_rot[0, 0] != geometry.post_rot[0, 1]).any()


def test_cameras_are_seen_from_the_key_pose_of_the_set() -> None:
    camera_set = CameraSet(IMAGES, rig(), at(10, 10.5), 1, key_pose=at(10.25)[0])
    moved = geometry_of(camera_set, VARIANT).camera_to_key(0)[:, 0, 3] - rig().base_from_camera[:, 0, 3]
    assert moved == pytest.approx([-0.25, 0.25])


def test_the_cameras_of_a_standing_rig_are_where_they_are_mounted() -> None:
    geometry = rig_geometry(rig(), [(200, 352)] * 2, VARIANT)
    np.testing.assert_array_equal(geometry.camera_to_key(0), rig().base_from_camera)
