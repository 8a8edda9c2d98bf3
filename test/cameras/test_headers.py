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

"""Sizes of picture files come from their headers; what claims too much is refused before it is decoded."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from flashocc_ros.cameras.headers import MAX_SIDE_PX, check_size, read_header
from flashocc_ros.cameras.images import ImageDecoder
from flashocc_ros.cameras.jpeg import decode_jpeg, jpeg_size
from flashocc_ros.errors import ImageError

HEIGHT, WIDTH = 24, 40


def pillow(kind: str, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(file, kind, **options)
    return file.getvalue()


def jpeg_of(width: int, height: int) -> bytes:
    """A sound JPEG whose header claims another size."""
    data = bytearray(pillow("JPEG"))
    frame = data.find(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims this size and is sound up to its first rows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b"")):
        out += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return out


def bmp_of(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def tiff_of(width: int, height: int) -> bytes:
    entries = [(256, 4, width), (257, 4, height)]
    return struct.pack("<2sHIH", b"II", 42, 8, 2) + b"".join(struct.pack("<HHII", t, f, 1, v) for t, f, v in entries)


FILES = {
    "JPEG": pillow("JPEG"),
    "JPEG progressive": pillow("JPEG", progressive=True),
    "JPEG grey": pillow("JPEG", "L"),
    "JPEG with EXIF": pillow("JPEG", exif=Image.Exif().tobytes(), comment=b"\xff\xc0" * 50),
    "PNG": pillow("PNG"),
    "WebP lossy": pillow("WEBP"),
    "WebP lossless": pillow("WEBP", lossless=True),
    "WebP extended": pillow("WEBP", "RGBA", exif=b"Exif\0\0"),
    "TIFF": pillow("TIFF"),
    "TIFF big endian": pillow("TIFF", big_endian=True),
    "BMP": pillow("BMP"),
    "GIF": pillow("GIF"),
}


@pytest.mark.parametrize("name", FILES)
def test_size(name: str) -> None:
    header = read_header(FILES[name])
    assert (header.kind, header.height, header.width) == (name.split()[0], HEIGHT, WIDTH)


def test_size_of_an_avif() -> None:
    if not cv2.haveImageWriter("a.avif"):
        pytest.skip("OpenCV without AVIF")
    data = cv2.imencode(".avif", np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1].tobytes()
    assert read_header(data)[:3] == ("AVIF", HEIGHT, WIDTH)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("CMYK", 4)])
def test_channels_of_a_jpeg(mode: str, channels: int) -> None:
    assert read_header(pillow("JPEG", mode)).channels == channels


@pytest.mark.parametrize("make", [jpeg_of, png_of, bmp_of, tiff_of])
@pytest.mark.parametrize(("width", "height"), [(MAX_SIDE_PX + 1, 1), (12000, 6750)])
def test_a_file_that_claims_too_much_is_refused(make: object, width: int, height: int) -> None:
    with pytest.raises(ImageError, match=rf"claims {width}x{height} pixels; at most 16384 a side and 64 million"):
        ImageDecoder().decode(make(width, height))  # type: ignore[operator]


def test_a_jpeg_for_the_engine_is_checked_as_well() -> None:
    with pytest.raises(ImageError, match="claims 44000x24750"):
        jpeg_size(jpeg_of(44000, 24750))
    with pytest.raises(ImageError, match="claims 44000x24750"):
        decode_jpeg(jpeg_of(44000, 24750))


def test_the_largest_cameras_pass() -> None:
    check_size(6336, 9504, "61 million pixels")
    check_size(1, MAX_SIDE_PX, "a line camera")


@pytest.mark.parametrize(("width", "height"), [(0, 0), (40, 0)])
def test_no_pixels_are_damage(width: int, height: int) -> None:
    with pytest.raises(ImageError, match=f"a JPEG of .* is damaged .*says {width}x{height}"):
        read_header(jpeg_of(width, height))


@pytest.mark.parametrize("name", sorted(set(FILES) - {"GIF"}))
def test_a_cut_header_is_damage(name: str) -> None:
    with pytest.raises(ImageError, match=rf"a {name.split()[0]} of 14 bytes is damaged"):
        read_header(FILES[name][:14])


def test_an_empty_file_is_one_sentence() -> None:
    with pytest.raises(ImageError, match=r"camera front: the image is empty \(0 bytes\)"):
        ImageDecoder("front").decode(b"")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<svg/>" + bytes(20), "data of 26 bytes that begins with 3c 73 76 67"),
        (b"\xff\x0a" + bytes(20), "a JPEG XL of 22 bytes"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL of 12 bytes"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 of 12 bytes"),
    ],
)
def test_other_files_are_refused_with_those_that_work(data: bytes, words: str) -> None:
    with pytest.raises(ImageError, match=f"{words}.* is not read, only JPEG, PNG, WebP"):
        read_header(data)


def test_a_jpeg_of_endless_passes_is_refused() -> None:
    sound = pillow("JPEG", progressive=True)
    read_header(sound)
    scan = sound[sound.rfind(b"\xff\xda") : -2]
    with pytest.raises(ImageError, match=r"a JPEG of .* has \d+ scans; at most 64 are decoded"):
        read_header(sound[:-2] + scan * 60 + b"\xff\xd9")


def test_a_tiff_of_huge_tiles_is_refused() -> None:
    entries = b"".join(struct.pack("<HHII", t, 4, 1, v) for t, v in ((256, 16), (257, 16), (322, 30000), (323, 30000)))
    with pytest.raises(ImageError, match="a tile of a TIFF claims 30000x30000"):
        read_header(struct.pack("<2sHIH", b"II", 42, 8, 4) + entries)


def test_a_jpeg_of_empty_segments_ends() -> None:
    with pytest.raises(ImageError, match="its header holds no size"):
        read_header(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 10**6)
