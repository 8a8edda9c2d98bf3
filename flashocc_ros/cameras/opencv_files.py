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

"""Picture files that OpenCV decodes, grey or colour, 8 or 16 bits."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.headers import Buffer, Header, damaged
from flashocc_ros.errors import ImageError

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

PNG_END = b"IEND\xaeB`\x82"
# Orientation tags are ignored: calibration belongs to the pixels as the sensor gave them.
FLAGS = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION


def decode_with_cv2(data: Buffer, kind: str) -> Pixels:
    """(H, W) or RGB (H, W, 3), uint8 or uint16. Its header must have been read before: it holds the size.

    Raises:
        ImageError: it cannot be decoded.
    """
    try:
        image: npt.NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), FLAGS)
    except cv2.error:
        image = None
    if image is None:
        reason = "it cannot be decoded"
        if kind in ("WebP", "TIFF", "GIF", "AVIF"):
            reason += f", or OpenCV {cv2.__version__} was built without {kind}: use JPEG or PNG"
        raise damaged(data, reason, kind)
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"a {kind} holds {image.dtype} pixels; use 8 or 16 bits without sign")
    rgb: npt.NDArray[Any] = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return rgb


def decode_other(data: Buffer, header: Header) -> Pixels:
    """As `decode_with_cv2`, for everything but JPEG; pixels as stored.

    Raises:
        ImageError: it cannot be decoded, or its end is missing.
    """
    if header.kind == "PNG" and PNG_END not in bytes(data[-64:]):
        raise damaged(data, "its end is missing", "PNG")
    if header.orientation_at:  # OpenCV turns a TIFF whatever its flags say
        upright = bytearray(data)
        little = upright[0] == ord("I")
        upright[header.orientation_at : header.orientation_at + 2] = (1).to_bytes(2, "little" if little else "big")
        data = bytes(upright)
    return decode_with_cv2(data, header.kind)
