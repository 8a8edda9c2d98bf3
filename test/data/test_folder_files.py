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

"""Sequences in a folder: pictures of any name with their stamps, and videos."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import yaml
from video_packets import moving

from flashocc_ros.data.folder import ImageFolder
from flashocc_ros.data.rig_sources import read_rig
from flashocc_ros.data.video_file import START_NS, VideoFile
from flashocc_ros.errors import ConfigError, InputError

SIZE = (96, 160)
NAMES = ("left", "right")
FIRST_NS = 1_316_000_000_000_000_000
KITTI_TIMES = [f"2011-09-14 11:33:{20 + k}.500000000" for k in range(6)]


def calibrate(folder: Path) -> ImageFolder:
    k = [[100.0, 0.0, 80.0], [0.0, 100.0, 48.0], [0.0, 0.0, 1.0]]
    pose = {"translation_xyz": [1.0, 0.0, 1.5], "rotation_xyzw": [0.5, -0.5, 0.5, -0.5]}
    (folder / "calibration.yaml").write_text(
        yaml.safe_dump({"cameras": {name: {"K": k, "T_base_cam": pose} for name in NAMES}})
    )
    return ImageFolder(folder)


def write_pictures(folder: Path, count: int = 6) -> list[str]:
    folder.mkdir(parents=True)
    names = [f"frame {k}, shot.png" for k in range(count)]
    for name, pixels in zip(names, moving(count, SIZE), strict=True):
        assert cv2.imwrite(str(folder / name), pixels[..., ::-1])
    return names


def write_video(path: Path, count: int = 6, period_ms: int = 100, options: dict[str, str] | None = None) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1000, options={"crf": "1", **(options or {})})
        stream.height, stream.width = SIZE
        stream.pix_fmt, stream.time_base = "yuv444p", Fraction(1, 1000)
        stream.codec_context.time_base = Fraction(1, 1000)
        for k, pixels in enumerate(moving(count, SIZE)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = k * period_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_a_table_gives_pictures_of_any_name_their_stamps(tmp_path: Path) -> None:
    for name in NAMES:
        files = write_pictures(tmp_path / name)
        rows = [f'"{file}",{FIRST_NS + k * 10**8}' for k, file in enumerate(files)]
        (tmp_path / name / "timestamps.csv").write_text("\n".join(["name,stamp_ns", *reversed(rows)]))
    sets = list(calibrate(tmp_path))
    assert [item.stamp_ns for item in sets] == [FIRST_NS + k * 10**8 for k in range(6)]
    for item, pixels in zip(sets, moving(6, SIZE), strict=True):
        np.testing.assert_array_equal(item.images[1], pixels)


def test_triggers_without_a_set_are_counted_with_their_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for camera in NAMES:
        for name in write_pictures(tmp_path / camera):
            stamp_ns = FIRST_NS + int(name[6]) * 100_000_000
            (tmp_path / camera / name).rename(tmp_path / camera / f"{stamp_ns}.png")
    (tmp_path / "right" / f"{FIRST_NS + 200_000_000}.png").unlink()
    rows = [f"{FIRST_NS + k * 100_000_000},{k},0,0,0,0,0,1" for k in (0, 1, 2, 3, 4)]
    (tmp_path / "poses.csv").write_text("\n".join(["stamp_ns,x,y,z,qx,qy,qz,qw", *rows]))
    assert len(calibrate(tmp_path)) == 4
    assert "1 of 6 triggers gave no set: they lack a picture of a camera" in caplog.text
    assert "poses.csv does not cover 1 of 5 sets" in caplog.text


def test_times_of_kitti_go_with_the_pictures_in_their_order(tmp_path: Path) -> None:
    for name in NAMES:
        write_pictures(tmp_path / name / "data")
        (tmp_path / name / "timestamps.txt").write_text("\n".join(KITTI_TIMES) + "\n")
    sets = list(calibrate(tmp_path))
    assert len(sets) == 6
    assert sets[0].stamp_ns == int(np.datetime64("2011-09-14T11:33:20.5", "ns").astype(np.int64))
    np.testing.assert_array_equal(sets[5].images[0], moving(6, SIZE)[5])
    assert [camera.name for camera in read_rig(tmp_path).cameras] == list(NAMES)


@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "2"}], ids=["plain", "reordered"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_videos_give_every_picture_at_its_time(tmp_path: Path, suffix: str, options: dict[str, str]) -> None:
    for name in NAMES:
        write_video(tmp_path / f"{name}{suffix}", options=options)
    folder = calibrate(tmp_path)
    for _ in range(2):  # the second time from the start again
        sets = list(folder)
        assert [item.stamp_ns for item in sets] == [START_NS + k * 10**8 for k in range(6)]
        for item, pixels in zip(sets, moving(6, SIZE), strict=True):
            assert np.abs(item.images[0].astype(int) - pixels).mean() < 3
    assert [(camera.width, camera.height) for camera in read_rig(tmp_path).cameras] == [(160, 96)] * 2


def test_a_video_that_was_cut_off_says_where(tmp_path: Path) -> None:
    write_video(tmp_path / "left.mkv", options={"g": "1"})
    whole = (tmp_path / "left.mkv").read_bytes()
    (tmp_path / "left.mkv").write_bytes(whole[: len(whole) // 2])
    video = VideoFile(tmp_path / "left.mkv")
    frames = video.frames()
    assert 0 < len(frames) < 6
    with pytest.raises(InputError, match=r"left\.mkv ends before its picture at 500"):
        video.read(500)


@pytest.mark.parametrize("content", [b"", b"no video", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n"])
def test_what_is_no_video_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "left.mp4").write_bytes(content)
    with pytest.raises(InputError, match=r"left\.mp4 cannot be read \(Invalid") as caught:
        VideoFile(tmp_path / "left.mp4")
    assert "\n" not in str(caught.value)


def test_a_video_without_pyav_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "left.mp4")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'flashocc_ros\[video\]'"):
        VideoFile(tmp_path / "left.mp4")
    assert sys.modules["av"] is av


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (None, "", "is not named by its stamp in nanoseconds.* or add timestamps.csv"),
        ("timestamps.csv", "a.png,1", "has no row for b.png"),
        ("timestamps.csv", "a.png,1\nb.png,2\nc.png,3", "has a row for c.png, which is not there"),
        ("timestamps.csv", "a.png,1\nb.png,1", "two pictures of one stamp, b.png and a.png"),
        ("timestamps.csv", "a.png,1\na.png,2\nb.png,3", "two rows of a.png"),
        ("timestamps.csv", "a.png,1\nb.png,2.5", "row 'b.png,2.5' needs name,stamp_ns"),
        ("timestamps.txt", KITTI_TIMES[0], "has 1 times for 2 pictures"),
        ("timestamps.txt", f"{KITTI_TIMES[0]}\nyesterday", "'yesterday' is no time"),
    ],
)
def test_stamps_that_cannot_be_used_are_one_sentence(tmp_path: Path, file: str | None, text: str, words: str) -> None:
    for name in NAMES:
        (tmp_path / name).mkdir()
        for picture in ("a.png", "b.png"):
            assert cv2.imwrite(str(tmp_path / name / picture), np.zeros((*SIZE, 3), np.uint8))
        if file:
            (tmp_path / name / file).write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        calibrate(tmp_path)
    assert "\n" not in str(caught.value)


def test_pictures_and_a_video_of_one_camera_are_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path / "left")
    write_video(tmp_path / "left.mp4")
    with pytest.raises(InputError, match=r"pictures and a video, left\.mp4, of camera left"):
        calibrate(tmp_path)
