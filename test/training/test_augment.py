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

"""Changed pictures: truth moves with them, and what a pixel shows lies where it did."""

from __future__ import annotations

import numpy as np

from flashocc_ros.training.augment import LARGEST_ZOOM, PictureAugmentation

SIZE = (40, 60)
PRINCIPAL_ROWS = np.array([18.0, 22.5, 25.0, 19.0, 20.0, 21.0])


def _draw(seed: int) -> PictureAugmentation:
    return PictureAugmentation.draw(PRINCIPAL_ROWS, SIZE, np.random.default_rng(seed))


def test_a_pixel_shows_what_its_transform_says() -> None:
    change = _draw(0)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    numbered = np.broadcast_to(rows * 100 + columns, (6, *SIZE)).copy()
    moved = change.pixels(numbered)
    assert any(not np.array_equal(m, n) for m, n in zip(moved, numbered, strict=True))
    for transform, picture in zip(change.transforms, moved, strict=True):
        inverse = np.linalg.inv(np.vstack([transform, [0, 0, 1]]))
        for v, u in ((3, 5), (20, 31), (36, 57)):
            source = inverse @ [u, v, 1.0]
            shown = np.array([picture[v, u] % 100, picture[v, u] // 100])
            np.testing.assert_allclose(shown, source[:2], atol=0.52)


def test_pictures_move_with_their_labels() -> None:
    labels = np.zeros((6, *SIZE), np.uint8)
    labels[:, 8:30, 10:44] = 1
    images = np.repeat(labels[..., None] * np.uint8(200), 3, axis=3)
    change = _draw(1)
    bright = change.pictures(images).mean(-1) > 100
    assert (bright == (change.pixels(labels) == 1)).mean() > 0.98


def test_the_post_transform_puts_a_source_pixel_where_the_picture_shows_it() -> None:
    change = _draw(2)
    post_rot, post_tran = np.diag([0.5, 0.5, 1.0]), np.array([0.0, -11.0, 0.0])
    linear, shift = change.post_transform(post_rot, post_tran)
    source = np.array([70.0, 60.0, 1.0])
    before = post_rot @ source + post_tran
    for k in range(6):
        np.testing.assert_allclose((linear[k] @ source + shift[k])[:2], change.transforms[k] @ [*before[:2], 1.0])
        assert (linear[k] @ source + shift[k])[2] == 1.0


def test_horizons_stay_in_their_rows_and_pictures_stay_filled() -> None:
    zooms = set()
    for seed in range(20):
        for transform, row in zip(_draw(seed).transforms, PRINCIPAL_ROWS, strict=True):
            zooms.add(transform[0, 0])
            np.testing.assert_allclose(transform @ [0.0, row, 1.0], [transform[0, 2], row], atol=1e-9)
            first, last = transform @ [0, 0, 1.0], transform @ [SIZE[1] - 1, SIZE[0] - 1, 1.0]
            assert (first <= 1e-9).all()
            assert (last >= np.array(SIZE[::-1]) - 1 - 1e-9).all()
    assert 1.0 in zooms
    assert 1.1 < max(zooms) <= LARGEST_ZOOM


def test_tints_keep_the_order_of_grey_levels() -> None:
    levels = _draw(3).levels.astype(int)
    assert (np.diff(levels, axis=0) >= 0).all()
    assert np.abs(levels - np.arange(256)[:, None]).max() > 2
