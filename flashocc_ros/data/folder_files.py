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

"""The pictures of one camera in a folder, by their stamps: files, with or without a list of stamps, or one video.

``<camera>/`` holds pictures named by their stamp in nanoseconds, or pictures of any names and ``timestamps.csv`` (rows
``name,stamp_ns``) or, as KITTI has it, ``timestamps.txt`` (one time a line, in the order of the names; the pictures may
be in ``data/`` below), or pictures of any names that were taken at a known rate. ``<camera>.mp4`` (.mov, .mkv) instead
is a video; its stamps are the times in the container and one second, as a stamp of zero means that there is none, so
all videos must have begun at one moment.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np

from flashocc_ros.data.video_file import VIDEO_SUFFIXES, VideoFile, VideoFrame
from flashocc_ros.errors import InputError
from flashocc_ros.regular_file import regular_size

SUFFIXES = (".jpg", ".jpeg", ".png")
LEAST_STAMP_NS = 10**9
"""Of pictures that are counted: a stamp of zero means that there is none. A smaller number in a name is no stamp."""
MAX_STAMP_NS = np.iinfo(np.int64).max
MAX_LIST_BYTES = 1 << 28
LISTS = ("timestamps.csv", "timestamps.txt")

PictureFile = Path | VideoFrame


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a camera's folder, or of ``data/`` in it, by name."""
    for place in (folder, folder / "data"):
        if found := sorted(p for p in place.glob("*") if p.suffix.lower() in SUFFIXES):
            return found
    return []


def videos_in(folder: Path) -> dict[str, Path]:
    """Videos by the name of their camera.

    Raises:
        InputError: there are two of one camera.
    """
    found: dict[str, Path] = {}
    for path in sorted(p for p in folder.glob("*") if p.suffix.lower() in VIDEO_SUFFIXES):
        if path.stem in found:
            raise InputError(f"{folder} holds two videos of camera {path.stem}; remove {path.name} or the other")
        found[path.stem] = path
    return found


def has_stamps(folder: Path) -> bool:
    """Whether the pictures of a camera's folder are named by their stamps, or a list tells them. ``000017`` is none."""
    if any((folder / name).is_file() for name in LISTS):
        return True
    return all((_stamp(file.stem) or 0) >= LEAST_STAMP_NS for file in pictures_in(folder))


def stamped(folder: Path, camera: str, rate_hz: float = 0.0) -> dict[int, PictureFile]:
    """What a folder holds of a camera, by stamp in nanoseconds.

    Args:
        rate_hz: pictures without a list were taken so many a second, in the order of the numbers in their names; 0
            reads stamps from the names.

    Raises:
        InputError: nothing, or without stamps, or with two of one stamp.
        ConfigError: it is a video and PyAV is not installed.
    """
    files, video = pictures_in(folder / camera), videos_in(folder).get(camera)
    if files and video is not None:
        raise InputError(f"{folder} holds pictures and a video, {video.name}, of camera {camera}; remove one of them")
    if video is not None:
        return dict(VideoFile(video).frames())
    if not files:
        raise InputError(
            f"{folder / camera} holds no pictures ({', '.join(SUFFIXES)}), and beside it is no video "
            f"{camera}{VIDEO_SUFFIXES[0]}"
        )
    lists = [folder / camera / name for name in LISTS if (folder / camera / name).is_file()]
    if len(lists) > 1:
        raise InputError(f"{folder / camera} holds {' and '.join(LISTS)}, which both tell stamps; remove one")
    stamps = _listed(lists[0], files) if lists else _counted(files, rate_hz) if rate_hz else _named(files)
    found: dict[int, PictureFile] = {}
    for stamp_ns, file in stamps:
        if stamp_ns in found:
            raise InputError(
                f"{folder / camera} holds two pictures of one stamp, {file.name} and {found[stamp_ns].name}; "
                "remove one of them"
            )
        found[stamp_ns] = file
    return found


def _counted(files: list[Path], rate_hz: float) -> list[tuple[int, Path]]:
    """Picture 10 comes after picture 9."""

    def order(file: Path) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", file.stem)]

    return [(LEAST_STAMP_NS + round(k * 1e9 / rate_hz), file) for k, file in enumerate(sorted(files, key=order))]


def _named(files: list[Path]) -> list[tuple[int, Path]]:
    if wrong := [file for file in files if _stamp(file.stem) is None]:
        raise InputError(
            f"{wrong[0]} is not named by its stamp in nanoseconds, e.g. 1533201470412460000.jpg; rename the pictures, "
            f"or add {LISTS[0]} with rows name,stamp_ns, or, where all cameras took theirs together and steadily, "
            "rate_hz to the calibration"
        )
    return [(int(file.stem), file) for file in files]


def _stamp(text: str) -> int | None:
    good = text.isdecimal() and len(text) < 20 and int(text) <= MAX_STAMP_NS
    return int(text) if good else None


def _listed(path: Path, files: list[Path]) -> list[tuple[int, Path]]:
    """Every picture with the stamp that the list gives it."""
    if (size := regular_size(path)) > MAX_LIST_BYTES:
        raise InputError(f"{path} is {size / 1e6:.0f} MB long, the limit is {MAX_LIST_BYTES / 1e6:.0f} MB; split it")
    lines = path.read_text("utf-8", "replace").splitlines()
    return _by_row(path, lines, files) if path.suffix == ".csv" else _by_order(path, lines, files)


def _by_row(path: Path, lines: list[str], files: list[Path]) -> list[tuple[int, Path]]:
    rows = [row for row in csv.reader(lines) if row]
    if rows and (len(rows[0]) != 2 or _stamp(rows[0][1].strip()) is None):
        rows = rows[1:]  # the header
    stamps: dict[str, int] = {}
    for row in rows:
        stamp_ns = _stamp(row[1].strip()) if len(row) == 2 else None
        if stamp_ns is None:
            raise InputError(f"{path}: row {','.join(row)!r:.80} needs name,stamp_ns with whole nanoseconds; mend it")
        if row[0].strip() in stamps:
            raise InputError(f"{path} has two rows of {row[0].strip()}; remove one")
        stamps[row[0].strip()] = stamp_ns
    names = {file.name for file in files}
    if missing := sorted(names - stamps.keys()):
        raise InputError(f"{path} has no row for {missing[0]} ({len(missing)} of {len(names)} pictures); add it")
    if missing := sorted(stamps.keys() - names):
        raise InputError(f"{path} has a row for {missing[0]}, which is not there; remove it")
    return [(stamps[file.name], file) for file in files]


def _by_order(path: Path, lines: list[str], files: list[Path]) -> list[tuple[int, Path]]:
    """As KITTI has them, ``2011-09-26 13:02:25.594360375``; the time zone is of no concern."""
    texts = [line.strip() for line in lines if line.strip()]
    if len(texts) != len(files):
        raise InputError(f"{path} has {len(texts)} times for {len(files)} pictures; it needs one a line for each")
    stamps = []
    for text in texts:
        try:
            stamps.append(int(np.datetime64(text.replace(" ", "T"), "ns").astype(np.int64)))
        except ValueError as error:
            raise InputError(f"{path}: {text!r:.60} is no time such as 2011-09-26 13:02:25.594360375") from error
        if stamps[-1] <= 0:
            raise InputError(f"{path}: {text!r:.60} is before 1970, needs a later time")
    return list(zip(stamps, files, strict=True))
