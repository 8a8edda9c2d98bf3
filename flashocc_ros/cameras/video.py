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

"""Pictures out of H.264 and H.265 packets, each at its own stamp.

A picture of a video needs those before it, back to the last key picture. So each knows its predecessor, and the decoder
follows that chain back to what it has decoded already: nothing is decoded for sets that nobody takes, and a set that
waits never loses its pictures. What cannot be trusted (a packet was lost, the stream began between two key pictures)
is refused up to the next key picture, as a decoder would draw something all the same.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.bitstream import H264Parser, HevcParser, Picture
from flashocc_ros.cameras.headers import check_size
from flashocc_ros.errors import ConfigError, ImageError, InputError

RgbImage = npt.NDArray[np.uint8]

COMPRESSED_VIDEO_TYPE = "foxglove_msgs/msg/CompressedVideo"
FFMPEG_PACKET_TYPE = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
VIDEO_TYPES = (COMPRESSED_VIDEO_TYPE, FFMPEG_PACKET_TYPE)

MAX_CHAIN_PICTURES = 1000
MAX_CHAIN_BYTES = 64_000_000
"""Between two key pictures; more is never decoded in time and only fills the memory."""

_PARSERS: dict[str, type[H264Parser | HevcParser]] = {"h264": H264Parser, "hevc": HevcParser}
_NAMES = {"h264": "h264", "x264": "h264", "avc": "h264", "h265": "hevc", "x265": "hevc", "hevc": "hevc"}
_UNTIL = "its pictures are used again from the next key picture on"
_REORDERED = (
    "it has B-frames, so pictures come late and out of order; set the encoder to none (bf=0, tune=zerolatency, a "
    "low-delay preset)"
)


@dataclass(eq=False)
class VideoPicture:
    """One packet of a camera's video.

    Attributes:
        codec: h264 or hevc.
        data: the packet, in byte stream format.
        previous: what it builds on; None for a key picture, and for one that cannot be decoded.
        fault: why it cannot be decoded; empty if it can, as far as is known.
    """

    codec: str
    data: bytes
    previous: VideoPicture | None = None
    fault: str = ""


class VideoStream:
    """The packets of one camera in the order they came.

    Raises:
        ConfigError: PyAV is not installed.
    """

    def __init__(self) -> None:
        if importlib.util.find_spec("av") is None:
            raise ConfigError("video topics need PyAV: pip install 'flashocc_ros[video]', or publish JPEG")
        self._codec = ""
        self._parse: H264Parser | HevcParser = H264Parser()
        self._headers = b""
        self._latest = VideoPicture("", b"", fault=f"it was joined between two key pictures; {_UNTIL}")
        self._latest_ns = -1
        self._number = 0
        self._step: int | None = None
        self._chain_pictures = self._chain_bytes = 0

    def add(self, message: Any, stamp_ns: int) -> VideoPicture | None:
        """The picture of a ``CompressedVideo`` or ``FFMPEGPacket``; None when it holds no picture, only headers.

        What is wrong with it is told by its ``fault``.
        """
        data = self._headers + bytes(memoryview(message.data))
        try:
            self._begin(codec_of(message))
            found = self._parse(data)
        except InputError as error:
            return self._broken(str(error))
        if found is None:
            # A packet of headers only belongs to the picture that follows.
            self._headers = data[-65536:]
            return None
        self._headers = b""
        fault = self._fault(found, stamp_ns)
        self._latest_ns = stamp_ns
        if found.is_reference:
            self._number = found.number
        if fault:
            return self._broken(fault)
        if found.key:
            self._chain_pictures = self._chain_bytes = 0
        self._chain_pictures += 1
        self._chain_bytes += len(data)
        self._latest = VideoPicture(self._codec, data, None if found.key else self._latest)
        return self._latest

    def _begin(self, codec: str) -> None:
        if codec != self._codec:
            self._codec, self._parse, self._step = codec, _PARSERS[codec](), 1 if codec == "h264" else None
            self._broken(f"it was joined between two key pictures; {_UNTIL}")

    def _broken(self, fault: str) -> VideoPicture:
        self._latest = VideoPicture(self._codec, b"", fault=fault)
        return self._latest

    def _fault(self, found: Picture, stamp_ns: int) -> str:
        """Why this picture cannot be decoded; empty if it can."""
        try:
            check_size(*found.size, "its video")
        except ImageError as error:
            return str(error)
        if found.reordered:
            return _REORDERED
        if found.key:
            return ""
        if self._latest.fault:
            return self._latest.fault
        if stamp_ns <= self._latest_ns:
            return f"its stamps went back; {_UNTIL}"
        step = (found.number - self._number) % found.modulus
        if self._step is None or 0 < step < self._step:
            self._step = step
        if step != self._step:
            return f"a packet was lost; {_UNTIL}"
        if self._chain_pictures >= MAX_CHAIN_PICTURES or self._chain_bytes >= MAX_CHAIN_BYTES:
            return (
                f"{self._chain_pictures} pictures of {self._chain_bytes / 1e6:.0f} MB came without a key picture, "
                f"limit {MAX_CHAIN_PICTURES} and {MAX_CHAIN_BYTES / 1e6:.0f} MB; let the encoder send one each second"
            )
        return ""


class VideoDecoder:
    """Decodes the pictures of one camera; one thread, no delay."""

    def __init__(self) -> None:
        self._codec: Any = None
        self._last: VideoPicture | None = None
        self._rgb: RgbImage | None = None

    def __call__(self, picture: VideoPicture) -> RgbImage:
        """RGB uint8 (H, W, 3).

        Raises:
            InputError: it cannot be decoded.
        """
        if picture is self._last and self._rgb is not None:
            return self._rgb
        chain, known = self._chain(picture)
        if not known:
            self._codec = _open(picture.codec)
        self._last = self._rgb = None
        frame = None
        for part in reversed(chain):
            frame = self._frame(part)
        assert frame is not None
        self._rgb = np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
        self._last = picture
        return self._rgb

    def _chain(self, picture: VideoPicture) -> tuple[list[VideoPicture], bool]:
        """What has to be decoded, last first, and whether the decoder holds what that builds on."""
        chain: list[VideoPicture] = []
        part: VideoPicture | None = picture
        while part is not None and part is not self._last:
            if part.fault:
                raise ImageError(part.fault)
            chain.append(part)
            part = part.previous
        return chain, part is not None

    def _frame(self, part: VideoPicture) -> Any:
        import av

        try:
            frames = self._codec.decode(av.Packet(part.data))
        except (av.error.FFmpegError, ValueError) as error:
            part.fault = f"a packet is damaged ({getattr(error, 'strerror', None) or error}); {_UNTIL}"
            raise ImageError(part.fault) from error
        if not frames:
            part.fault = _REORDERED  # the decoder waits for what is shown before
            raise ImageError(part.fault)
        if len(frames) > 1 or frames[0].is_corrupt:
            part.fault = f"a packet of {len(part.data)} bytes gave no whole picture; {_UNTIL}"
            raise ImageError(part.fault)
        return frames[0]


def codec_of(message: Any) -> str:
    """h264 or hevc, from the ``format`` or ``encoding`` of a message, such as ``libx264`` or ``hevc;nv12;bgr8;bgr8``.

    Raises:
        InputError: it is another one.
    """
    name = str(getattr(message, "format", "") or getattr(message, "encoding", ""))
    for word in re.split(r"[^a-z0-9]+|lib", name.lower()):
        if word in _NAMES:
            return _NAMES[word]
    raise InputError(f"its video is {name!r}, needs h264 or h265; set the encoder to one of them, or publish JPEG")


def _open(codec: str) -> Any:
    import av
    from av.codec.context import Flags

    context = av.CodecContext.create(codec, "r")
    # Threads over frames delay each picture by one.
    context.thread_type, context.thread_count = "NONE", 1
    context.flags |= Flags.low_delay
    return context
