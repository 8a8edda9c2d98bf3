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

"""Samples from label folders: targets, pixels with lidar points, the past, drives kept apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_drive import CAR, volumes, write_drive

from flashocc_ros.data.label_folder import open_drives
from flashocc_ros.data.partial_labels import UNOBSERVED
from flashocc_ros.errors import InputError
from flashocc_ros.labels import FREE, NUM_CLASSES
from flashocc_ros.training.config import TrainConfig
from flashocc_ros.training.label_source import LabelSource
from flashocc_ros.training.pixel_targets import pixel_targets
from flashocc_ros.training.sample import Sample
from flashocc_ros.training.sources import open_source, open_sources
from flashocc_ros.variants import get_variant

UNKNOWN_GROUND, UNKNOWN_THING = NUM_CLASSES, NUM_CLASSES + 1
TINY, TINY_4D = get_variant("synthetic-tiny"), get_variant("synthetic-tiny-4d")


def sample(folder: Path, variant: Any = TINY, index: int = 0, rng: Any = None, **options: bool) -> Sample:
    return LabelSource(open_drives([folder]), variant, **options).sample(index, rng)


def test_what_nothing_tells_is_a_group_of_classes_and_what_nobody_saw_is_no_target(tmp_path: Path) -> None:
    found = sample(write_drive(tmp_path))
    assert found.semantics[100, 100, 2] == UNKNOWN_GROUND
    assert found.semantics[150, 100, 4] == UNKNOWN_THING
    assert found.semantics[126, 100, 4] == CAR
    assert found.semantics[100, 100, 8] == FREE
    assert found.semantics[10, 100, 8] == UNOBSERVED
    assert found.possible is not None
    assert not found.possible[UNKNOWN_THING, CAR]  # cars have boxes here
    assert (found.semantics[found.mask_camera] != UNOBSERVED).all()


def test_the_mask_never_counts_what_nobody_observed(tmp_path: Path) -> None:
    everything = np.ones((200, 200, 16), np.uint8)
    found = sample(write_drive(tmp_path, arrays={"mask_camera": everything}))
    np.testing.assert_array_equal(found.mask_camera, volumes()["mask_lidar"] > 0)


def test_lidar_points_are_depth_and_class_of_their_pixels(tmp_path: Path) -> None:
    found = sample(write_drive(tmp_path))
    assert found.depth_m is not None
    assert found.labels_2d is not None
    # Pictures of 88x176 become 176x352.
    for row, column, metres, target in (
        (104, 176, 9.6, CAR),
        (88, 208, 19.6, UNKNOWN_THING),
        (6, 96, 60.0, UNOBSERVED),
    ):
        assert found.depth_m[0, row, column] == pytest.approx(metres)
        assert found.labels_2d[0, row, column] == target
    assert (found.depth_m > 0).sum() == 3
    depth, labels = pixel_targets([found], TINY)
    assert int((~depth.isnan()).sum()) == 3
    assert sorted(labels[labels != UNOBSERVED].tolist()) == [CAR, UNKNOWN_THING]


def test_a_thing_that_no_camera_sees_is_no_centre(tmp_path: Path) -> None:
    found = sample(write_drive(tmp_path))
    np.testing.assert_allclose(found.boxes, [[11.0, 0, 0.8, 2.0, 1.6, 1.2, 0, 1, 0]], atol=1e-6)
    assert found.box_labels.tolist() == [0]


def test_the_past_is_the_frames_before_of_the_same_drive(tmp_path: Path) -> None:
    write_drive(tmp_path, "monday", frames=1)
    write_drive(tmp_path, "tuesday", frames=4)
    first = sample(tmp_path, TINY_4D, index=1)
    assert first.images.shape == (3, 2, 176, 352, 3)
    assert all(np.array_equal(first.images[0], first.images[k]) for k in (1, 2))
    third = sample(tmp_path, TINY_4D, index=3)
    np.testing.assert_allclose(third.geometry.ego2global[:, 0, 0, 3], [2, 1, 0])
    assert not np.array_equal(third.images[0], third.images[1])


def test_drives_of_one_frame_teach_no_network_that_needs_a_past(tmp_path: Path) -> None:
    write_drive(tmp_path, frames=1)
    assert len(sample(tmp_path).images) == 1
    with pytest.raises(InputError, match=r"synthetic-tiny-4d learns from the key frames before, .*one key frame"):
        sample(tmp_path, TINY_4D)


def test_mirroring_moves_voxels_and_boxes_but_no_pixel(tmp_path: Path) -> None:
    folder = write_drive(tmp_path)
    plain = sample(folder)
    turned = next(
        s for k in range(20) if (s := sample(folder, rng=np.random.default_rng(k), flip=True)).geometry.bda[0, 0] < 0
    )
    assert turned.semantics[200 - 1 - 126, 100, 4] == CAR
    assert turned.boxes[0, 0] == pytest.approx(-plain.boxes[0, 0])
    np.testing.assert_array_equal(turned.images, plain.images)
    np.testing.assert_array_equal(turned.depth_m, plain.depth_m)


def test_enlarged_pictures_take_their_points_along(tmp_path: Path) -> None:
    folder = write_drive(tmp_path)
    for k in range(20):
        found = sample(folder, rng=np.random.default_rng(k), augment=True)
        zoom = found.geometry.post_rot[0, 0, 0, 0] / 2
        if zoom > 1.05:
            break
    assert found.depth_m is not None
    row, column = np.argwhere((found.depth_m[0] > 9) & (found.depth_m[0] < 10))[0]
    moved = found.geometry.post_rot[0, 0] @ [88, 52, 1] + found.geometry.post_tran[0, 0]
    np.testing.assert_allclose([column, row], moved[:2], atol=0.51)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    folder = write_drive(tmp_path)
    picture = folder / "500000000" / "cam1.jpg"
    picture.write_bytes(picture.read_bytes()[:200])
    with pytest.raises(InputError, match=str(picture.parent)):
        sample(folder)


def config(folder: Path, **validation: Any) -> TrainConfig:
    return TrainConfig.model_validate(
        {
            "variant": "synthetic-tiny",
            "data": {"kind": "labels", "folders": [folder]},
            "schedule": {"iterations": 1},
            "validation": validation or None,
        }
    )


def test_whole_drives_are_kept_apart(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        write_drive(tmp_path, name)
    assert len(open_source(config(tmp_path))) == 8
    train, kept = open_sources(config(tmp_path, drives=["c"]))
    assert isinstance(train, LabelSource)
    assert isinstance(kept, LabelSource)
    assert [drive.name for drive in train.drives] == ["a", "b", "d"]
    assert [drive.name for drive in kept.drives] == ["c"]
    _, share = open_sources(config(tmp_path, share=0.5))
    assert isinstance(share, LabelSource)
    assert [drive.name for drive in share.drives] == ["b", "d"]


@pytest.mark.parametrize(
    ("validation", "sentence"),
    [
        ({"drives": ["sunday"]}, "validation.drives: sunday is no labelled drive; there are monday"),
        ({"drives": ["monday"]}, "all 1 labelled drives are kept apart"),
        ({"share": 0.1}, "none is left to train on; label more drives"),
    ],
)
def test_a_split_that_leaves_nothing_is_one_sentence(tmp_path: Path, validation: dict[str, Any], sentence: str) -> None:
    write_drive(tmp_path)
    with pytest.raises(InputError, match=sentence):
        open_sources(config(tmp_path, **validation))
