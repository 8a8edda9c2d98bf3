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

"""What the header of a picture file says: its kind, its size and its channels, without decoding a pixel.

A file of some kilobytes can claim gigabytes of pixels, so its size is known and checked before a decoder sees it.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from flashocc_ros.errors import ImageError

Buffer = bytes | memoryview

MAX_SIDE_PX = 16384
MAX_PIXELS = 64_000_000
MAX_SEGMENTS = 4096
MAX_SCANS = 64
"""Of a progressive JPEG, which has about ten: each takes a pass over all pixels and can be a few bytes long."""

JPEG_START = b"\xff\xd8"
PNG_START = b"\x89PNG\r\n\x1a\n"
KINDS = "JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF"


class Header(NamedTuple):
    """The header of a picture file.

    Attributes:
        kind: JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF.
        height, width: pixels as stored; orientation tags do not count.
        channels: of a JPEG, 0 for the other kinds.
        orientation_at: where a TIFF stores its orientation tag's value, 0 where there is none.
    """

    kind: str
    height: int
    width: int
    channels: int = 0
    orientation_at: int = 0


def read_header(data: Buffer) -> Header:
    """The header of a picture file, its size checked.

    Raises:
        ImageError: the file is empty, of no known kind, cut within its header or larger than `check_size` allows.
    """
    kind = _kind(data)
    try:
        header = _READERS[kind](data)
    except (struct.error, IndexError) as error:
        raise damaged(data, "it ends within its header", kind) from error
    if header.height < 1 or header.width < 1:
        raise damaged(data, f"its header says {header.width}x{header.height} pixels", kind)
    check_size(header.height, header.width, _described(data, kind))
    return header


def check_size(height: int, width: int, what: str) -> None:
    """Refuse a picture larger than any camera's, before memory is taken for it.

    Raises:
        ImageError: a side is longer than `MAX_SIDE_PX` or the area larger than `MAX_PIXELS`.
    """
    if max(height, width) > MAX_SIDE_PX or height * width > MAX_PIXELS:
        raise ImageError(
            f"{what} claims {width}x{height} pixels; at most {MAX_SIDE_PX} a side and {MAX_PIXELS // 10**6} million in "
            "all are taken: check where it comes from, or scale it down"
        )


def damaged(data: Buffer, reason: str, kind: str = "JPEG") -> ImageError:
    """The error for a file that cannot be used."""
    return ImageError(f"{_described(data, kind)} is damaged ({reason}); the image is dropped")


def _described(data: Buffer, kind: str) -> str:
    return f"{'an' if kind == 'AVIF' else 'a'} {kind} of {len(data)} bytes"


def _kind(data: Buffer) -> str:
    if len(data) == 0:
        raise ImageError("the image is empty (0 bytes); check the camera driver or the disk it was written to")
    start = bytes(data[:12])
    if start[:2] == JPEG_START:
        return "JPEG"
    if start[:8] == PNG_START:
        return "PNG"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    if start[:4] in (b"II*\0", b"MM\0*"):
        return "TIFF"
    if start[:2] == b"BM":
        return "BMP"
    if start[:4] == b"GIF8":
        return "GIF"
    if start[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    found = f"data of {len(data)} bytes that begins with {start[:8].hex(' ')}"
    if start[:2] == b"\xff\x0a" or start[4:8] == b"JXL ":
        found = f"a JPEG XL of {len(data)} bytes"
    elif start[:4] == b"\xff\x4f\xff\x51" or start[4:8] == b"jP  ":
        found = f"a JPEG 2000 of {len(data)} bytes"
    raise ImageError(f"{found} is not read, only {KINDS}; store the images as JPEG or PNG")


def _jpeg(data: Buffer) -> Header:
    position = 2
    for _ in range(MAX_SEGMENTS):
        if data[position] != 0xFF:
            break
        marker = data[position + 1]
        if marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD7:  # fill bytes and markers that stand alone
            position += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            height, width, channels = struct.unpack_from(">HHB", data, position + 5)
            if marker == 0xC2 and (scans := bytes(data).count(b"\xff\xda")) > MAX_SCANS:
                raise ImageError(f"a JPEG of {len(data)} bytes has {scans} scans; at most {MAX_SCANS} are decoded")
            return Header("JPEG", height, width, channels)
        if marker in (0xD9, 0xDA) or length < 2:
            break
        position += 2 + length
    raise damaged(data, "its header holds no size")


def _png(data: Buffer) -> Header:
    width, height = struct.unpack_from(">II", data, 16)
    return Header("PNG", height, width)


def _webp(data: Buffer) -> Header:
    form = bytes(data[12:16])
    if form == b"VP8X":
        low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", data, 24)
        return Header("WebP", (high_h << 16) + low_h + 1, (high_w << 16) + low_w + 1)
    if form == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header("WebP", (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
    width, height = struct.unpack_from("<HH", data, 26)
    return Header("WebP", height & 0x3FFF, width & 0x3FFF)


def _tiff(data: Buffer) -> Header:
    order = "<" if data[0] == ord("I") else ">"
    (directory,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, directory)
    values, orientation_at = {256: 0, 257: 0, 322: 0, 323: 0}, 0
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, form = struct.unpack_from(order + "HH", data, entry)
        if tag in values:
            (values[tag],) = struct.unpack_from(order + ("H" if form == 3 else "I"), data, entry + 8)
        elif tag == 274:
            orientation_at = entry + 8
    check_size(values[323], values[322], "a tile of a TIFF")  # which a decoder holds whole, however small the image
    return Header("TIFF", values[257], values[256], orientation_at=orientation_at)


def _bmp(data: Buffer) -> Header:
    old = struct.unpack_from("<I", data, 14) == (12,)
    width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
    return Header("BMP", abs(height), width)  # rows from the top down have a negative height


def _gif(data: Buffer) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    return Header("GIF", height, width)


def _avif(data: Buffer) -> Header:
    """The largest of the sizes that its items have: thumbnails are smaller."""
    head, sizes, position = bytes(data[:65536]), [(0, 0)], 0
    while (position := head.find(b"ispe", position) + 4) >= 4:
        width, height = struct.unpack_from(">II", head, position + 4)
        sizes.append((height, width))
    height, width = max(sizes, key=lambda size: size[0] * size[1])
    return Header("AVIF", height, width)


_READERS = {"JPEG": _jpeg, "PNG": _png, "WebP": _webp, "TIFF": _tiff, "BMP": _bmp, "GIF": _gif, "AVIF": _avif}
