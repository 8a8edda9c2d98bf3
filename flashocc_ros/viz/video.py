"""Write MP4 and GIF without a display and without a system ffmpeg."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from flashocc_ros.errors import InputError

UInt8 = npt.NDArray[np.uint8]


class VideoWriter:
    """A video that grows frame by frame: H.264 for ``.mp4``, Pillow for ``.gif``. Use as a context manager.

    Args:
        path: file to write; its suffix chooses the format.
        rate_hz: frames per second at replay.
        width: frames are scaled to this width in pixels; None keeps theirs.

    Raises:
        InputError: an unknown suffix, or imageio-ffmpeg is missing for an MP4.
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

    def add(self, frame: UInt8) -> None:
        """Append a frame, (H, W, 3) uint8 RGB; those of another shape are fitted into that of the first."""
        if self._size is None:
            width = frame.shape[1] if self.width is None else self.width
            self._size = (width // 2 * 2, round(frame.shape[0] * width / frame.shape[1]) // 2 * 2)
        if frame.shape[1::-1] != self._size:
            frame = _fit(frame, self._size)
        if self.path.suffix == ".gif":
            self._gif.append(Image.fromarray(frame).quantize(128, dither=Image.Dither.NONE))
            return
        if self._stream is None:
            self._stream = self._open_mp4(self._size)
        self._stream.send(np.ascontiguousarray(frame))

    def _open_mp4(self, size: tuple[int, int]) -> Any:
        import imageio_ffmpeg

        stream = imageio_ffmpeg.write_frames(
            str(self.path),
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

    def close(self) -> None:
        """Finish the file; nothing is written when no frame was added."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        if self._gif:
            first, *rest = self._gif
            duration_ms = max(20, round(1000 / self.rate_hz))
            first.save(self.path, save_all=True, append_images=rest, duration=duration_ms, loop=0, optimize=False)
            self._gif.clear()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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


def write_png(path: str | Path, picture: UInt8) -> None:
    """Write (H, W, 3) uint8 RGB as PNG.

    Raises:
        InputError: the file cannot be written.
    """
    if not cv2.imwrite(str(path), picture[..., ::-1]):
        raise InputError(f"{path} cannot be written; check the folder and free space")
