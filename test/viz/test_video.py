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

"""Videos hold the frames that were added."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from full_disk import largest_file
from PIL import Image

from flashocc_ros.errors import InputError, OutputError
from flashocc_ros.viz.video import VideoWriter, can_write_mp4, write_png

FRAMES = [np.full((90, 160, 3), (60 * k, 255 - 60 * k, 90), np.uint8) for k in range(4)]


def test_mp4_holds_every_frame_in_order(tmp_path: Path) -> None:
    if not can_write_mp4():
        pytest.skip("imageio-ffmpeg is not installed")
    with VideoWriter(tmp_path / "a.mp4", rate_hz=5) as video:
        for frame in FRAMES:
            video.add(frame)
    capture = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    read = []
    while (got := capture.read())[0]:
        read.append(got[1][..., ::-1])
    assert len(read) == len(FRAMES)
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(5)
    for frame, back in zip(FRAMES, read, strict=True):
        assert back.mean((0, 1)) == pytest.approx(frame.mean((0, 1)), abs=12)


def test_gif_holds_every_frame_at_its_time(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.gif", rate_hz=4, width=80) as video:
        for frame in FRAMES:
            video.add(frame)
    gif = Image.open(tmp_path / "a.gif")
    assert gif.n_frames == len(FRAMES)
    assert gif.size == (80, 44)
    assert gif.info["duration"] == 250


def test_a_frame_of_another_shape_is_fitted(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.gif", rate_hz=4) as video:
        video.add(FRAMES[0])
        video.add(np.zeros((200, 160, 3), np.uint8))
    assert Image.open(tmp_path / "a.gif").n_frames == 2


def test_unknown_formats_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.mp4 or \.gif"):
        VideoWriter(tmp_path / "a.avi", 5)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*a\.png"):
        write_png(tmp_path / "file" / "a.png", FRAMES[0])


def noise(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 240, 320, 3), dtype=np.uint8))


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_full_disk_keeps_the_older_video(tmp_path: Path, suffix: str) -> None:
    if suffix == ".mp4" and not can_write_mp4():
        pytest.skip("imageio-ffmpeg is not installed")
    path = tmp_path / f"a{suffix}"
    path.write_text("old")

    def draw() -> None:
        with VideoWriter(path, rate_hz=4) as video:
            for frame in noise(8):
                video.add(frame)

    with largest_file(100_000), pytest.raises(OutputError, match=r"cannot write .*; free some space") as refusal:
        draw()
    assert "\n" not in str(refusal.value)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_an_interrupted_video_keeps_the_older_one(tmp_path: Path, suffix: str) -> None:
    if suffix == ".mp4" and not can_write_mp4():
        pytest.skip("imageio-ffmpeg is not installed")
    path = tmp_path / f"a{suffix}"
    path.write_text("old")

    def draw() -> None:
        with VideoWriter(path, rate_hz=4) as video:
            video.add(FRAMES[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


def test_a_png_that_cannot_be_written_keeps_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("old")
    with largest_file(1000), pytest.raises(OutputError, match="free some space"):
        write_png(path, noise(1)[0])
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.png"]


def test_png_keeps_every_pixel(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    write_png(tmp_path / "a.png", picture)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), picture)
