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

"""Pictures and a video of a whole result recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from flashocc_ros.bags.results import ResultFrame, network_facts, read_results, rig_at_key, weights_note
from flashocc_ros.remote import Location
from flashocc_ros.viz.canvas import WIDTH
from flashocc_ros.viz.render import Figure, render_figure
from flashocc_ros.viz.video import VideoWriter, write_png
from flashocc_ros.whole_file import make_folder

VIDEO_WIDTH = 1280


@dataclass(frozen=True)
class Album:
    """What was written: PNGs of key frames and at most one video."""

    pictures: tuple[Path, ...]
    video: Path | None


def write_album(
    bag: str | Location,
    out: Path,
    video: Path | None,
    *,
    rate_hz: float | None = None,
    width: int = WIDTH,
    limit: int | None = None,
    every: int = 1,
    by_object: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Album:
    """Draw every prediction of a result recording.

    Args:
        bag: result recording; see ``read_results``.
        out: folder for ``frame_0000.png`` and so on; is made.
        video: file to write, ``.mp4`` or ``.gif``; None for no video.
        rate_hz: frames per second of the video; None plays it as fast as it was recorded.
        width: of the pictures in pixels.
        limit: draw at most this many.
        every: write each so-maniest picture as a file; the video holds all.
        by_object: a colour for each object instead of each class.
        progress: called with the number of pictures done.

    Raises:
        BagError: the recording cannot be drawn.
        InputError: the video format is not known.
        OutputError: a picture or the video cannot be written; an older one of that name stays.
    """
    make_folder(out)
    with ExitStack() as stack:
        return _write_album(stack, bag, out, video, rate_hz, width, limit, every, by_object, progress)


def _write_album(
    stack: ExitStack,
    bag: str | Location,
    out: Path,
    video: Path | None,
    rate_hz: float | None,
    width: int,
    limit: int | None,
    every: int,
    by_object: bool,
    progress: Callable[[int], None],
) -> Album:
    network = network_facts(bag)
    note = weights_note(bag, network)
    stamps: list[int] = []
    pictures: list[Path] = []
    writer = None
    waiting = None  # the first frame waits for the second, which tells the frame rate
    for number, result in enumerate(read_results(bag)):
        if limit is not None and number >= limit:
            break
        stamps.append(result.stamp_ns)
        picture = render_figure(to_figure(result, network, stamps[0], note, by_object), width)
        if number % every == 0:
            pictures.append(out / f"frame_{number:04d}.png")
            write_png(pictures[-1], picture)
        if video is not None:
            if writer is None and (rate_hz is not None or len(stamps) == 2):
                writer = stack.enter_context(
                    VideoWriter(video, rate_hz or recorded_rate_hz(stamps), min(VIDEO_WIDTH, width))
                )
                if waiting is not None:
                    writer.add(waiting)
            if writer is None:
                waiting = picture
            else:
                writer.add(picture)
        progress(number + 1)
    if writer is None and waiting is not None and video is not None:
        writer = stack.enter_context(VideoWriter(video, 1.0, min(VIDEO_WIDTH, width)))
        writer.add(waiting)
    return Album(tuple(pictures), video if writer is not None else None)


def to_figure(
    result: ResultFrame, network: Mapping[str, str], begin_ns: int, note: str = "", by_object: bool = False
) -> Figure:
    """A result as ``render_figure`` takes it.

    Args:
        network: what the node told of itself, see ``network_facts``.
        begin_ns: stamp of the first result, from which time is told.
        note, by_object: of the figure.
    """
    cameras = result.cameras
    count = 0 if cameras is None else len(cameras.names)
    seen = f"3D occupancy from {count} camera{'s' * (count > 1)}" if count else ""
    details = [network.get("runs_on", ""), f"{(result.stamp_ns - begin_ns) / 1e9:.1f} s"]
    return Figure(
        result.semantics,
        result.instances,
        truth=None if result.truth is None else result.truth.semantics,
        truth_instances=None if result.truth is None else result.truth.instances,
        by_object=by_object,
        images=() if cameras is None else cameras.pictures,
        rig=None if cameras is None else rig_at_key(cameras),
        title="   ".join(filter(None, ("FlashOcc", network.get("variant"), seen))),
        note=note,
        details=list(filter(None, details)),
        grid=result.grid,
        classes=result.classes,
    )


def recorded_rate_hz(stamps_ns: list[int]) -> float:
    """Frames per second from the first two stamps, within what players take."""
    period_s = max((stamps_ns[1] - stamps_ns[0]) * 1e-9, 1e-3)
    return min(max(1.0 / period_s, 0.5), 60.0)
