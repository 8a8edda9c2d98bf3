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

"""ROS images, raw and compressed, and picture files to RGB arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras import encodings
from flashocc_ros.cameras.findings import Say, say_of
from flashocc_ros.cameras.headers import Buffer, check_size, read_header
from flashocc_ros.cameras.jpeg import decode_jpeg
from flashocc_ros.cameras.opencv_files import decode_other
from flashocc_ros.cameras.rectify import Rectifier
from flashocc_ros.cameras.video import VideoDecoder, VideoPicture
from flashocc_ros.errors import InputError

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage, Image

RgbImage = npt.NDArray[np.uint8]
Source: TypeAlias = "Image | CompressedImage | VideoPicture | bytes"

BIT_DEPTHS = (0, *range(8, 17))
DEPTH_TYPES = ("16uc1", "16sc1", "32sc1", "32fc1", "64fc1")
VIDEO = ("h264", "x264", "avc", "h265", "x265", "hevc", "av1", "vp8", "vp9", "mpeg4", "theora")
FILES = ("jpeg", "jpg", "mjpeg", "mjpg", "png")
"""Encodings of a raw image whose data is a file."""


class ImageDecoder:
    """Decodes the images of one camera.

    Args:
        camera: its name, for messages.
        bit_depth: how many of the 16 bits of a value the sensor uses, 8 to 16, from the lowest on; 0 means all.
        say: called once per finding a user should know, such as upper bits that are never set, with a sentence that
            does not name the camera; default: a warning that does.
    """

    def __init__(self, camera: str = "camera", bit_depth: int = 0, say: Say | None = None) -> None:
        self.camera = camera
        self._bit_depth = check_bit_depth(bit_depth)
        self._say = say or say_of(camera)
        self._said: set[str] = set()
        self._video = VideoDecoder()

    def size(self, message: Source) -> tuple[int, int]:
        """(H, W) of what `decode` will give, from the message's numbers or its file's header.

        Raises:
            InputError: there is nothing that can be decoded, or it is larger than `headers.check_size` allows.
        """
        with self._named():
            if isinstance(message, VideoPicture):
                height, width, _ = self._video(message).shape
                return height, width
            file = _file(message)
            if file is not None:
                header = read_header(file)
                return header.height, header.width
            return self._raw_size(message)

    def decode(self, message: Source) -> RgbImage:
        """RGB uint8 (H, W, 3) of a ``sensor_msgs`` Image or CompressedImage, of a video's picture or a file's bytes.

        An unpadded rgb8 image comes back as a view of the message's data. The pixels are those that were stored:
        orientation tags do not count, as calibration belongs to the pixels as the sensor gave them.

        Raises:
            InputError: damaged data, data of the wrong size or an encoding that is not known.
        """
        with self._named():
            if isinstance(message, VideoPicture):
                return self._video(message)
            file = _file(message)
            if file is None:
                return self._raw(message)
            return self._picture(file, getattr(message, "format", ""))

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            raise type(error)(f"camera {self.camera}: {error}") from error

    def _raw_size(self, message: Image) -> tuple[int, int]:
        height, width = message.height, message.width
        check_size(height, width, f"a raw {message.encoding} image")
        if message.encoding.lower() in encodings.PLANAR:
            height, _ = encodings.planar_layout(message.encoding, len(message.data), height, width, message.step)
        elif encodings.packed(message.encoding) is None:
            _cv_bridge(message.encoding)
        return height, width

    def _raw(self, message: Image) -> RgbImage:
        encoding, (height, width) = message.encoding, self._raw_size(message)
        data = np.frombuffer(message.data, np.uint8) if len(message.data) else np.empty(0, np.uint8)
        if encoding.lower() in encodings.PLANAR:
            height, step = encodings.planar_layout(encoding, len(data), message.height, width, message.step)
            return encodings.planar_to_rgb(encoding, data, height, width, step)
        layout = encodings.packed(encoding)
        if layout is None:
            return _with_cv_bridge(message)
        values = encodings.packed_values(layout, data, height, width, message.step, bool(message.is_bigendian))
        return encodings.to_rgb(self._eight_bits(values, layout.bits), layout.name)

    def _picture(self, file: Buffer, form: str) -> RgbImage:
        header = read_header(file)
        pixels: npt.NDArray[Any]
        if header.kind == "JPEG":
            pixels = decode_jpeg(file)
            if header.channels != 1 or not (mosaic := self._mosaic(form)):
                return pixels
            pixels = pixels[..., 0]
        else:
            pixels = self._eight_bits(decode_other(file, header))
            if pixels.ndim == 3:
                return pixels
            mosaic = self._mosaic(form)
        return encodings.to_rgb(pixels[..., None], mosaic or "mono8")

    def _mosaic(self, form: str) -> str:
        """Encoding of a grey file that holds a colour mosaic, by a format as compressed_image_transport writes it.

        ``bayer_rggb8; png compressed`` is a mosaic, and so is ``...; jpeg compressed bayer_rggb8``, but not
        ``...; jpeg compressed mono8``: there the publisher took the colours away.
        """
        pattern = encodings.PATTERN.search(form.lower())
        if pattern is None:
            return ""
        if "compressed mono" in form.lower():
            self._once(
                f"format {form!r}: its publisher made a grey picture of the colours; publish colour, or set its "
                "parameter jpeg_compress_bayer"
            )
            return ""
        return f"bayer_{pattern[0]}8"

    def _eight_bits(self, values: npt.NDArray[Any], named_bits: int = 0) -> RgbImage:
        """The upper eight of the bits in use, as the network sees eight."""
        if values.dtype == np.uint8:
            return values
        bits = named_bits or self._bit_depth
        if not bits and "bits" not in self._said and (bits_seen := int(values.max()).bit_length()):
            if bits_seen > 14:
                self._said.add("bits")
            else:
                depth = next(depth for depth in (8, 10, 12, 14) if depth >= bits_seen)
                self._once(
                    f"16 bit images without a value of more than {depth} bits, as of such a sensor or at night, are "
                    f"taken for nearly black; if the sensor has {depth} bits, set the bit depth (cameras.bit_depth "
                    f"of the node, bit_depth elsewhere) to {depth}",
                    "bits",
                )
        if bits in (0, 16):
            return (values >> 8).astype(np.uint8)
        return np.minimum(values >> (bits - 8), 255).astype(np.uint8)

    def _once(self, sentence: str, key: str = "") -> None:
        if (key or sentence) not in self._said:
            self._said.add(key or sentence)
            self._say(sentence)


def rectified_image(
    decoder: ImageDecoder, rectifier: Rectifier, message: Source
) -> tuple[RgbImage, npt.NDArray[np.float64]]:
    """The image of a message or file without distortion, uint8 (H, W, 3), and its K (3, 3) float64.

    Raises:
        InputError: it cannot be decoded, or does not fit to its calibration, which is seen before it is decoded.
    """
    rectifier.prepare(decoder.size(message))
    return rectifier(decoder.decode(message))


def is_depth(encoding: str) -> bool:
    """True for the ``encoding`` of a raw or the ``format`` of a compressed image that holds distances, not light.

    REP 118 has them in 16UC1 and 32FC1; a grey camera publishes mono16.
    """
    name = encoding.lower()
    return "depth" in name or name.partition(";")[0].strip() in DEPTH_TYPES


def check_bit_depth(bit_depth: int) -> int:
    """The value itself.

    Raises:
        InputError: it is neither 0 nor 8 to 16.
    """
    if bit_depth not in BIT_DEPTHS:
        raise InputError(f"a bit depth of {bit_depth} is not possible; use 8 to 16, or 0 when all 16 bits are in use")
    return bit_depth


def compressed_data(message: CompressedImage) -> memoryview:
    """The file inside a message, not a copy: array.array and bytes both give their buffer."""
    data = memoryview(message.data)
    return data.cast("B") if data.nbytes else memoryview(b"")


def plain_jpeg(message: Source) -> bytes | None:
    """The JPEG file inside a compressed image if any decoder gives its colours, None otherwise.

    Raises:
        InputError: its header is damaged.
    """
    if isinstance(message, VideoPicture | bytes) or hasattr(message, "encoding"):
        return None
    data = compressed_data(message)
    if bytes(data[:2]) != b"\xff\xd8":
        return None
    channels = read_header(data).channels
    mosaic = channels == 1 and encodings.PATTERN.search(message.format.lower())
    return bytes(data) if channels in (1, 3) and not mosaic else None


def _file(message: Image | CompressedImage | bytes) -> Buffer | None:
    """The file inside a message, None for raw pixels.

    Raises:
        InputError: the message holds a part of a video, or depths.
    """
    if isinstance(message, bytes):
        return message
    raw = hasattr(message, "encoding")
    name = message.encoding if raw else message.format
    if any(word in VIDEO for word in re.split(r"[^a-z0-9]+|lib", name.lower())):
        raise InputError(
            f"{name!r} is video in a message for pictures; publish it as foxglove_msgs/CompressedVideo or as "
            "ffmpeg_image_transport does, or publish JPEG"
        )
    if is_depth(name):
        raise InputError(
            f"{name!r} is a depth image; use the topic of the colour image (a grey camera of 16 bits is mono16)"
        )
    return compressed_data(message) if not raw or name.lower() in FILES else None


def _with_cv_bridge(message: Image) -> RgbImage:
    """Encodings beyond the tables, as far as an installed cv_bridge knows them."""
    bridge = _cv_bridge(message.encoding)
    try:
        return np.asarray(bridge.imgmsg_to_cv2(message, "rgb8"), np.uint8).reshape(message.height, message.width, 3)
    except Exception as error:  # cv_bridge raises whatever its compiled part or OpenCV does
        raise _unknown(message.encoding, error) from error


def _cv_bridge(encoding: str) -> Any:
    try:
        from cv_bridge import CvBridge

        return CvBridge()
    except Exception as error:  # not installed, or compiled for another OpenCV or numpy
        raise _unknown(encoding, error) from error


def _unknown(encoding: str, error: Exception) -> InputError:
    absent = isinstance(error, ModuleNotFoundError) and error.name == "cv_bridge"
    reason = "" if absent else f" (the installed cv_bridge: {type(error).__name__}: {error})"
    return InputError(
        f"encoding {encoding!r} cannot be read{reason}; publish one of {', '.join(encodings.KNOWN)}, one of them in 16 "
        "bits or a compressed image"
    )
