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

"""A recorded video of one camera: the times of its pictures without decoding any, and one picture after the other."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.headers import check_size
from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.regular_file import regular_size

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Containers by suffix. What a file is, is never guessed: FFmpeg would follow the addresses in a list of files."""
VIDEO_SUFFIXES = tuple(FORMATS)
START_NS = 1_000_000_000
"""Stamp of the time 0 of a video."""


@dataclass(frozen=True)
class VideoFrame:
    """One picture of a video.

    Attributes:
        video: its file.
        pts: its time in the units of the container.
    """

    video: VideoFile = field(repr=False)
    pts: int

    @property
    def name(self) -> str:
        return f"{self.video.path.name} at {self.pts}"

    def read(self) -> npt.NDArray[np.uint8]:
        """RGB (H, W, 3).

        Raises:
            InputError: it cannot be decoded.
        """
        return self.video.read(self.pts)


class VideoFile:
    """A video, read forward; going back begins anew.

    Attributes:
        path: the file.
        size: (H, W) of its pictures.

    Raises:
        ConfigError: PyAV is not installed.
        InputError: it is no video, or its pictures are larger than `headers.check_size` allows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._frames: Iterator[Any] = iter(())
        self._next_pts: int | None = None
        self._last: Any = None
        with self._opened() as container:
            context = container.streams.video[0].codec_context
            self.size = (context.height, context.width)

    def frames(self) -> dict[int, VideoFrame]:
        """All pictures by stamp in nanoseconds, in order of time."""
        with self._opened() as container:
            stream = container.streams.video[0]
            times = {p.pts for p in container.demux(stream) if p.pts is not None and p.size and not p.is_discard}
            ordered, unit = sorted(times), stream.time_base
        if not ordered:
            raise InputError(f"{self.path} is a video without pictures that have a time; convert it, e.g. to .mp4")
        if ordered[0] < 0:
            # encoders with a delay begin below zero, which players skip
            ordered = [pts for pts in ordered if pts >= 0] or ordered
        return {START_NS + round(pts * unit * 10**9): VideoFrame(self, pts) for pts in ordered}

    def read(self, pts: int) -> npt.NDArray[np.uint8]:
        """The picture of time ``pts``, RGB (H, W, 3).

        Raises:
            InputError: it cannot be decoded.
        """
        if self._last is None or pts < self._last.pts:
            self._frames, self._last = self._decoded(), None
        while self._last is None or self._last.pts < pts:
            with self._named():
                self._last = next(self._frames, None)
            if self._last is None:
                raise InputError(f"{self.path} ends before its picture at {pts}; it was cut off, so shorten or mend it")
        if self._last.pts != pts or self._last.is_corrupt:
            raise InputError(f"{self.path}: its picture at {pts} is damaged; encode the video again")
        if (self._last.height, self._last.width) != self.size:
            raise InputError(f"{self.path} changes its size at {pts}; encode the video again")
        pixels: npt.NDArray[np.uint8] = self._last.to_ndarray(format="rgb24")
        return np.ascontiguousarray(pixels)

    def _decoded(self) -> Iterator[Any]:
        with self._opened() as container:
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                if frame.pts is not None:
                    yield frame

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        if importlib.util.find_spec("av") is None:
            raise ConfigError(
                f"{self.path} is a video, which needs PyAV: pip install 'flashocc_ros[video]', or give pictures"
            )
        import av

        with self._named():
            regular_size(self.path)
            kind = FORMATS[self.path.suffix.lower()]
            with self.path.open("rb") as file, av.open(file, "r", format=kind) as container:
                if not container.streams.video:
                    raise InputError(f"{self.path} holds no video; give one, or pictures")
                context = container.streams.video[0].codec_context
                check_size(context.height, context.width, str(self.path))
                yield container

    @contextmanager
    def _named(self) -> Iterator[None]:
        import av

        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"video {self.path} cannot be read ({reason}); check or encode it again") from error
