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

"""Pictures of H.264 and H.265 streams, whole and with what goes wrong on the way."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from video_packets import WITH_B_FRAMES, encode, moving

from flashocc_ros.cameras import video
from flashocc_ros.cameras.bitstream import H264Parser, HevcParser
from flashocc_ros.cameras.images import ImageDecoder
from flashocc_ros.cameras.video import VideoDecoder, VideoPicture, VideoStream
from flashocc_ros.errors import InputError

CODECS = ("h264", "hevc")
PICTURES = moving(15)
PERIOD_NS = 100_000_000


def packet(data: bytes, codec: str = "h264") -> Any:
    """As a FFMPEGPacket."""
    return SimpleNamespace(encoding=codec, data=data)


def stream(packets: list[bytes], codec: str = "h264", lost: tuple[int, ...] = ()) -> dict[int, VideoPicture]:
    """The pictures of those packets that come, by their place."""
    taken = VideoStream()
    arrived = ((k, p) for k, p in enumerate(packets) if k not in lost)
    pictures = {k: taken.add(packet(p, codec), (k + 1) * PERIOD_NS) for k, p in arrived}
    return {k: picture for k, picture in pictures.items() if picture is not None}


def close(picture: Any, number: int) -> bool:
    return float(np.abs(picture.astype(int) - PICTURES[number]).mean()) < 12


@pytest.mark.parametrize("codec", CODECS)
def test_each_packet_gives_its_own_picture_at_once(codec: str) -> None:
    taken, decoder = VideoStream(), VideoDecoder()
    for number, data in enumerate(encode(PICTURES, codec)):
        picture = taken.add(packet(data, codec), (number + 1) * PERIOD_NS)
        assert picture is not None
        assert close(decoder(picture), number)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("wanted", [(3,), (2, 8, 9), (9, 2), (4, 4)])
def test_any_picture_can_be_had_in_any_order(codec: str, wanted: tuple[int, ...]) -> None:
    pictures, decoder = stream(encode(PICTURES, codec), codec), VideoDecoder()
    assert all(close(decoder(pictures[number]), number) for number in wanted)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("lost", "refused"), [(2, {3, 4}), (4, set()), (5, {6, 7, 8, 9})])
def test_after_a_lost_packet_nothing_is_shown_up_to_the_next_key_picture(
    codec: str, lost: int, refused: set[int]
) -> None:
    pictures, decoder = stream(encode(PICTURES, codec), codec, (lost,)), VideoDecoder()
    for number, picture in pictures.items():
        if number in refused:
            with pytest.raises(InputError, match=r"a packet was lost; .* next key picture"):
                decoder(picture)
        else:
            assert close(decoder(picture), number)


def test_a_damaged_packet_spoils_its_followers_only() -> None:
    packets = encode(PICTURES)
    packets[6] = packets[6][: len(packets[6]) // 2]
    pictures, decoder = stream(packets), VideoDecoder()
    with pytest.raises(InputError, match=r"packet"):
        decoder(pictures[7])
    with pytest.raises(InputError, match=r"packet"):
        decoder(pictures[8])
    assert close(decoder(pictures[5]), 5)
    assert close(decoder(pictures[11]), 11)


def test_a_stream_joined_between_two_key_pictures_waits_for_one() -> None:
    pictures, decoder = stream(encode(PICTURES), lost=tuple(range(7))), VideoDecoder()
    with pytest.raises(InputError, match="parameter sets never came"):
        decoder(pictures[7])
    assert close(decoder(pictures[10]), 10)


def test_a_recording_that_starts_again_waits_for_a_key_picture() -> None:
    packets, taken = encode(PICTURES), VideoStream()
    for number in (0, 1, 2, 3):
        taken.add(packet(packets[number]), (number + 10) * PERIOD_NS)
    again = taken.add(packet(packets[4]), PERIOD_NS)
    assert again is not None
    with pytest.raises(InputError, match="stamps went back"):
        VideoDecoder()(again)


@pytest.mark.parametrize("codec", CODECS)
def test_b_frames_are_refused_with_the_remedy(codec: str) -> None:
    pictures = stream(encode(PICTURES, codec, options=WITH_B_FRAMES[codec]), codec)
    decoder = VideoDecoder()
    for picture in pictures.values():
        with pytest.raises(InputError, match=r"it has B-frames.*bf=0, tune=zerolatency"):
            decoder(picture)


def test_headers_in_a_packet_of_their_own_belong_to_the_next_picture() -> None:
    packets = encode(PICTURES)
    start = packets[0].index(b"\0\0\1\x65") - (packets[0][packets[0].index(b"\0\0\1\x65") - 1] == 0)
    taken = VideoStream()
    assert taken.add(packet(packets[0][:start]), 1) is None
    picture = taken.add(packet(packets[0][start:]), 2)
    assert picture is not None
    assert close(VideoDecoder()(picture), 0)


def test_a_bomb_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashocc_ros.cameras.headers.MAX_PIXELS", 10_000)
    with pytest.raises(InputError, match="its video claims 160x96 pixels"):
        VideoDecoder()(stream(encode(PICTURES[:1]))[0])


def test_a_stream_without_key_pictures_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "MAX_CHAIN_PICTURES", 8)
    pictures = stream(encode(PICTURES, key_every=100))
    with pytest.raises(InputError, match=r"8 pictures of .* without a key picture, limit 8"):
        VideoDecoder()(pictures[8])
    assert pictures[12].previous is None


@pytest.mark.parametrize("name", ["libx264", "h264_nvenc;nv12;bgr8;bgr8", "H264", "avc"])
def test_names_of_encoders_are_understood(name: str) -> None:
    assert video.codec_of(packet(b"", name)) == "h264"


def test_another_codec_is_refused() -> None:
    picture = VideoStream().add(SimpleNamespace(format="av1", data=b"\x12\0"), 1)
    assert picture is not None
    with pytest.raises(InputError, match=r"its video is 'av1', needs h264 or h265"):
        VideoDecoder()(picture)


@pytest.mark.parametrize("seed", range(30))
def test_noise_is_refused_not_raised(seed: int) -> None:
    rng = np.random.default_rng(seed)
    taken, decoder = VideoStream(), VideoDecoder()
    for number, good in enumerate(encode(PICTURES[:6], CODECS[seed % 2])):
        data = bytearray(good)
        for place in rng.integers(0, len(data), 20):
            data[place] = rng.integers(256)
        picture = taken.add(packet(bytes(data), CODECS[seed % 2]), number + 1)
        if picture is not None:
            with suppress(InputError):
                assert decoder(picture).shape[2] == 3


def golomb(*numbers: int) -> str:
    """As H.264 and H.265 write whole numbers."""
    return "".join(f"{number + 1:b}".zfill(2 * (number + 1).bit_length() - 1) for number in numbers)


@pytest.mark.parametrize(
    ("parser", "head", "bits"),
    [
        (H264Parser, b"\x68", golomb(256, 0)),
        (H264Parser, b"\x67\x42\x10\x10", golomb(32, 0, 0, 0)),
        (H264Parser, b"\x67\x42\x10\x10", golomb(0, 13, 0, 0)),
        (HevcParser, b"\x44\x01", golomb(64, 0)),
        (HevcParser, b"\x42\x01\x01" + b"\xff" * 12, golomb(16, 1, 64, 64)),
        (HevcParser, b"\x42\x01\x01" + b"\xff" * 12, golomb(0, 1, 64, 64) + "0" + golomb(0, 0, 4_000_000_000)),
    ],
)
def test_numbers_beyond_the_standard_are_refused_before_anything_is_kept(
    parser: type[H264Parser] | type[HevcParser], head: bytes, bits: str
) -> None:
    padded = f"{bits}{'10' * 80}"[:160]
    with pytest.raises(InputError, match="a header of the video is damaged"):
        parser()(b"\0\0\1" + head + int(padded, 2).to_bytes(20, "big"))


def test_a_camera_decodes_its_video_under_its_name() -> None:
    decoder, pictures = ImageDecoder("front"), stream(encode(PICTURES[:4]), lost=(2,))
    assert decoder.size(pictures[1]) == (96, 160)
    assert close(decoder.decode(pictures[1]), 1)
    with pytest.raises(InputError, match="camera front: a packet was lost"):
        decoder.size(pictures[3])
