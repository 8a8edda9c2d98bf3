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

"""Write MP4 and GIF without a display and without a system ffmpeg."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from flashocc_ros.errors import InputError, OutputError
from flashocc_ros.whole_file import whole_file, write_whole

UInt8 = npt.NDArray[np.uint8]


class VideoWriter:
    """A video that grows frame by frame: H.264 for ``.mp4``, Pillow for ``.gif``. Use as a context manager.

    Its file appears when the context is left without an error and a frame was added; until then an older one stays.

    Args:
        path: file to write; its suffix chooses the format.
        rate_hz: frames per second at replay.
        width: frames are scaled to this width in pixels; None keeps theirs.

    Raises:
        InputError: an unknown suffix, or imageio-ffmpeg is missing for an MP4.
        OutputError: while adding or leaving: the file cannot be written.
    """

    def __init__(self, path: str | Path, rate_hz: float, width: int | None = None) -> None:
        self.path = Path(path)
        if self.path.suffix not in (".mp4", ".gif"):
            raise InputError(f"{self.path}: videos end in .mp4 or .gif, not {self.path.suffix or 'nothing'}")
        if self.path.suffix == ".mp4" and not can_write_mp4():
            raise InputError(f"{self.path}: MP4 needs imageio-ffmpeg; install the [viz] extra or choose .gif")
        self.rate_hz, self.width = rate_hz, width
        self._size: tuple[int, int] | None = None
        self._gif: list[Image.Image] = []
        self._stream: Any = None
        self._file = ExitStack()
        self._temporary = self.path

    def add(self, frame: UInt8) -> None:
        """Append a frame, (H, W, 3) uint8 RGB; those of another shape are fitted into that of the first."""
        if self._size is None:
            width = frame.shape[1] if self.width is None else self.width
            self._temporary = self._file.enter_context(whole_file(self.path))
            self._size = (width // 2 * 2, round(frame.shape[0] * width / frame.shape[1]) // 2 * 2)
        if frame.shape[1::-1] != self._size:
            frame = _fit(frame, self._size)
        if self.path.suffix == ".gif":
            self._gif.append(Image.fromarray(frame).quantize(128, dither=Image.Dither.NONE))
            return
        if self._stream is None:
            self._stream = self._open_mp4(self._size)
        try:
            self._stream.send(np.ascontiguousarray(frame))
        except OSError as error:  # a page with its command line; the reason stands above, said by ffmpeg
            raise self._stopped() from error

    def _open_mp4(self, size: tuple[int, int]) -> Any:
        import imageio_ffmpeg

        stream = imageio_ffmpeg.write_frames(
            str(self._temporary),
            size,
            fps=self.rate_hz,
            codec="libx264",
            quality=None,
            macro_block_size=2,
            ffmpeg_log_level="error",
            # yuv420p and a leading index: plays in browsers and starts before it is loaded
            output_params=["-crf", "21", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-movflags", "+faststart"],
        )
        stream.send(None)
        return stream

    def _finish(self) -> None:
        if self._stream is not None:
            self._stream.close()
            if not _is_whole_mp4(self._temporary):
                raise self._stopped()
        if self._gif:
            first, *rest = self._gif
            duration_ms = max(20, round(1000 / self.rate_hz))
            first.save(self._temporary, save_all=True, append_images=rest, duration=duration_ms, loop=0, optimize=False)

    def _stopped(self) -> OutputError:
        return OutputError(f"cannot write {self.path} (ffmpeg stopped); free some space or choose another place")

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is not None:
                if self._stream is not None:
                    self._stream.close()
                raise error  # so that what is half written goes
            self._finish()


def _fit(frame: UInt8, size: tuple[int, int]) -> UInt8:
    """Scale to fit into (width, height); what stays free repeats the last row and column."""
    scale = min(size[0] / frame.shape[1], size[1] / frame.shape[0])
    inner = (max(round(frame.shape[1] * scale), 1), max(round(frame.shape[0] * scale), 1))
    scaled = cv2.resize(frame, inner, interpolation=cv2.INTER_AREA)
    scaled = scaled[: size[1], : size[0]]
    free = (size[1] - scaled.shape[0], size[0] - scaled.shape[1])
    return np.asarray(np.pad(scaled, ((0, free[0]), (0, free[1]), (0, 0)), "edge"), np.uint8)


def can_write_mp4() -> bool:
    """Whether imageio-ffmpeg and its ffmpeg are there."""
    try:
        import imageio_ffmpeg

        return os.access(imageio_ffmpeg.get_ffmpeg_exe(), os.X_OK)
    except (ImportError, RuntimeError):
        return False


def _is_whole_mp4(path: Path) -> bool:
    """Whether the boxes, of which one is the index, fill the file: ffmpeg's exit status is not handed on."""
    kinds, end = set(), 0
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            kinds.add(head[4:])
            size = int.from_bytes(head[:4], "big")
            if size == 1:
                size = int.from_bytes(file.read(8), "big")
            if size < 8:
                return False
            end += size
            file.seek(end)
    return b"moov" in kinds and end == path.stat().st_size


def write_png(path: str | Path, picture: UInt8) -> None:
    """Write (H, W, 3) uint8 RGB as PNG.

    Raises:
        OutputError: the file cannot be written; what was there stays.
    """
    encoded, png = cv2.imencode(".png", picture[..., ::-1])
    assert encoded
    write_whole(Path(path), png.tobytes())
