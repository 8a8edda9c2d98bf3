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

"""Encoded videos of moving noise, packet by packet."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
LOW_DELAY = {
    "h264": {"tune": "zerolatency"},
    "hevc": {"tune": "zerolatency", "x265-params": "log-level=none:bframes=0"},
}
WITH_B_FRAMES = {"h264": {"bf": "2"}, "hevc": {"x265-params": "log-level=none"}}


def moving(count: int, size: tuple[int, int] = (96, 160)) -> list[Rgb]:
    """Pictures (H, W, 3) of blocks that wander to the right."""
    height, width = size
    blocks = np.random.default_rng(0).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    still = blocks.repeat(8, 0).repeat(8, 1)
    return [np.roll(still, 8 * k, 1) for k in range(count)]


def encode(pictures: list[Rgb], codec: str = "h264", key_every: int = 5, options: Any = None) -> list[bytes]:
    """One packet a picture, without delay unless ``options`` say so."""
    encoder = av.CodecContext.create({"h264": "libx264", "hevc": "libx265"}[codec], "w")
    encoder.height, encoder.width = pictures[0].shape[:2]
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, 10), Fraction(10)
    encoder.gop_size, encoder.thread_count = key_every, 1
    encoder.options = dict(LOW_DELAY[codec] if options is None else options)
    packets = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets + [bytes(packet) for packet in encoder.encode(None)]
