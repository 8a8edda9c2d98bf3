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

"""What a decoder does not say about an H.264 or H.265 stream: key pictures, lost pictures, pictures out of order.

The syntax is that of ITU-T H.264 (7.3) and H.265 (7.3), as far as the number of a picture in the slice header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flashocc_ros.errors import InputError

MAX_HEADER_BYTES = 256
"""Of a parameter set or slice header that is looked at."""
_START_CODE = re.compile(rb"\x00\x00\x01")


@dataclass(frozen=True)
class Picture:
    """The first slice of a packet.

    Attributes:
        key: decodable without any picture before it.
        number: ``frame_num`` of H.264, lowest bits of the picture order count of H.265; it wraps at ``modulus``.
        modulus: see ``number``.
        is_reference: later pictures may need it, and are numbered from it.
        reordered: it is shown at another place than it is sent, as B-frames make it.
        size: coded (height, width) in pixels, at most some lines more than what is shown.
    """

    key: bool
    number: int
    modulus: int
    is_reference: bool
    reordered: bool
    size: tuple[int, int]


class _Bits:
    """Reads bits of a payload, most significant first, the emulation prevention bytes taken out."""

    def __init__(self, payload: bytes) -> None:
        data = payload.replace(b"\x00\x00\x03", b"\x00\x00")
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def u(self, count: int) -> int:
        """An unsigned number of ``count`` bits."""
        self._left -= count
        if self._left < 0:
            raise InputError("a header of the video is cut off")
        return (self._value >> self._left) & ((1 << count) - 1)

    def ue(self, most: int = 1 << 33) -> int:
        """An Exp-Golomb number, 9.1 of H.264, of at most ``most``."""
        zeros = 0
        while zeros <= 32 and not self.u(1):
            zeros += 1
        value = (1 << zeros) - 1 + (self.u(zeros) if 0 < zeros <= 32 else 0)
        if value > most or zeros > 32:
            raise InputError("a header of the video is damaged")
        return value

    def se(self) -> int:
        """A signed Exp-Golomb number, 9.1.1 of H.264."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def units(data: bytes) -> Iterator[bytes]:
    """The NAL units of a packet in byte stream format (Annex B), their first `MAX_HEADER_BYTES` bytes.

    Raises:
        InputError: it is not in this format.
    """
    starts = [match.end() for match in _START_CODE.finditer(data)]
    if not starts:
        raise InputError(f"a packet of {len(data)} bytes holds no start code; let the encoder write Annex B")
    for start, following in zip(starts, [*starts[1:], len(data) + 3], strict=True):
        unit = data[start : min(following - 3, start + MAX_HEADER_BYTES)]
        if unit:
            yield unit


class H264Parser:
    """Pictures of one H.264 stream; keeps its latest parameter sets."""

    def __init__(self) -> None:
        self._sequences: dict[int, _H264Sequence] = {}
        self._pictures: dict[int, int] = {}

    def __call__(self, data: bytes) -> Picture | None:
        """The picture in a packet; None when it holds parameter sets only.

        Raises:
            InputError: it cannot be read.
        """
        for unit in units(data):
            kind = unit[0] & 31
            if kind == 7:
                identifier, sequence = _h264_sequence(_Bits(unit[1:]))
                self._sequences[identifier] = sequence
            elif kind == 8:
                bits = _Bits(unit[1:])
                picture = bits.ue(255)
                self._pictures[picture] = bits.ue()
            elif kind in (1, 5):
                return self._slice(unit, kind == 5)
        return None

    def _slice(self, unit: bytes, key: bool) -> Picture:
        bits = _Bits(unit[1:])
        bits.ue()  # first_mb_in_slice
        slice_type = bits.ue() % 5
        sequence = self._sequences.get(self._pictures.get(bits.ue(), -1))
        if sequence is None:
            raise InputError("its parameter sets never came; let the encoder repeat them before each key picture")
        if sequence.separate_planes:
            bits.u(2)
        number = bits.u(sequence.number_bits)
        reference = bool(unit[0] >> 5 & 3)
        return Picture(key, number, 1 << sequence.number_bits, reference, slice_type == 1, sequence.size)


@dataclass(frozen=True)
class _H264Sequence:
    size: tuple[int, int]
    number_bits: int
    separate_planes: bool


