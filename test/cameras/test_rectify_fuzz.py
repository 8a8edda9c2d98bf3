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

"""CameraInfo as any driver may send it: K and maps that can be used, or an `InputError`."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
from hostile import takes
from hypothesis import given, settings
from hypothesis import strategies as st

from flashocc_ros.cameras.rectify import Fisheye, Lens, Rectifier, Region
from flashocc_ros.errors import InputError
from flashocc_ros.geometry.camera_models import pixels_of_points, rays_of_pixels

PIXELS = np.stack(np.meshgrid(np.arange(0, 32, 5.0), np.arange(0, 24, 5.0)), -1)
IMAGE = np.full((24, 32, 3), 100, np.uint8)
SOUND_K = (20.0, 0.0, 16.0, 0.0, 20.0, 12.0, 0.0, 0.0, 1.0)
NUMBER = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1.0, -1.0, 1e9, 1e155, 1e308, 1e-308, 20.0, 16.0]),
    st.floats(-1.0, 1.0),
)
SIZE = st.one_of(st.sampled_from([0, 1, 2, 24, 32, 64, 48, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1))
MODEL = st.sampled_from(["plumb_bob", "rational_polynomial", "equidistant", "fisheye", "pinhole", "", "x" * 10_000])


@st.composite
def lenses(draw: st.DrawFn) -> Lens:
    """A sound calibration with up to four fields of anything."""
    fields = {"k": SOUND_K, "width": 32, "height": 24}
    anything = {
        "k": st.one_of(
            st.lists(NUMBER, min_size=9, max_size=9),
            st.tuples(st.integers(0, 8), NUMBER).map(lambda c: (*SOUND_K[: c[0]], c[1], *SOUND_K[c[0] + 1 :])),
        ),
        "d": st.lists(NUMBER, max_size=14),
        "distortion_model": MODEL,
        "width": SIZE,
        "height": SIZE,
        "binning_x": SIZE,
        "binning_y": SIZE,
        "roi": st.builds(Region, SIZE, SIZE, SIZE, SIZE),
        "r": st.lists(NUMBER, min_size=9, max_size=9),
        "p": st.lists(NUMBER, min_size=12, max_size=12),
    }
    for name in draw(st.lists(st.sampled_from(sorted(anything)), min_size=1, max_size=4, unique=True)):
        fields[name] = draw(anything[name])
    return Lens(**fields)


@given(lenses(), st.booleans(), st.sampled_from(get_args(Fisheye)))
@settings(max_examples=400)
def test_any_calibration_is_taken_or_refused(lens: Lens, rectified: bool, fisheye: Fisheye) -> None:
    rectifier = Rectifier("front", rectified, say=lambda _: None, fisheye=fisheye)

    def use() -> None:
        rectifier.update(lens)
        image, matrix = rectifier(IMAGE)
        assert image.shape == IMAGE.shape
        assert np.isfinite(matrix).all()
        assert matrix[0, 0] > 0
        assert matrix[1, 1] > 0
        rays = rays_of_pixels(rectifier.model, matrix, PIXELS)
        known = ~np.isnan(rays).any(-1)
        back = pixels_of_points(rectifier.model, matrix, rays[known])
        assert np.abs(back - PIXELS[known]).max(initial=0) < 0.2

    takes(use, InputError)
    takes(lambda: rectifier.image_size, InputError)


def test_endless_coefficients_are_refused_soon() -> None:
    for value in (0.0, 0.1):
        lens = Lens(SOUND_K, [value] * 1_000_000, "plumb_bob", 32, 24)
        takes(lambda lens=lens: (rectifier := Rectifier()).update(lens) and rectifier(IMAGE), InputError)
