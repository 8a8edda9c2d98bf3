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

"""Pixels of raw images in the layouts that ROS drivers publish, to RGB.

Names are those of ``sensor_msgs/image_encodings.hpp`` and, where ROS has none, those of V4L2; case does not count. YUV
is BT.601 of 16 to 235 as video has it, except for 4:4:4, which image signal processors give in full range.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from flashocc_ros.errors import InputError

Array = npt.NDArray[Any]

# encoding -> (channels, conversion to RGB or None). ROS names a Bayer pattern from the first pixel on, OpenCV from the
# one in the second row and column, so RGGB is its BG; its newer names with four letters are missing in ROS 2 Humble.
EIGHT_BIT: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "8uc3": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "8uc4": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8uc1": (1, cv2.COLOR_GRAY2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yvyu": (2, cv2.COLOR_YUV2RGB_YVYU),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2RGB),
}
SIXTEEN_BIT = {name[:-1] + "16": name for name in EIGHT_BIT if name.endswith("8") and not name.startswith("yuv")} | {
    "16uc3": "bgr8",
    "16uc4": "bgra8",
}


class Planes(NamedTuple):
    """A full plane Y, then colour, smaller by ``rows`` and ``columns``: interleaved or one plane after another."""

    rows: int
    columns: int
    interleaved: bool
    v_first: bool = False

    @property
    def size(self) -> float:
        """All bytes as a multiple of those of Y."""
        return 1 + 2 / (self.rows * self.columns)


PLANAR = {
    "nv12": Planes(2, 2, True),
    "nv21": Planes(2, 2, True, True),
    "yuv420": Planes(2, 2, False),
    "yuv420p": Planes(2, 2, False),
    "i420": Planes(2, 2, False),
    "iyuv": Planes(2, 2, False),
    "yu12": Planes(2, 2, False),
    "yv12": Planes(2, 2, False, True),
    "nv16": Planes(1, 2, True),
    "nv61": Planes(1, 2, True, True),
    "yuv422p": Planes(1, 2, False),
    "nv24": Planes(1, 1, True),
    "nv42": Planes(1, 1, True, True),
    "yuv444p": Planes(1, 1, False),
}
KNOWN = (*(name for name in EIGHT_BIT if not name.startswith("8uc")), *PLANAR)
PATTERN = re.compile("rggb|bggr|gbrg|grbg")


class Encoding(NamedTuple):
    """How the values of a packed image lie.

    Attributes:
        name: its eight-bit form, a key of `EIGHT_BIT`.
        wide: a value has two bytes.
        bits: of a value that its name tells (``bayer_rggb12``), 0 when it does not.
    """

    name: str
    wide: bool = False
    bits: int = 0


def packed(encoding: str) -> Encoding | None:
    """The packed encoding of this name, None when there is none."""
    name = encoding.lower()
    if PATTERN.match(name):
        name = f"bayer_{name}"
    bits = 0
    if odd := re.fullmatch(r"(.*[a-z])(10|12|14)", name):
        name, bits = odd[1] + "16", int(odd[2])
    if name in SIXTEEN_BIT:
        return Encoding(SIXTEEN_BIT[name], True, bits)
    return Encoding(name) if name in EIGHT_BIT else None


def packed_values(encoding: Encoding, data: Array, height: int, width: int, step: int, big: bool) -> Array:
    """(H, W, channels) uint8 or uint16, a view of the bytes ``data`` where their order allows it.

    Raises:
        InputError: the bytes are too few, or the width does not fit to the encoding.
    """
    channels, _ = EIGHT_BIT[encoding.name]
    row_bytes = width * channels * (1 + encoding.wide)
    step = step or row_bytes
    needed = step * (height - 1) + row_bytes
    if height == 0 or width == 0 or step < row_bytes or len(data) < needed:
        raise InputError(
            f"a {width}x{height} {encoding.name}{' in two bytes' if encoding.wide else ''} image with step {step} "
            f"holds {len(data)} bytes, needs a step of at least {row_bytes} and {max(needed, 0)} bytes; check the "
            "camera driver"
        )
    if channels == 2 and width % 2:
        raise InputError(f"a {encoding.name} image is {width} pixels wide; the width must be even")
    rows = np.lib.stride_tricks.as_strided(data, (height, row_bytes), (step, 1))
    if encoding.wide:
        rows = rows.view(">u2" if big else "<u2")
    return rows.reshape(height, width, channels)


def to_rgb(values: Array, name: str) -> npt.NDArray[np.uint8]:
    """RGB uint8 (H, W, 3) of eight-bit values (H, W, channels) of a packed encoding."""
    conversion = EIGHT_BIT[name][1]
    values = np.ascontiguousarray(values)
    if conversion is None:
        return values
    return cv2.cvtColor(values, conversion).astype(np.uint8, copy=False)


def planar_layout(encoding: str, length: int, height: int, width: int, step: int) -> tuple[int, int]:
    """(height of the picture, step of its plane Y) of a planar image of ``length`` bytes.

    Drivers agree on the bytes but not on the numbers beside them: ``height`` counts the rows of the picture, or, as an
    OpenCV matrix would, those of all planes; ``step`` is that of Y, or all bytes over the rows.

    Raises:
        InputError: neither fits to the bytes.
    """
    planes, step = PLANAR[encoding.lower()], step or width
    candidates = [(height, step)]
    if length == step * height and step == width * planes.size:
        candidates.append((height, width))
    if length == step * height and height % planes.size == 0:
        candidates.append((int(height / planes.size), step))
    for rows, stride in candidates:
        fits = rows % planes.rows == 0 and width % planes.columns == 0 and stride % planes.columns == 0
        if fits and rows > 0 and 0 < width <= stride and length >= stride * rows * planes.size - (stride - width):
            return rows, stride
    raise InputError(
        f"a {width}x{height} {encoding} image with step {step} holds {length} bytes, needs even sides and "
        f"{planes.size:g} times step x height = {int(step * height * planes.size)} bytes; check the camera driver"
    )


def planar_to_rgb(encoding: str, data: Array, height: int, width: int, step: int) -> npt.NDArray[np.uint8]:
    """RGB uint8 (H, W, 3) of the bytes of a planar image, ``height`` and ``step`` as `planar_layout` gives them."""
    planes = PLANAR[encoding.lower()]
    rows, columns = height // planes.rows, width // planes.columns
    luma = np.ascontiguousarray(np.lib.stride_tricks.as_strided(data, (height, width), (step, 1)))
    rest, stride = data[step * height :], step // planes.columns
    if planes.interleaved:
        chroma = np.lib.stride_tricks.as_strided(rest, (rows, columns, 2), (2 * stride, 2, 1))
    else:
        chroma = np.lib.stride_tricks.as_strided(rest, (rows, columns, 2), (stride, 1, stride * rows))
    if planes.v_first:
        chroma = chroma[..., ::-1]
    if planes.size == 3:
        pixels = cv2.cvtColor(np.dstack([luma, chroma[..., ::-1]]), cv2.COLOR_YCrCb2RGB)
    elif planes.size == 2:
        pixels = cv2.cvtColor(np.dstack([luma, chroma.reshape(height, width)]), cv2.COLOR_YUV2RGB_YUY2)
    else:
        pixels = cv2.cvtColorTwoPlane(luma, np.ascontiguousarray(chroma), cv2.COLOR_YUV2RGB_NV12)
    return np.asarray(pixels, np.uint8)
