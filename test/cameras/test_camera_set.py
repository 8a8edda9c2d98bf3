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

"""What is no camera set is refused with one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.errors import InputError
from flashocc_ros.structures import CameraRig

K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
RIG = CameraRig(["a", "b"], [K, K], np.tile(np.eye(4), (2, 1, 1)))
STANDING = np.tile(np.eye(4), (2, 1, 1))
FAR = STANDING.copy()
FAR[1, 0, 3] = 1e9


def camera_set(**changes: Any) -> CameraSet:
    images = [np.zeros((480, 640, 3), np.uint8)] * 2
    return CameraSet(**({"images": images, "rig": RIG, "odom_from_base": STANDING, "stamp_ns": 1} | changes))


def test_a_good_set_is_taken() -> None:
    made = camera_set(stamps_ns=[5, 7])
    assert made.image_sizes == ((480, 640), (480, 640))
    assert made.stamps_ns.tolist() == [5, 7]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [np.zeros((240, 320, 3), np.uint8)] * 2}, r"principal point \(320, 240\) of camera a .* 320x240"),
        ({"images": [np.zeros((0, 640, 3), np.uint8)] * 2}, "camera a: an image of 640x0 pixels is empty"),
        ({"stamp_ns": 2**70}, "non-negative integer"),
        ({"stamps_ns": [[1], [1, 2]]}, "needs 2 integers"),
        ({"stamps_ns": "ab"}, "needs 2 integers"),
        ({"stamps_ns": [None, None]}, "needs 2 integers"),
        ({"stamps_ns": [-1, 1]}, "from -1 to 1 ns"),
        ({"stamps_ns": np.array([1, 2**63], np.uint64)}, "need to be 0 to"),
        ({"odom_from_base": STANDING * [[[1], [1], [-1], [1]]]}, r"odom_from_base .* left-handed.* \(camera a\)"),
        ({"odom_from_base": STANDING + np.eye(4)[:, [3]] * [1, 0, 0, 0]}, "odom_from_base .* last row"),
        ({"odom_from_base": FAR}, r"odom_from_base is a translation of 1e\+09 m, limit 1e\+08 m"),
        ({"key_pose": [[1], [2, 3]]}, "key_pose is no array"),
        ({"key_pose": np.diag([1.0, 1, -1, 1])}, "key_pose .* left-handed"),
    ],
)
def test_what_is_no_set_is_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        camera_set(**changes)
