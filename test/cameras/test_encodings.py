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

"""Planar images, against a conversion in numpy that spreads each colour over its pixels and follows BT.601."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest

from flashocc_ros.cameras.encodings import PLANAR
from flashocc_ros.cameras.images import ImageDecoder
from flashocc_ros.errors import InputError

HEIGHT, WIDTH = 12, 24
U8 = npt.NDArray[np.uint8]


def planes(rows: int, columns: int) -> tuple[U8, U8, U8]:
    """Y, U and V with different gradients; U and V smaller by the two factors."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    luma = (40 + 5 * x + 4 * y).astype(np.uint8)
    y, x = np.mgrid[0 : HEIGHT // rows, 0 : WIDTH // columns]
    return luma, (100 + 2 * x + y).astype(np.uint8), (150 - x + 2 * y).astype(np.uint8)


def expected(luma: U8, u: U8, v: U8, full_range: bool) -> npt.NDArray[np.float64]:
    rows, columns = luma.shape[0] // u.shape[0], luma.shape[1] // u.shape[1]
    blue, red = (np.kron(c.astype(float) - 128, np.ones((rows, columns))) for c in (u, v))
    if full_range:
        grey = luma.astype(float)
    else:
        grey, blue, red = (luma - 16.0) * 255 / 219, blue * 255 / 224, red * 255 / 224
    r, b = grey + 1.402 * red, grey + 1.772 * blue
    g = (grey - 0.299 * r - 0.114 * b) / 0.587
    return np.clip(np.stack([r, g, b], axis=-1), 0, 255)


# name -> (rows and columns a colour value covers, layout of the colours)
LAYOUTS = {
    "nv12": (2, 2, "uv"),
    "nv21": (2, 2, "vu"),
    "NV21": (2, 2, "vu"),
    "i420": (2, 2, "u then v"),
    "yuv420": (2, 2, "u then v"),
    "yv12": (2, 2, "v then u"),
    "nv16": (1, 2, "uv"),
    "nv61": (1, 2, "vu"),
    "yuv422p": (1, 2, "u then v"),
    "nv24": (1, 1, "uv"),
    "nv42": (1, 1, "vu"),
    "yuv444p": (1, 1, "u then v"),
}


def image(name: str, padding: int = 0) -> tuple[SimpleNamespace, npt.NDArray[np.float64]]:
    """A message, its rows padded, and what it shows."""
    rows, columns, layout = LAYOUTS[name]
    luma, u, v = planes(rows, columns)
    first, second = (u, v) if layout[0] == "u" else (v, u)
    pad = [(0, 0), (0, padding)]
    if "then" in layout:
        pads = [pad, [(0, 0), (0, padding // columns)], [(0, 0), (0, padding // columns)]]
        parts = [luma, first, second]
    else:
        pads = [pad, [(0, 0), (0, padding * 2 // columns)]]
        parts = [luma, np.stack([first, second], axis=-1).reshape(u.shape[0], -1)]
    data = np.concatenate([np.pad(p, w, constant_values=7).ravel() for p, w in zip(parts, pads, strict=True)])
    message = SimpleNamespace(
        height=HEIGHT, width=WIDTH, encoding=name, step=WIDTH + padding, is_bigendian=0, data=data.tobytes()
    )
    return message, expected(luma, u, v, full_range=columns == 1)


@pytest.mark.parametrize("padding", [0, 8])
@pytest.mark.parametrize("name", LAYOUTS)
def test_colours(name: str, padding: int) -> None:
    message, truth = image(name, padding)
    got = ImageDecoder().decode(message)
    assert got.dtype == np.uint8
    assert got.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(got - truth).max() <= 2


@pytest.mark.parametrize("name", LAYOUTS)
def test_height_may_count_the_rows_of_all_planes(name: str) -> None:
    message, truth = image(name)
    message.height = len(message.data) // WIDTH
    decoder = ImageDecoder()
    assert decoder.size(message) == (HEIGHT, WIDTH)
    assert np.abs(decoder.decode(message) - truth).max() <= 2


@pytest.mark.parametrize("step", ["none", "bytes over rows"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_step_may_be_missing_or_all_bytes_over_the_rows(name: str, step: str) -> None:
    message, truth = image(name)
    message.step = 0 if step == "none" else len(message.data) // HEIGHT
    assert np.abs(ImageDecoder().decode(message) - truth).max() <= 2


def test_every_planar_encoding_has_a_layout_here() -> None:
    assert set(PLANAR) - {"yuv420p", "iyuv", "yu12"} == {name.lower() for name in LAYOUTS}


@pytest.mark.parametrize("name", LAYOUTS)
def test_too_few_bytes_are_refused_with_the_numbers(name: str) -> None:
    message, _ = image(name)
    count = len(message.data)
    message.data = message.data[:-1]
    with pytest.raises(
        InputError, match=rf"camera front: a 24x12 {name} .* holds {count - 1} bytes, .* = {count} bytes"
    ):
        ImageDecoder("front").decode(message)


@pytest.mark.parametrize(("height", "width"), [(11, 24), (12, 23), (0, 24), (12, 0)])
def test_odd_and_empty_sides_are_refused(height: int, width: int) -> None:
    message, _ = image("nv12")
    message.height, message.width, message.step = height, width, 0
    with pytest.raises(InputError, match="needs even sides"):
        ImageDecoder().decode(message)


def test_yvyu_is_yuyv_with_the_colours_exchanged() -> None:
    luma, u, v = planes(1, 2)
    packed = np.stack([luma, np.stack([v, u], axis=-1).reshape(HEIGHT, WIDTH)], axis=-1)
    message = SimpleNamespace(
        height=HEIGHT, width=WIDTH, encoding="yvyu", step=2 * WIDTH, is_bigendian=0, data=packed.tobytes()
    )
    assert np.abs(ImageDecoder().decode(message) - expected(luma, u, v, full_range=False)).max() <= 2
