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

"""Images of all encodings come out as RGB, damaged ones are refused."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from sensor_msgs.msg import CompressedImage, Image

from flashocc_ros.cameras import jpeg
from flashocc_ros.cameras.images import ImageDecoder, is_depth, plain_jpeg, rectified_image
from flashocc_ros.cameras.rectify import Lens, Rectifier
from flashocc_ros.errors import InputError

pytestmark = pytest.mark.ros

HEIGHT, WIDTH = 24, 32


def picture() -> np.ndarray:
    """A smooth colour gradient, red to the right, green down, little blue."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([40 + 6 * x, 30 + 8 * y, np.full_like(x, 60)], axis=-1).astype(np.uint8)


def raw(pixels: np.ndarray, encoding: str, padding: int = 0, big: bool = False) -> Image:
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=rows.shape[1])
    message.is_bigendian = int(big)
    message.data.frombytes(rows.tobytes())
    return message


def compressed(data: bytes, kind: str = "jpeg") -> CompressedImage:
    message = CompressedImage(format=kind)
    message.data.frombytes(data)
    return message


def encoded(extension: str) -> bytes:
    return cv2.imencode(extension, picture()[..., ::-1])[1].tobytes()


def mosaic(pattern: str) -> np.ndarray:
    """What a sensor with this Bayer pattern sees of the picture; the pattern names the first two rows."""
    channel = {"r": 0, "g": 1, "b": 2}
    out = np.empty((HEIGHT, WIDTH), np.uint8)
    for index, letter in enumerate(pattern):
        row, column = divmod(index, 2)
        out[row::2, column::2] = picture()[row::2, column::2, channel[letter]]
    return out


@pytest.mark.parametrize("padding", [0, 7])
@pytest.mark.parametrize(
    ("encoding", "order"),
    [
        ("rgb8", (0, 1, 2)),
        ("bgr8", (2, 1, 0)),
        ("8UC3", (2, 1, 0)),
        ("rgba8", (0, 1, 2, 0)),
        ("bgra8", (2, 1, 0, 0)),
        ("8UC4", (2, 1, 0, 0)),
    ],
)
def test_colour_order_and_padding(encoding: str, order: tuple[int, ...], padding: int) -> None:
    got = ImageDecoder().decode(raw(picture()[..., list(order)], encoding, padding))
    assert got.dtype == np.uint8
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, picture())


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_fills_all_channels(encoding: str) -> None:
    grey = picture()[..., 0]
    np.testing.assert_array_equal(ImageDecoder().decode(raw(grey, encoding, 3)), np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("encoding", "order"), [("rgb16", (0, 1, 2)), ("bgr16", (2, 1, 0)), ("mono16", (0,))])
