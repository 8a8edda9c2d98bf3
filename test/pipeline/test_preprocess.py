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

"""Preprocessing equals Pillow's antialiased bicubic resize, crop and the published normalisation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from flashocc_ros.errors import InputError
from flashocc_ros.pipeline.preprocess import MEAN, STD, image_transform, network_input
from flashocc_ros.variants import get_variant

M0 = get_variant("flashocc-r50-M0")
SWIN = get_variant("bevdet-occ-stbase-4d-stereo-512x1408")
FLOAT_STEP = 1e-6


def reference(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """The documented pipeline with Pillow: resize, crop from the bottom (black outside), blue first, normalise."""
    height, width = size
    scaled = int(image.shape[0] * (width / image.shape[1]))
    resized = Image.fromarray(image).resize((width, scaled))
    cropped = np.asarray(resized.crop((0, scaled - height, width, scaled)))
    return ((cropped[..., ::-1].astype(np.float32) - MEAN) * (np.float32(1) / STD)).transpose(2, 0, 1)


def levels(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Grey levels back from a normalised picture (3, H, W)."""
    return pixels * STD[:, None, None] + MEAN[:, None, None]


def noise(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_transform_of_a_nuscenes_picture_is_the_published_one() -> None:
    transform = image_transform((900, 1600), M0)
    assert transform.scale == 0.44
    assert transform.resized == (396, 704)
    assert (transform.crop_left, transform.crop_top) == (0, 140)
    np.testing.assert_array_equal(transform.post_rot, np.diag([0.44, 0.44, 1.0]))
    np.testing.assert_array_equal(transform.post_tran, [0.0, -140.0, 0.0])


def test_transform_of_the_large_input_is_the_published_one() -> None:
    transform = image_transform((900, 1600), SWIN)
    assert (transform.scale, transform.resized, transform.crop_top) == (0.88, (792, 1408), 280)


@pytest.mark.parametrize(
    "size",
    [(900, 1600), (720, 1280), (480, 640), (333, 517), (1200, 1920), (2160, 3840), (256, 704), (7, 50), (1, 3)],
    ids=lambda s: f"{s[1]}x{s[0]}",
)
def test_random_pictures_equal_pillow(size: tuple[int, int]) -> None:
    image = noise(*size)
    (pixels,) = network_input([image], [image_transform(size, M0)])
    np.testing.assert_allclose(pixels, reference(image, M0.input_size), rtol=0, atol=FLOAT_STEP)


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 400), width=st.integers(1, 900), seed=st.integers(0, 9))
def test_any_size_equals_pillow(height: int, width: int, seed: int) -> None:
    image = noise(height, width, seed)
    scaled = int(height * (M0.input_size[1] / width))
    if scaled == 0:
        with pytest.raises(InputError):
            image_transform((height, width), M0)
    elif scaled < 4000:  # Pillow itself needs minutes for pictures blown up to gigapixels
        (pixels,) = network_input([image], [image_transform((height, width), M0)])
        np.testing.assert_allclose(pixels, reference(image, M0.input_size), rtol=0, atol=FLOAT_STEP)


def test_saturated_edges_are_clipped_between_the_passes() -> None:
    image = np.where(np.indices((900, 1600)).sum(0)[..., None] % 7 < 3, 255, 0).astype(np.uint8).repeat(3, 2)
    (pixels,) = network_input([image], [image_transform((900, 1600), M0)])
    np.testing.assert_allclose(pixels, reference(image, M0.input_size), rtol=0, atol=FLOAT_STEP)


@pytest.mark.data
@pytest.mark.parametrize("variant", [M0, SWIN], ids=lambda v: v.name)
def test_real_pictures_equal_pillow(shared_dir: Path, variant: object) -> None:
    folder = shared_dir / "data" / "nuscenes_frame_scene0003"
    images = [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.jpg"))]
    pixels = network_input(images, [image_transform(image.shape[:2], variant) for image in images])  # type: ignore[arg-type]
    for got, image in zip(pixels, images, strict=True):
        expected = reference(image, variant.input_size)  # type: ignore[attr-defined]
        assert np.abs(np.rint(levels(got)) - np.rint(levels(expected))).max() <= 1


@pytest.mark.data
def test_pixels_equal_the_golden_input(shared_dir: Path) -> None:
    golden = np.load(shared_dir / "spec" / "golden" / "flashocc-r50-M0.npz")
    folder = shared_dir / "data" / "nuscenes_frame_scene0003"
    names = ("FRONT_LEFT", "FRONT", "FRONT_RIGHT", "BACK_LEFT", "BACK", "BACK_RIGHT")
    images = [np.asarray(Image.open(folder / f"CAM_{name}.jpg")) for name in names]
    pixels = network_input(images, [image_transform((900, 1600), M0)] * 6)
    np.testing.assert_allclose(pixels[:, :, 128:144, 352:368], golden["img_crop"], rtol=0, atol=1.01 / STD.min())
    mean_std = np.stack([pixels.mean((2, 3)), pixels.std((2, 3), ddof=1)], -1)
    np.testing.assert_allclose(mean_std, golden["img_mean_std"], rtol=0, atol=2e-3)


def test_channels_come_blue_first() -> None:
    image = np.zeros((900, 1600, 3), np.uint8)
    image[:] = (10, 20, 30)
    (pixels,) = network_input([image], [image_transform((900, 1600), M0)])
    expected = [(30 - 123.675) / 58.395, (20 - 116.28) / 57.12, (10 - 103.53) / 57.375]
    np.testing.assert_allclose(pixels[:, 100, 100], expected, rtol=1e-6)


def test_a_low_picture_is_filled_up_with_black_on_top() -> None:
    image = np.full((100, 704, 3), 200, np.uint8)
    transform = image_transform((100, 704), M0)
    (pixels,) = network_input([image], [transform])
    assert transform.crop_top == -156
    np.testing.assert_array_equal(transform.post_tran, [0, 156, 0])
    np.testing.assert_allclose(levels(pixels)[:, :156], 0, atol=1e-4)
    np.testing.assert_allclose(levels(pixels)[:, 156:], 200, atol=1e-4)


def test_cameras_of_one_rig_may_differ_in_size() -> None:
    images = [noise(900, 1600), noise(720, 1280, 1), noise(480, 640, 2)]
    pixels = network_input(images, [image_transform(image.shape[:2], M0) for image in images])
    assert pixels.shape == (3, 3, 256, 704)
    for got, image in zip(pixels, images, strict=True):
        np.testing.assert_allclose(got, reference(image, M0.input_size), rtol=0, atol=FLOAT_STEP)


def test_strided_pictures_are_read_correctly() -> None:
    image = noise(450, 1600)
    (pixels,) = network_input([image[:, ::-1]], [image_transform((450, 1600), M0)])
    expected = reference(np.ascontiguousarray(image[:, ::-1]), M0.input_size)
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=FLOAT_STEP)


@pytest.mark.parametrize(
    "image", [np.zeros((900, 1600, 3), np.float32), np.zeros((900, 1600), np.uint8), np.zeros((720, 1280, 3), np.uint8)]
)
def test_a_picture_that_does_not_fit_its_transform_is_refused(image: npt.NDArray[np.generic]) -> None:
    with pytest.raises(InputError, match="image 0 is"):
        network_input([image], [image_transform((900, 1600), M0)])  # type: ignore[list-item]


@pytest.mark.parametrize("size", [(0, 1600), (900, 0), (1, 1600)])
def test_a_picture_of_which_nothing_is_left_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="image of"):
        image_transform(size, M0)
