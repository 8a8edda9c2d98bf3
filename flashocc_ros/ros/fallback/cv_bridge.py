"""The part of ``cv_bridge.CvBridge`` that turns images into arrays, for machines without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage, Image

Array = npt.NDArray[Any]

# encoding -> (dtype, channels)
_TYPES: dict[str, tuple[type[np.generic], int]] = {
    **{name: (np.uint8, 3) for name in ("rgb8", "bgr8")},
    **{name: (np.uint8, 4) for name in ("rgba8", "bgra8")},
    **{name: (np.uint16, 3) for name in ("rgb16", "bgr16")},
    **{name: (np.uint16, 4) for name in ("rgba16", "bgra16")},
    "mono8": (np.uint8, 1),
    "mono16": (np.uint16, 1),
    **{f"bayer_{pattern}8": (np.uint8, 1) for pattern in ("rggb", "bggr", "gbrg", "grbg")},
    **{f"bayer_{pattern}16": (np.uint16, 1) for pattern in ("rggb", "bggr", "gbrg", "grbg")},
    **{name: (np.uint8, 2) for name in ("yuv422", "uyvy", "yuv422_yuy2", "yuyv")},
}
_DEPTHS: dict[str, type[np.generic]] = {
    "8U": np.uint8,
    "8S": np.int8,
    "16U": np.uint16,
    "16S": np.int16,
    "32S": np.int32,
    "32F": np.float32,
    "64F": np.float64,
}
# (from, to) -> cv2 conversion; both of the same depth
_CONVERSIONS = {
    **{(a, b): getattr(cv2, f"COLOR_{a.upper()}2{b.upper()}") for a in ("bgr", "rgb", "bgra", "rgba")
       for b in ("bgr", "rgb", "bgra", "rgba") if a != b},
    **{(a, "mono"): getattr(cv2, f"COLOR_{a.upper()}2GRAY") for a in ("bgr", "rgb", "bgra", "rgba")},
    **{("mono", b): getattr(cv2, f"COLOR_GRAY2{b.upper()}") for b in ("bgr", "rgb", "bgra", "rgba")},
    **{(f"bayer_{p}", b): getattr(cv2, f"COLOR_Bayer{name}2{'GRAY' if b == 'mono' else b.upper()}")
       for p, name in (("rggb", "BG"), ("bggr", "RG"), ("gbrg", "GR"), ("grbg", "GB")) for b in ("bgr", "rgb", "mono")},
    **{(a, b): getattr(cv2, f"COLOR_YUV2{b.upper()}_{code}")
       for a, code in (("yuv422", "UYVY"), ("uyvy", "UYVY"), ("yuv422_yuy2", "YUY2"), ("yuyv", "YUY2"))
       for b in ("bgr", "rgb")},
    **{(a, "mono"): getattr(cv2, f"COLOR_YUV2GRAY_{code}")
       for a, code in (("yuv422", "UYVY"), ("uyvy", "UYVY"), ("yuv422_yuy2", "YUY2"), ("yuyv", "YUY2"))},
}  # fmt: skip


class CvBridgeError(TypeError):
    """An encoding or a conversion that is not known."""


class CvBridge:
    """Converts images between messages and arrays; see ``cv_bridge.CvBridge``."""

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> Array:
        """Array (H, W) or (H, W, C) of an Image, converted to ``desired_encoding`` unless ``passthrough``.

        Raises:
            CvBridgeError: unknown encoding or no such conversion.
        """
        dtype, channels = _type_of(img_msg.encoding)
        order = np.dtype(dtype).newbyteorder(">" if img_msg.is_bigendian else "<")
        row = img_msg.width * channels * order.itemsize
        data = np.frombuffer(img_msg.data, np.uint8)
        if img_msg.step < row or len(data) < img_msg.step * img_msg.height:
            raise CvBridgeError(f"{len(data)} bytes with step {img_msg.step} do not hold the image")
        rows = data[: img_msg.step * img_msg.height].reshape(img_msg.height, img_msg.step)[:, :row]
        shape = (img_msg.height, img_msg.width) if channels == 1 else (img_msg.height, img_msg.width, channels)
        image = np.ascontiguousarray(rows).view(order).astype(dtype, copy=False).reshape(shape)
        return cvtColor2(image, img_msg.encoding, desired_encoding)

    def compressed_imgmsg_to_cv2(self, cmprs_img_msg: CompressedImage, desired_encoding: str = "passthrough") -> Array:
        """Array (H, W, 3) in order blue, green, red (or what is desired) of a CompressedImage.

        Raises:
            CvBridgeError: it cannot be decoded, or no such conversion.
        """
        image = cv2.imdecode(np.frombuffer(cmprs_img_msg.data, np.uint8), cv2.IMREAD_ANYCOLOR)
        if image is None:
            raise CvBridgeError(f"cannot decode a compressed image of format {cmprs_img_msg.format!r}")
        return cvtColor2(image, "bgr8" if image.ndim == 3 else "mono8", desired_encoding)

    def cv2_to_imgmsg(self, cvim: Array, encoding: str = "passthrough", header: Any = None) -> Image:
        """Image message of an array.

        Raises:
            CvBridgeError: the array does not have the type and channels of the encoding.
        """
        from sensor_msgs.msg import Image

        channels = 1 if cvim.ndim == 2 else cvim.shape[2]
        if encoding == "passthrough":
            depth = next((name for name, dtype in _DEPTHS.items() if cvim.dtype == dtype), str(cvim.dtype))
            encoding = f"{depth}C{channels}"
        if _type_of(encoding) != (cvim.dtype.type, channels):
            raise CvBridgeError(f"an array of {cvim.dtype} with {channels} channels is no {encoding}")
        message = Image(height=cvim.shape[0], width=cvim.shape[1], encoding=encoding)
        if header is not None:
            message.header = header
        message.is_bigendian = 0
        message.step = cvim.shape[1] * channels * cvim.itemsize
        message.data.frombytes(np.ascontiguousarray(cvim).tobytes())
        return message


def cvtColor2(image: Array, encoding_in: str, encoding_out: str) -> Array:
    """Converts between encodings, as ``cv_bridge.boost``'s function of this name.

    Raises:
        CvBridgeError: no such conversion.
    """
    if encoding_out in ("passthrough", encoding_in):
        return image
    name_in, depth_in = _split(encoding_in)
    name_out, depth_out = _split(encoding_out)
    if name_in != name_out:
        conversion = _CONVERSIONS.get((name_in, name_out))
        if conversion is None:
            raise CvBridgeError(f"no conversion from {encoding_in} to {encoding_out}")
        image = cv2.cvtColor(image, conversion)
    if depth_in == 16 and depth_out == 8:
        image = cv2.convertScaleAbs(image, alpha=255.0 / 65535.0)
    elif depth_in == 8 and depth_out == 16:
        image = image.astype(np.uint16) * 257
    return image


def _split(encoding: str) -> tuple[str, int]:
    """Colour name and bits of an encoding; generic types with 3 or 4 channels count as blue first, as in OpenCV."""
    generic = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8", "16UC1": "mono16", "16UC3": "bgr16", "16UC4": "bgra16"}
    name = generic.get(encoding, encoding)
    if name in ("yuv422", "uyvy", "yuv422_yuy2", "yuyv"):
        return name, 8
    for bits in (16, 8):
        if name.endswith(str(bits)):
            return name.removesuffix(str(bits)), bits
    raise CvBridgeError(f"encoding {encoding!r} has no colour")


def _type_of(encoding: str) -> tuple[type[np.generic], int]:
    if encoding in _TYPES:
        return _TYPES[encoding]
    depth, _, channels = encoding.partition("C")
    if depth in _DEPTHS and (channels or "1").isdigit():
        return _DEPTHS[depth], int(channels or 1)
    raise CvBridgeError(f"encoding {encoding!r} is not known")
