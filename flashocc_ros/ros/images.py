"""ROS images, raw and compressed, to RGB arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from flashocc_ros.errors import InputError
from flashocc_ros.ros.calibration import Rectifier, camera_matrix

try:
    import simplejpeg
except ImportError:  # cv2 decodes JPEG too, at about twice the time
    simplejpeg = None

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

JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
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
        from flashocc_ros.ros.fallback import CvBridge, CvBridgeError

        try:
            return np.asarray(CvBridge().imgmsg_to_cv2(message, "rgb8"), np.uint8)
        except (CvBridgeError, ValueError, KeyError, TypeError, cv2.error) as error:
            raise InputError(
                f"camera {self.camera}: encoding {message.encoding!r} cannot be read; publish one of "
                f"{', '.join(name for name in EIGHT_BIT if name.islower())} or a compressed image"
            ) from error

    def _compressed(self, message: CompressedImage) -> RgbImage:
        # Not a copy: array.array and bytes both give their buffer.
        data = memoryview(message.data).cast("B")
        start = bytes(data[:8])
        if start.startswith(JPEG_START):
            return self._jpeg(data)
        if start == PNG_START and PNG_END not in bytes(data[-64:]):
            raise self._damaged("PNG", len(data), "its end is missing")
        if "compressedDepth" in message.format:
            raise InputError(
                f"camera {self.camera}: format {message.format!r} is a depth image; use the colour image's topic"
            )
        image = self._with_cv2(data) if len(data) else None
        if image is None:
            kind = "PNG" if start == PNG_START else f"compressed image of format {message.format!r}"
            raise self._damaged(kind, len(data), "it cannot be decoded")
        return image

    def _jpeg(self, data: memoryview) -> RgbImage:
        if simplejpeg is not None:
            try:
                return simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)
            except ValueError as error:
                raise self._damaged("JPEG", len(data), str(error).rstrip(".")) from error
        if JPEG_END not in bytes(data[-64:]):
            raise self._damaged("JPEG", len(data), "its end is missing")
        image = self._with_cv2(data)
        if image is None:
            raise self._damaged("JPEG", len(data), "it cannot be decoded")
        return image

    @staticmethod
    def _with_cv2(data: memoryview) -> RgbImage | None:
        # Orientation tags are ignored: calibration belongs to the pixels as the sensor gave them.
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error:
            return None
        return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)

    def _damaged(self, kind: str, size: int, reason: str) -> InputError:
        return InputError(f"camera {self.camera}: a {kind} of {size} bytes is damaged ({reason}); the image is dropped")
