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

"""Rig and grid check what they are given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flashocc_ros.camera_model import PINHOLE, CameraModel
from flashocc_ros.errors import FlashOccError, InputError
from flashocc_ros.structures import OCC3D_GRID, CameraRig

K = np.array([[1266.0, 0, 816], [0, 1266.0, 491], [0, 0, 1]])


def rig(**changes: Any) -> CameraRig:
    given: dict[str, Any] = {"names": ["a", "b"], "intrinsics": [K, K], "base_from_camera": [np.eye(4), np.eye(4)]}
    return CameraRig(**{**given, **changes})


def broken(matrix: np.ndarray, index: tuple[int, ...], value: float) -> np.ndarray:
    matrix = matrix.copy()
    matrix[index] = value
    return matrix


def test_lists_become_read_only_float64() -> None:
    made = rig(intrinsics=[K.tolist(), K.astype(np.float32)])
    assert made.num_cameras == 2
    assert made.names == ("a", "b")
    assert made.intrinsics.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        made.intrinsics[0, 0, 0] = 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": []}, "at least one"),
        ({"names": ["a", "a"]}, "distinct"),
        ({"names": None}, "names are None, needs a list"),
        ({"names": "ab"}, "names are 'ab', needs a list"),
        ({"names": ["a", 2]}, "2 is no name of a camera"),
        ({"names": ["a", ""]}, "'' is no name of a camera"),
        ({"intrinsics": [K, [[1, 2], [3]]]}, r"intrinsics is no array of numbers of shape \(2, 3, 3\)"),
        ({"intrinsics": None}, r"intrinsics has shape \(\), needs"),
        ({"intrinsics": [K, 2 * K]}, r"camera b: K has the last row \[0, 0, 2\], needs \[0, 0, 1\]; divide"),
        ({"intrinsics": [K, K.T]}, "camera b: K has the last row .*transpose"),
        ({"intrinsics": [K, broken(K, (0, 1), 13.0)]}, "camera b: K has 13 and 0 beside its focal lengths, limit 1%"),
        ({"intrinsics": [K, broken(K, (1, 0), 1.0)]}, "camera b: K has 0 and 1 beside"),
        ({"base_from_camera": [np.eye(4), np.diag([1, 1, -1, 1])]}, "camera b: .* left-handed, .* is -1, needs"),
        ({"base_from_camera": [np.eye(4), broken(np.eye(4), (3, 0), 2.0)]}, r"camera b: .* last row is \[2, 0, 0, 1\]"),
        (
            {"base_from_camera": [np.eye(4), broken(np.eye(4), (0, 1), 0.1)]},
            "camera b: .* off the identity by 0.1, limit",
        ),
        ({"base_from_camera": [np.eye(4), broken(np.eye(4), (0, 3), 1e9)]}, r"camera b: .* 1e\+09 m, limit 100000 m"),
        ({"intrinsics": [K]}, r"intrinsics has shape \(1, 3, 3\), needs \(2, 3, 3\)"),
        ({"intrinsics": [K, np.zeros((3, 3))]}, "camera b: focal lengths 0, 0 px must be positive"),
        ({"intrinsics": [K, broken(K, (0, 2), np.nan)]}, "camera b: K holds a value that is not finite"),
        ({"base_from_camera": [np.eye(4)]}, r"base_from_camera has shape \(1, 4, 4\)"),
        ({"base_from_camera": [np.eye(4), 2 * np.eye(4)]}, "camera b: base_from_camera is not a rigid transform"),
        (
            {"base_from_camera": [broken(np.eye(4), (0, 3), np.inf), np.eye(4)]},
            "camera a: base_from_camera is not a rigid",
        ),
    ],
)
def test_an_impossible_calibration_is_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        rig(**changes)
    assert isinstance(caught.value, FlashOccError)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["intrinsics", "base_from_camera"])
def test_complex_numbers_are_refused_without_a_warning(name: str) -> None:
    value = np.stack([K if name == "intrinsics" else np.eye(4)] * 2) + 0j
    with pytest.raises(InputError, match=f"{name} is no array of numbers.*complex"):
        rig(**{name: value})


def test_a_calibration_printed_with_four_digits_is_taken() -> None:
    c, s = round(np.cos(0.3), 4), round(np.sin(0.3), 4)
    turned = np.array([[c, -s, 0, 1.7], [s, c, 0, 0], [0, 0, 1, 1.5], [0, 0, 0, 1]])
    assert rig(intrinsics=[K, broken(K, (0, 1), 1.0)], base_from_camera=[turned, np.eye(4)]).num_cameras == 2


def test_same_as_sees_every_number_and_name() -> None:
    assert rig().same_as(rig())
    assert not rig().same_as(rig(names=["a", "c"]))
    assert not rig().same_as(rig(intrinsics=[K, broken(K, (1, 1), 1266.01)]))
    assert not rig().same_as(rig(base_from_camera=[np.eye(4), broken(np.eye(4), (2, 3), 1e-3)]))
    assert rig().same_as(rig(base_from_camera=[np.eye(4), broken(np.eye(4), (2, 3), 1e-3)]), tolerance=1e-2)


def test_same_as_is_false_for_another_number_of_cameras() -> None:
    assert not rig().same_as(CameraRig(["a"], [K], [np.eye(4)]))


def test_voxel_centres_lie_half_a_voxel_inside() -> None:
    corners = OCC3D_GRID.centers_m(np.array([[0, 0, 0], [199, 199, 15], [100, 100, 2]]))
    np.testing.assert_allclose(corners, [[-39.8, -39.8, -0.8], [39.8, 39.8, 5.2], [0.2, 0.2, 0.0]], atol=1e-12)


def test_a_rig_has_at_most_twelve_cameras() -> None:
    def many(count: int) -> CameraRig:
        return CameraRig([f"c{i}" for i in range(count)], np.tile(K, (count, 1, 1)), np.tile(np.eye(4), (count, 1, 1)))

    assert many(12).num_cameras == 12
    with pytest.raises(InputError, match="13 cameras are too many, a rig has 1 to 12"):
        many(13)


def test_a_rig_has_one_model_for_each_camera() -> None:
    rig = CameraRig(["a", "b"], np.tile(np.diag([500.0, 500, 1]), (2, 1, 1)), np.tile(np.eye(4), (2, 1, 1)))
    assert rig.models == (PINHOLE, PINHOLE)
    fisheye = CameraModel("equidistant", (0, 0, 0, 0))
    assert not rig.same_as(replace(rig, models=(PINHOLE, fisheye)))
    for models in ((fisheye,), ("equidistant", "equidistant")):
        with pytest.raises(InputError, match="needs one CameraModel for each of 2 cameras"):
            replace(rig, models=models)
