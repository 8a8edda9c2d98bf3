"""JPEG files as bytes: their size and their pixels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from flashocc_ros.errors import ImageError

try:
    import simplejpeg
except ImportError:  # cv2 decodes JPEG too, at about twice the time
    simplejpeg = None

START, END = b"\xff\xd8", b"\xff\xd9"


def decode_jpeg(data: bytes | memoryview) -> npt.NDArray[np.uint8]:
    """RGB uint8 (H, W, 3).

    Raises:
        ImageError: the file is damaged, even if a decoder could guess the rest.
    """
    if simplejpeg is not None:
        try:
            pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)
        except ValueError as error:
            raise damaged(data, str(error).rstrip(".")) from error
        return pixels
    if END not in bytes(data[-64:]):
        raise damaged(data, "its end is missing")
    decoded = decode_with_cv2(data)
    if decoded is None:
        raise damaged(data, "it cannot be decoded")
    return decoded


def jpeg_size(data: bytes | memoryview) -> tuple[int, int]:
    """(H, W) in pixels, from the header alone where simplejpeg is installed.

    Raises:
        ImageError: the header is damaged.
    """
    if simplejpeg is None:
        height, width = decode_jpeg(data).shape[:2]
        return height, width
    try:
        height, width = simplejpeg.decode_jpeg_header(data)[:2]
    except ValueError as error:
        raise damaged(data, str(error).rstrip(".")) from error
    return height, width


def decode_with_cv2(data: bytes | memoryview) -> npt.NDArray[np.uint8] | None:
    """RGB uint8 (H, W, 3) of any format OpenCV knows; None when it cannot be decoded."""
    # Orientation tags are ignored: calibration belongs to the pixels as the sensor gave them.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def damaged(data: bytes | memoryview, reason: str, kind: str = "JPEG") -> ImageError:
    """The error for a file that cannot be used."""
    return ImageError(f"a {kind} of {len(data)} bytes is damaged ({reason}); the image is dropped")