def test_sixteen_bits_keep_the_upper_eight(encoding: str, order: tuple[int, ...], big: bool) -> None:
    pixels = (picture()[..., list(order)].astype(np.uint16) << 8) + 17
    pixels = pixels.astype(">u2" if big else "<u2")
    expected = picture() if len(order) == 3 else np.repeat(picture()[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(ImageDecoder().decode(raw(pixels, encoding, 2, big)), expected)


@pytest.mark.parametrize(("encoding", "luma"), [("yuv422", 1), ("uyvy", 1), ("yuv422_yuy2", 0), ("yuyv", 0)])
def test_yuv_422(encoding: str, luma: int) -> None:
    """Grey of 126 and a strong red difference, packed by hand: 16..235 of the luma is 0..255."""
    packed = np.empty((HEIGHT, WIDTH, 2), np.uint8)
    packed[..., luma] = 126
    packed[:, 0::2, 1 - luma] = 128  # U
    packed[:, 1::2, 1 - luma] = 178  # V: red up, green down
    got = ImageDecoder().decode(raw(packed, encoding, 4)).astype(int)
    grey = (126 - 16) * 255 / 219
    assert np.abs(got[..., 0] - (grey + 1.596 * 50)).max() <= 2
    assert np.abs(got[..., 1] - (grey - 0.813 * 50)).max() <= 2
    assert np.abs(got[..., 2] - grey).max() <= 2


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_patterns_are_named_by_their_first_rows(pattern: str, bits: int) -> None:
    pixels = mosaic(pattern) if bits == 8 else (mosaic(pattern).astype("<u2") << 8)
    got = ImageDecoder().decode(raw(pixels, f"bayer_{pattern}{bits}"))
    assert np.abs(got.astype(int) - picture())[2:-2, 2:-2].max() <= 8


@pytest.mark.parametrize("decoder", ["simplejpeg", "cv2"])
@pytest.mark.parametrize("kind", ["jpeg", "rgb8; jpeg compressed bgr8"])
def test_jpeg(decoder: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if decoder == "cv2":
        monkeypatch.setattr(jpeg, "simplejpeg", None)
    got = ImageDecoder().decode(compressed(encoded(".jpg"), kind))
    assert np.abs(got.astype(int) - picture()).mean() < 4


def test_png_is_exact() -> None:
    np.testing.assert_array_equal(ImageDecoder().decode(compressed(encoded(".png"), "png")), picture())


def test_the_content_counts_when_the_format_is_wrong() -> None:
    np.testing.assert_array_equal(ImageDecoder().decode(compressed(encoded(".png"), "jpeg")), picture())


def test_a_grey_jpeg_fills_all_channels() -> None:
    data = cv2.imencode(".jpg", picture()[..., 0])[1].tobytes()
    got = ImageDecoder().decode(compressed(data))
    assert got.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(got[..., 0], got[..., 2])


@pytest.mark.parametrize("decoder", ["simplejpeg", "cv2"])
@pytest.mark.parametrize("cut", [0.95, 0.5, 0.05])
def test_a_truncated_jpeg_is_refused(decoder: str, cut: float, monkeypatch: pytest.MonkeyPatch) -> None:
    if decoder == "cv2":
        monkeypatch.setattr(jpeg, "simplejpeg", None)
    data = encoded(".jpg")
    with pytest.raises(InputError, match=r"camera front: a JPEG of .* is damaged"):
        ImageDecoder("front").decode(compressed(data[: int(cut * len(data))]))


def test_a_jpeg_with_damaged_data_is_refused() -> None:
    data = bytearray(
        cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[1].tobytes()
    )
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    with pytest.raises(InputError, match="damaged"):
        ImageDecoder("front").decode(compressed(bytes(data)))


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n", encoded(".png")[:-20], encoded(".bmp")[:-20]])
def test_other_damaged_data_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"camera front: .* is damaged"):
        ImageDecoder("front").decode(compressed(data, "png"))


DEPTHS = ["16UC1", "32FC1", "16UC1; compressedDepth png", "32FC1; compressedDepth rvl", "16UC1; png compressed "]
LIGHT = ["rgb8", "mono16", "bayer_rggb16", "8UC1", "16UC3", "rgb8; jpeg compressed bgr8", "jpeg", "nv12", ""]


@pytest.mark.parametrize(("encoding", "depth"), [*((e, True) for e in DEPTHS), *((e, False) for e in LIGHT)])
def test_depth_is_told_by_its_encoding(encoding: str, depth: bool) -> None:
    assert is_depth(encoding) == depth


def test_a_depth_image_is_refused() -> None:
    with pytest.raises(InputError, match=r"camera front: .*depth image; use the topic of the colour image"):
        ImageDecoder("front").decode(compressed(bytes(12) + encoded(".png"), "16UC1; compressedDepth png"))
    with pytest.raises(InputError, match=r"camera front: .*depth image; use the topic of the colour image"):
        ImageDecoder("front").decode(raw(np.full((HEIGHT, WIDTH), 1000, np.uint16), "16UC1"))


@pytest.mark.parametrize("form", ["h264", "h265", "hevc", "H264", "av1", "libx264;yuv420p;bgr8", "hevc_nvenc"])
def test_video_is_refused_with_what_to_do(form: str) -> None:
    with pytest.raises(InputError, match=r"camera front: .*is video in a message for pictures.* publish JPEG"):
        ImageDecoder("front").decode(compressed(b"\0\0\0\1\x67" + bytes(500), form))


def test_a_video_packet_of_another_message_is_refused() -> None:
    packet = SimpleNamespace(width=640, height=480, encoding="h264", pts=0, flags=1, data=bytes(100))
    with pytest.raises(InputError, match="is video"):
        ImageDecoder("front").decode(packet)


@pytest.mark.parametrize("encoding", ["jpeg", "mjpeg"])
def test_a_jpeg_in_a_raw_image(encoding: str) -> None:
    message = Image(height=HEIGHT, width=WIDTH, encoding=encoding)
    message.data.frombytes(encoded(".jpg"))
    assert np.abs(ImageDecoder().decode(message).astype(int) - picture()).mean() < 4


def test_case_of_an_encoding_does_not_count() -> None:
    np.testing.assert_array_equal(ImageDecoder().decode(raw(picture(), "RGB8")), picture())


@pytest.mark.parametrize(
    "form",
    [
        "bayer_{}8; png compressed ",
        "bayer_{}8; png compressed bgr8",
        "{}8; png compressed bayer_{}8",
        "mono8; png compressed bayer_{}8",
    ],
)
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_mosaic_in_a_file_gets_its_colours(pattern: str, form: str) -> None:
    data = cv2.imencode(".png", mosaic(pattern))[1].tobytes()
    got = ImageDecoder().decode(compressed(data, form.replace("{}", pattern)))
    np.testing.assert_array_equal(got, ImageDecoder().decode(raw(mosaic(pattern), f"bayer_{pattern}8")))
    assert np.abs(got.astype(int) - picture())[2:-2, 2:-2].max() <= 8


def test_a_mosaic_of_sixteen_bits_in_a_file() -> None:
    data = cv2.imencode(".png", mosaic("gbrg").astype(np.uint16) * 257)[1].tobytes()
    got = ImageDecoder().decode(compressed(data, "bayer_gbrg16; png compressed "))
    np.testing.assert_array_equal(got, ImageDecoder().decode(raw(mosaic("gbrg"), "bayer_gbrg8")))


@pytest.mark.parametrize("decoder", ["simplejpeg", "cv2"])
def test_a_mosaic_in_a_jpeg(decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if decoder == "cv2":
        monkeypatch.setattr(jpeg, "simplejpeg", None)
    data = cv2.imencode(".jpg", mosaic("rggb"), [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    message = compressed(data, "bayer_rggb8; jpeg compressed bayer_rggb8")
    got = ImageDecoder().decode(message)
    assert np.abs(got.astype(int) - picture())[2:-2, 2:-2].max() <= 12
    assert plain_jpeg(message) is None  # an engine that decodes files would make a grey picture of it


@pytest.mark.parametrize("form", ["bayer_rggb8; jpeg compressed bgr8", "bayer_rggb8; png compressed bgr8"])
def test_a_picture_that_was_a_mosaic_stays_as_it_is(form: str) -> None:
    np.testing.assert_array_equal(ImageDecoder().decode(compressed(encoded(".png"), form)), picture())


def test_grey_that_was_a_mosaic_stays_grey_and_is_said_once() -> None:
    said: list[str] = []
    decoder = ImageDecoder("front", say=said.append)
    grey = cv2.imencode(".png", picture()[..., 0])[1].tobytes()
    for _ in range(2):
        got = decoder.decode(compressed(grey, "bayer_rggb8; jpeg compressed mono8"))
    np.testing.assert_array_equal(got, np.repeat(picture()[..., :1], 3, axis=-1))
    assert len(said) == 1
    assert "jpeg_compress_bayer" in said[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_in_a_file(channels: int) -> None:
    pixels = picture()[..., ::-1] if channels == 3 else picture()[..., 0]
    data = cv2.imencode(".png", pixels.astype(np.uint16) * 256 + 17)[1].tobytes()
    expected = picture() if channels == 3 else np.repeat(picture()[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(ImageDecoder().decode(compressed(data, "rgb16; png compressed bgr16")), expected)


def twelve_bits() -> np.ndarray:
    """Grey of 12 bits in 16, none of them above 4080."""
    return picture()[..., 0].astype("<u2") << 4


@pytest.mark.parametrize("big", [False, True])
def test_a_bit_depth_that_is_given(big: bool) -> None:
    said: list[str] = []
    decoder = ImageDecoder("front", bit_depth=12, say=said.append)
    got = decoder.decode(raw(twelve_bits().astype(">u2" if big else "<u2"), "mono16", big=big))
    np.testing.assert_array_equal(got[..., 0], picture()[..., 0])
    data = cv2.imencode(".png", twelve_bits())[1].tobytes()
    np.testing.assert_array_equal(decoder.decode(compressed(data, "mono16; png compressed ")), got)
    assert said == []


def test_values_beyond_the_bit_depth_are_white() -> None:
    got = ImageDecoder(bit_depth=12).decode(raw(np.full((HEIGHT, WIDTH), 5000, "<u2"), "mono16"))
    assert (got == 255).all()


def test_a_mosaic_of_twelve_bits() -> None:
    pixels = mosaic("rggb").astype("<u2") << 4
    expected = ImageDecoder().decode(raw(mosaic("rggb"), "bayer_rggb8"))
    np.testing.assert_array_equal(ImageDecoder(bit_depth=12).decode(raw(pixels, "bayer_rggb16")), expected)
    np.testing.assert_array_equal(ImageDecoder().decode(raw(pixels, "bayer_rggb12")), expected)


def test_upper_bits_that_are_never_set_are_said_once() -> None:
    said: list[str] = []
    decoder = ImageDecoder("front", say=said.append)
    decoder.decode(raw(np.zeros((HEIGHT, WIDTH), np.uint16), "mono16"))
    assert said == []  # a lens cap says nothing
    for _ in range(2):
        decoder.decode(raw(twelve_bits(), "mono16"))
    assert len(said) == 1
    assert "without a value of more than 12 bits" in said[0]
    assert "cameras.bit_depth" in said[0]
    assert said[0].endswith("to 12")


def test_a_night_after_a_day_says_nothing() -> None:
    said: list[str] = []
    decoder = ImageDecoder(say=said.append)
    decoder.decode(raw(np.full((HEIGHT, WIDTH), 60000, np.uint16), "mono16"))
    decoder.decode(raw(np.full((HEIGHT, WIDTH), 900, np.uint16), "mono16"))
    assert said == []


@pytest.mark.parametrize("bit_depth", [-1, 1, 7, 17])
def test_an_impossible_bit_depth_is_refused(bit_depth: int) -> None:
    with pytest.raises(InputError, match=f"bit depth of {bit_depth} is not possible; use 8 to 16"):
        ImageDecoder(bit_depth=bit_depth)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_tags_do_not_count(kind: str) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    file = io.BytesIO()
    lossless = {"lossless": True} if kind == "WEBP" else {}
    PillowImage.fromarray(picture()).save(file, kind, exif=exif, quality=95, **lossless)
    decoder = ImageDecoder()
    got = decoder.decode(file.getvalue())
    assert got.shape[:2] == decoder.size(file.getvalue()) == (HEIGHT, WIDTH)
    assert np.abs(got.astype(int) - picture()).mean() < 4


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_every_form_of_png_becomes_colour(mode: str) -> None:
    image = PillowImage.fromarray(picture()).convert(mode)
    file = io.BytesIO()
    image.save(file, "PNG")
    np.testing.assert_array_equal(ImageDecoder().decode(file.getvalue()), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("decoder", ["simplejpeg", "cv2"])
def test_a_jpeg_of_four_colours(decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if decoder == "cv2":
        monkeypatch.setattr(jpeg, "simplejpeg", None)
    file = io.BytesIO()
    PillowImage.fromarray(picture()).convert("CMYK").save(file, "JPEG", quality=95)
    assert np.abs(ImageDecoder().decode(file.getvalue()).astype(int) - picture()).mean() < 4


def test_pixels_of_floating_point_in_a_file_are_refused() -> None:
    data = cv2.imencode(".tiff", picture().astype(np.float32))[1].tobytes()
    with pytest.raises(InputError, match="a TIFF holds float32 pixels; use 8 or 16 bits"):
        ImageDecoder().decode(compressed(data, "32FC3; tiff compressed "))


@pytest.mark.parametrize("message", [raw(picture(), "rgb8", 5), compressed(encoded(".png")), encoded(".jpg")])
def test_the_size_is_known_before_decoding(message: object) -> None:
    assert ImageDecoder().size(message) == (HEIGHT, WIDTH)


def test_a_raw_image_that_claims_too_much_is_refused() -> None:
    with pytest.raises(InputError, match="a raw rgb8 image claims 40000x40000"):
        ImageDecoder("front").size(Image(height=40000, width=40000, encoding="rgb8"))


def test_what_does_not_fit_to_its_calibration_is_refused_before_it_is_decoded() -> None:
    rectifier = Rectifier("front")
    rectifier.update(Lens(np.diag([300.0, 300, 1]), width=640, height=480))
    cut = encoded(".png")[:-20]  # decoding would complain of this
    with pytest.raises(InputError, match="another aspect ratio"):
        rectified_image(ImageDecoder("front"), rectifier, compressed(cut[:16] + b"\0\0\0\x20\0\0\0\x20" + cut[24:]))


def test_a_file_in_one_byte_buffers_of_any_kind() -> None:
    for data in (np.frombuffer(encoded(".png"), np.uint8), bytearray(encoded(".png"))):
        message = SimpleNamespace(format="png", data=data)
        np.testing.assert_array_equal(ImageDecoder().decode(message), picture())
    with pytest.raises(InputError, match="empty"):
        ImageDecoder().decode(SimpleNamespace(format="png", data=np.empty(0, np.uint8)))


def test_too_little_data_is_refused_with_the_numbers() -> None:
    message = raw(picture(), "rgb8")
    message.height += 1
    with pytest.raises(InputError, match=r"camera front: a 32x25 rgb8 image .* holds 2304 bytes, needs .* 2400 bytes"):
        ImageDecoder("front").decode(message)


def test_a_step_that_is_too_short_is_refused() -> None:
    message = raw(picture(), "rgb8")
    message.step = 90
    with pytest.raises(InputError, match="step of at least 96"):
        ImageDecoder("front").decode(message)


def test_an_empty_image_is_refused() -> None:
    with pytest.raises(InputError, match="0x0"):
        ImageDecoder("front").decode(Image(encoding="rgb8"))


def test_an_unknown_encoding_is_refused_with_those_that_work() -> None:
    with pytest.raises(InputError, match=r"encoding 'heat8' cannot be read; publish one of rgb8, bgr8"):
        ImageDecoder("front").decode(raw(picture(), "heat8"))


def cv_bridge_that(convert: object, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge = SimpleNamespace(imgmsg_to_cv2=convert)
    monkeypatch.setitem(sys.modules, "cv_bridge", SimpleNamespace(CvBridge=lambda: bridge))


@pytest.mark.parametrize("error", [KeyError(16), AttributeError("CV_8U"), SystemError(), ValueError()])
def test_whatever_cv_bridge_raises_is_one_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(message: object, encoding: str) -> None:
        raise error

    cv_bridge_that(convert, monkeypatch)
    with pytest.raises(InputError, match="camera front: encoding 'heat8' cannot be read") as refused:
        ImageDecoder("front").decode(raw(picture(), "heat8"))
    assert f"(the installed cv_bridge: {type(error).__name__}: {error})" in str(refused.value)


def test_a_cv_bridge_compiled_for_another_numpy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cv_bridge.py").write_text("import numpy\nnumpy._ARRAY_API_of_another_release\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        InputError, match=r"'heat8' cannot be read \(the installed cv_bridge: AttributeError: .*release"
    ):
        ImageDecoder("front").decode(raw(picture(), "heat8"))


def test_a_picture_of_cv_bridge_is_taken_if_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cv_bridge_that(lambda message, encoding: picture(), monkeypatch)
    np.testing.assert_array_equal(ImageDecoder().decode(raw(picture(), "heat8")), picture())
    cv_bridge_that(lambda message, encoding: picture()[..., 0], monkeypatch)
    with pytest.raises(InputError, match="cannot be read"):
        ImageDecoder().decode(raw(picture(), "heat8"))


def test_an_unknown_encoding_has_no_size() -> None:
    with pytest.raises(InputError, match="encoding 'heat8' cannot be read"):
        ImageDecoder("front").size(raw(picture(), "heat8"))


def test_no_copy_of_an_rgb_image() -> None:
    message = raw(picture(), "rgb8")
    got = ImageDecoder().decode(message)
    assert np.shares_memory(got, np.frombuffer(message.data, np.uint8))
