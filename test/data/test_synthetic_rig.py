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

"""Rigs: the default, resized and cropped ones, and YAML files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from flashocc_ros.data.synthetic import Drive, load_rig, nuscenes_like_rig
from flashocc_ros.errors import ConfigError

TWO = {
    "image_size": [320, 200],
    "cameras": [
        {
            "name": name,
            "k": [[160.0, 0.0, 160.0], [0.0, 160.0, 100.0], [0.0, 0.0, 1.0]],
            "translation_m": [1.0, 0.0, 1.6],
            "rotation_xyzw": rotation,
        }
        for name, rotation in (("front", [-0.5, 0.5, -0.5, 0.5]), ("rear", [-0.5, -0.5, 0.5, 0.5]))
    ],
}


def write(path: Path, content: object) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path


def test_default_rig_looks_around() -> None:
    rig = nuscenes_like_rig()
    axes = rig.cameras.base_from_camera[:, :3, 2]
    yaw = np.rad2deg(np.arctan2(axes[:, 1], axes[:, 0]))
    np.testing.assert_allclose(np.abs(yaw), [55, 0, 55, 109, 180, 110], atol=0.1)
    assert rig.cameras.names[1] == "CAM_FRONT"


def test_two_cameras_from_yaml_see_the_world(tmp_path: Path) -> None:
    rig = load_rig(write(tmp_path / "rig.yaml", TWO))
    np.testing.assert_allclose(rig.cameras.base_from_camera[0, :3, 2], [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(rig.cameras.base_from_camera[1, :3, 2], [-1, 0, 0], atol=1e-9)
    key = Drive(3, 1.0, rig).key_frame(0)
    assert np.stack(key.images).shape == (2, 200, 320, 3)
    assert key.images[0].std() > 10
    assert key.mask_camera[140:, 98:102].any()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"image_size": [0, 200]}, "image_size"),
        ({"cameras": [{"name": "front"}]}, "rotation_xyzw"),
        ({"cameras": None}, "cameras"),
    ],
)
def test_a_bad_rig_file_is_explained(tmp_path: Path, change: dict, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        load_rig(write(tmp_path / "rig.yaml", TWO | change))


def test_a_missing_rig_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_rig(tmp_path / "nowhere.yaml")


def test_a_cropped_picture_is_the_lower_part_of_the_full_one() -> None:
    full = Drive(6, 1.0, image_size=(99, 176), threads=1).pictures(0.0)
    cropped = Drive(6, 1.0, image_size=(99, 176), crop_top_px=35, threads=1).pictures(0.0)
    assert cropped.images[0].shape == (64, 176, 3)
    assert (full.labels_2d[:, 35:] == cropped.labels_2d).mean() > 0.999
    sky = (full.depth[:, 35:] == 0) | (cropped.depth == 0)
    np.testing.assert_allclose(
        np.where(sky, 0, full.depth[:, 35:]), np.where(sky, 0, cropped.depth), rtol=0.02, atol=0.1
    )


def test_a_smaller_picture_shows_the_same_scene() -> None:
    large = Drive(6, 1.0, image_size=(198, 352), threads=1).pictures(0.0)
    small = Drive(6, 1.0, image_size=(99, 176), threads=1).pictures(0.0)
    assert (large.labels_2d[:, ::2, ::2] == small.labels_2d).mean() > 0.995


def test_a_crop_must_leave_something() -> None:
    with pytest.raises(ConfigError, match="99"):
        Drive(6, 1.0, image_size=(99, 176), crop_top_px=99)


@pytest.mark.parametrize(
    ("content", "words"), [("[" * 5000, "nested|nesting"), ("image_size: [1, 2]\nimage_size: [3, 4]", "twice")]
)
def test_a_file_that_is_no_plain_yaml_is_one_sentence(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "rig.yaml").write_text(content)
    with pytest.raises(ConfigError, match=words):
        load_rig(tmp_path / "rig.yaml")
