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

"""Frames by number, the cache on disk, and pictures that match what a predictor makes of a recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flashocc_ros.data.synthetic import Drive, FrameCache, SyntheticDataset
from flashocc_ros.errors import InputError
from flashocc_ros.pipeline.preprocess import MEAN, STD, network_input

SIZE, SOURCE = (64, 176), (198, 352)


@pytest.fixture(scope="module")
def dataset() -> SyntheticDataset:
    return SyntheticDataset([3, 4], SIZE, frames_per_seed=2, source_size=SOURCE)


def test_a_pair_is_half_a_second_apart_in_one_drive(dataset: SyntheticDataset) -> None:
    key, before = dataset.pair(1)
    assert key.seed == before.seed == 3
    assert key.stamp_ns - before.stamp_ns == 500_000_000
    first, itself = dataset.pair(2)
    assert first.stamp_ns == itself.stamp_ns


def test_later_frames_show_another_place(dataset: SyntheticDataset) -> None:
    later = SyntheticDataset([3], SIZE, frames_per_seed=2, source_size=SOURCE, first_frame=4)
    assert len(later) == 2
    assert later.previous(0) is None
    assert later.frame(0).stamp_ns - dataset.frame(0).stamp_ns == 2_000_000_000
    assert not np.array_equal(later.frame(0).semantics, dataset.frame(0).semantics)


def test_pictures_are_what_a_predictor_makes_of_the_published_ones() -> None:
    from flashocc_ros.pipeline.preprocess import _image_transform

    dataset = SyntheticDataset([3], SIZE, frames_per_seed=1, source_size=SOURCE, jpeg=None)
    full = Drive(3, 1.0, image_size=SOURCE, crop_top_px=0, threads=1)
    full.world = dataset._drive(3).world
    cropped = Drive(3, 1.0, image_size=SOURCE, crop_top_px=66, threads=1)
    cropped.world = full.world
    # Noise belongs to a pixel's place in the drawn picture: put the drawn rows below black ones.
    images = [np.concatenate([np.zeros((66, 352, 3), np.uint8), i]) for i in cropped.pictures(0.0).images]
    transform = _image_transform(SOURCE, SIZE)
    planes = network_input(images, [transform] * 6)
    pixels = (planes * STD[:, None, None] + MEAN[:, None, None])[:, ::-1].transpose(0, 2, 3, 1)
    assert np.abs(pixels - dataset.frame(0).images).max() < 1.01


def test_boxes_carry_how_much_of_them_is_seen(dataset: SyntheticDataset) -> None:
    frame = dataset.frame(0)
    assert (np.abs(frame.boxes[:, :2]) < 40).all()
    assert (frame.box_voxels > 0).sum() > 5
    assert (frame.box_voxels == 0).any()


def test_a_network_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="170"):
        SyntheticDataset([1], (64, 170), source_size=SOURCE)
    with pytest.raises(InputError, match="120"):
        SyntheticDataset([1], (120, 176), source_size=SOURCE)


def test_no_cache_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no cache"):
        FrameCache(tmp_path)
