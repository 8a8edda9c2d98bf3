"""Images of all encodings come out as RGB, damaged ones are refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from flashocc_ros.cameras import jpeg
from flashocc_ros.cameras.images import ImageDecoder
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


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"no picture at all", encoded(".png")[:-20]])
def test_other_damaged_data_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"camera front: .* is damaged"):
        ImageDecoder("front").decode(compressed(data, "png"))


def test_a_depth_image_is_refused() -> None:
    with pytest.raises(InputError, match="depth image"):
        ImageDecoder("front").decode(compressed(bytes(12) + encoded(".png"), "16UC1; compressedDepth png"))


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


def test_no_copy_of_an_rgb_image() -> None:
    message = raw(picture(), "rgb8")
    got = ImageDecoder().decode(message)
    assert np.shares_memory(got, np.frombuffer(message.data, np.uint8))
