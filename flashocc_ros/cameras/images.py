"""ROS images, raw and compressed, to RGB arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras import jpeg
from flashocc_ros.cameras.rectify import Rectifier, camera_matrix
from flashocc_ros.errors import InputError

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage, Image

__all__ = ["ImageDecoder", "Rectifier", "camera_matrix"]

RgbImage = npt.NDArray[np.uint8]

# encoding -> (channels, conversion to RGB or None). ROS names a Bayer pattern from the first pixel on, OpenCV from the
# one in the second row and column, so RGGB is its BG; its newer names with four letters are missing in ROS 2 Humble.
EIGHT_BIT: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "8UC3": (3, cv2.COLOR_BGR2RGB),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "8UC4": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8UC1": (1, cv2.COLOR_GRAY2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2RGB),
}
# Sixteen bits are cut to their upper eight, as the network sees eight.
SIXTEEN_BIT = {
    "rgb16": "rgb8",
    "bgr16": "bgr8",
    "rgba16": "rgba8",
    "bgra16": "bgra8",
    "mono16": "mono8",
    "16UC1": "mono8",
    "16UC3": "bgr8",
    "bayer_rggb16": "bayer_rggb8",
    "bayer_bggr16": "bayer_bggr8",
    "bayer_gbrg16": "bayer_gbrg8",
    "bayer_grbg16": "bayer_grbg8",
}

PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


class ImageDecoder:
    """Decodes the images of one camera.

    Args:
        camera: its name, for error messages.
    """

    def __init__(self, camera: str = "camera") -> None:
        self.camera = camera

    def decode(self, message: Image | CompressedImage) -> RgbImage:
        """RGB uint8 (H, W, 3) of a ``sensor_msgs`` Image or CompressedImage.

        An unpadded rgb8 image comes back as a view of the message's data.

        Raises:
            InputError: damaged data, data of the wrong size or an encoding that is not known.
        """
        if hasattr(message, "encoding"):
            return self._raw(message)
        return self._compressed(message)

    def _raw(self, message: Image) -> RgbImage:
        encoding, height, width = message.encoding, message.height, message.width
        eight_bit = SIXTEEN_BIT.get(encoding, encoding)
        if eight_bit not in EIGHT_BIT:
            return self._with_cv_bridge(message)
        channels, conversion = EIGHT_BIT[eight_bit]
        row_bytes = width * channels * (2 if encoding in SIXTEEN_BIT else 1)
        step = message.step or row_bytes
        data = np.frombuffer(message.data, np.uint8)
        needed = step * (height - 1) + row_bytes
        if height == 0 or width == 0 or step < row_bytes or len(data) < needed:
            raise InputError(
                f"camera {self.camera}: a {width}x{height} {encoding} image with step {message.step} holds {len(data)} "
                f"bytes, needs a step of at least {row_bytes} and {max(needed, 0)} bytes; check the camera driver"
            )
        rows = np.lib.stride_tricks.as_strided(data, (height, row_bytes), (step, 1))
        if encoding in SIXTEEN_BIT:
            rows = rows[:, (0 if message.is_bigendian else 1) :: 2]
        pixels = rows.reshape(height, width, channels)
        if conversion is None:
            return np.ascontiguousarray(pixels)
        if channels == 2 and width % 2:
            raise InputError(f"camera {self.camera}: a {encoding} image is {width} pixels wide; the width must be even")
        return cv2.cvtColor(np.ascontiguousarray(pixels), conversion).astype(np.uint8, copy=False)

    def _with_cv_bridge(self, message: Image) -> RgbImage:
        """Encodings beyond the table, as far as an installed cv_bridge knows them."""
        try:
            from cv_bridge import CvBridge

            return np.asarray(CvBridge().imgmsg_to_cv2(message, "rgb8"), np.uint8)
        except Exception as error:  # cv_bridge raises whatever its compiled part or OpenCV does
            raise InputError(
                f"camera {self.camera}: encoding {message.encoding!r} cannot be read; publish one of "
                f"{', '.join(name for name in EIGHT_BIT if name.islower())} or a compressed image"
            ) from error

    def _compressed(self, message: CompressedImage) -> RgbImage:
        data = compressed_data(message)
        try:
            if is_jpeg(message):
                return jpeg.decode_jpeg(data)
            is_png = bytes(data[:8]) == PNG_START
            if is_png and PNG_END not in bytes(data[-64:]):
                raise jpeg.damaged(data, "its end is missing", "PNG")
            if "compressedDepth" in message.format:
                raise InputError(f"format {message.format!r} is a depth image; use the colour image's topic")
            image = jpeg.decode_with_cv2(data) if len(data) else None
            if image is None:
                kind = "PNG" if is_png else f"compressed image of format {message.format!r}"
                raise jpeg.damaged(data, "it cannot be decoded", kind)
            return image
        except InputError as error:
            raise type(error)(f"camera {self.camera}: {error}") from error


def compressed_data(message: CompressedImage) -> memoryview:
    """The file inside a message, not a copy: array.array and bytes both give their buffer."""
    return memoryview(message.data).cast("B")


def is_jpeg(message: Image | CompressedImage) -> bool:
    """True for a compressed image that begins like a JPEG file."""
    return not hasattr(message, "encoding") and bytes(compressed_data(message)[:2]) == jpeg.START
