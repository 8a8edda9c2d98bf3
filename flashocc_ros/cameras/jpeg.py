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

"""JPEG files as bytes: their size and their pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.headers import Buffer, damaged, read_header
from flashocc_ros.cameras.opencv_files import decode_with_cv2

try:
    import simplejpeg
except ImportError:  # cv2 decodes JPEG too, at about twice the time
    simplejpeg = None

END = b"\xff\xd9"


def decode_jpeg(data: Buffer) -> npt.NDArray[np.uint8]:
    """RGB uint8 (H, W, 3), as stored: orientation tags do not count.

    Raises:
        ImageError: the file is damaged, even if a decoder could guess the rest, or claims too many pixels.
    """
    read_header(data)
    if simplejpeg is not None:
        try:
            pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)
        except ValueError as error:
            raise damaged(data, str(error).rstrip(".")) from error
        return pixels
    if END not in bytes(data[-64:]):
        raise damaged(data, "its end is missing")
    decoded = decode_with_cv2(data, "JPEG")
    if decoded.ndim == 2:
        return np.repeat(decoded[..., None], 3, axis=-1).astype(np.uint8, copy=False)
    return decoded.astype(np.uint8, copy=False)


def jpeg_size(data: Buffer) -> tuple[int, int]:
    """(H, W) in pixels, from the header alone.

    Raises:
        ImageError: the header is damaged, or claims too many pixels.
    """
    header = read_header(data)
    if header.kind != "JPEG":
        raise damaged(data, f"it is a {header.kind}")
    return header.height, header.width