def _h264_sequence(bits: _Bits) -> tuple[int, _H264Sequence]:
    """Sequence parameter set, 7.3.2.1.1."""
    profile = bits.u(8)
    bits.u(16)
    identifier = bits.ue(31)
    separate_planes = False
    if profile in (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135):
        chroma = bits.ue()
        separate_planes = chroma == 3 and bool(bits.u(1))
        bits.ue(), bits.ue(), bits.u(1)
        if bits.u(1):
            for index in range(8 if chroma != 3 else 12):
                if bits.u(1):
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    number_bits = bits.ue(12) + 4
    order_type = bits.ue()
    if order_type == 0:
        bits.ue()
    elif order_type == 1:
        bits.u(1), bits.se(), bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()
    bits.ue(), bits.u(1)
    width = 16 * (bits.ue() + 1)
    rows = 16 * (bits.ue() + 1)
    if not bits.u(1):
        raise InputError("its pictures are interlaced, two exposures in one; let the encoder send whole frames")
    return identifier, _H264Sequence((rows, width), number_bits, separate_planes)


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


class HevcParser:
    """Pictures of one H.265 stream; keeps its latest parameter sets."""

    def __init__(self) -> None:
        self._sequences: dict[int, _HevcSequence] = {}
        self._pictures: dict[int, tuple[int, bool, int]] = {}

    def __call__(self, data: bytes) -> Picture | None:
        """The picture in a packet; None when it holds parameter sets only.

        Raises:
            InputError: it cannot be read.
        """
        for unit in units(data):
            kind = unit[0] >> 1 & 63
            if kind == 33:
                identifier, sequence = _hevc_sequence(_Bits(unit[2:]))
                self._sequences[identifier] = sequence
            elif kind == 34:
                bits = _Bits(unit[2:])
                picture, sequence_id = bits.ue(63), bits.ue()
                bits.u(1)
                output_flag = bool(bits.u(1))
                self._pictures[picture] = (sequence_id, output_flag, bits.u(3))
            elif kind <= 9 or 16 <= kind <= 21:
                return self._slice(unit, kind)
        return None

    def _slice(self, unit: bytes, kind: int) -> Picture:
        bits = _Bits(unit[2:])
        bits.u(1)  # first_slice_segment_in_pic_flag
        key = kind >= 16
        if key:
            bits.u(1)
        sequence_id, output_flag, extra_bits = self._pictures.get(bits.ue(), (-1, False, 0))
        sequence = self._sequences.get(sequence_id)
        if sequence is None:
            raise InputError("its parameter sets never came; let the encoder repeat them before each key picture")
        bits.u(extra_bits)
        bits.ue()  # slice_type: low-delay encoders send B slices that look back only, so it says nothing
        if output_flag:
            bits.u(1)
        if sequence.separate_planes:
            bits.u(2)
        number = 0 if kind in (19, 20) else bits.u(sequence.number_bits)
        return Picture(key, number, 1 << sequence.number_bits, True, sequence.reordered, sequence.size)


@dataclass(frozen=True)
class _HevcSequence:
    size: tuple[int, int]
    number_bits: int
    separate_planes: bool
    reordered: bool


def _hevc_sequence(bits: _Bits) -> tuple[int, _HevcSequence]:
    """Sequence parameter set, 7.3.2.2.1."""
    bits.u(4)
    sub_layers = bits.u(3)
    bits.u(1)
    bits.u(96)  # profile_tier_level, 7.3.3
    present = [(bits.u(1), bits.u(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.u(2 * (8 - sub_layers))
    for profile, level in present:
        bits.u(88 * profile + 8 * level)
    identifier = bits.ue(15)
    separate_planes = bits.ue() == 3 and bool(bits.u(1))
    width, height = bits.ue(), bits.ue()
    if bits.u(1):
        for _ in range(4):
            bits.ue()
    bits.ue(), bits.ue()
    number_bits = bits.ue(12) + 4
    reordered = 0
    for _ in range(1 if not bits.u(1) else sub_layers + 1):
        bits.ue()
        reordered = bits.ue()
        bits.ue()
    return identifier, _HevcSequence((height, width), number_bits, separate_planes, reordered > 0)
