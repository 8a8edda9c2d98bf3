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

"""Camera pictures as the page gets them: JPEG files of a bounded size."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import Picture
from flashocc_ros.cameras.jpeg import decode_jpeg, jpeg_size

WIDTH = 704
"""Pixels; wider pictures are made smaller."""
QUALITY = 75
MAX_BYTES = 80_000
"""A larger file is written anew, however small its picture."""


def bounded_jpeg(picture: Picture, width: int = WIDTH) -> tuple[bytes, npt.NDArray[np.float64]]:
    """A JPEG file at most ``width`` pixels wide.

    Returns:
        The file, and the (3, 3) matrix that brings pixels of ``picture`` to its own (pixel centres are whole numbers).

    Raises:
        ImageError: the file is damaged.
    """
    if isinstance(picture, bytes) and len(picture) <= MAX_BYTES and jpeg_size(picture)[1] <= width:
        return picture, np.eye(3)
    pixels = decode_jpeg(picture) if isinstance(picture, bytes) else picture
    height, full = pixels.shape[:2]
    scale = min(1.0, width / full)
    if scale < 1:
        size = (width, max(1, round(height * scale)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    done, file = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    x, y = pixels.shape[1] / full, pixels.shape[0] / height
    return file.tobytes(), np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1.0]])
