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

"""The demo from the drive to the pictures."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flashocc_ros.bags import Frames
from flashocc_ros.bags.files import METADATA
from flashocc_ros.bags.results import weights_note
from flashocc_ros.demo.inputs import GeneratedDrive
from flashocc_ros.demo.session import REPLAYING, run_session
from flashocc_ros.demo.settings import Network
from flashocc_ros.demo.summary import SetCount, accuracy, count_sets, loss, summarise, table
from flashocc_ros.errors import EngineError
from flashocc_ros.output_folder import OutputFolder
from flashocc_ros.progress import Progress
from flashocc_ros.replay.interrupts import signals_interrupt
from flashocc_ros.replay.run import use_large_shared_memory
from flashocc_ros.viz.album import write_album
from flashocc_ros.viz.video import can_write_mp4

DRIVE, SUMMARY = "drive", "summary.json"
SESSION = ("result", "node.yaml", "node.log", "replay.log", "replay.json")
PICTURES = ("pictures", "demo.mp4", "demo.gif")


@dataclass(frozen=True)
class Options:
    """The command line of ``flashocc demo``; see its help."""

    bag: Path | None
    network: Network
    rate: float
    out: Path
    drive: GeneratedDrive
    pictures: bool = True
    picture_every: int = 1
    frames: Frames = Frames()  # noqa: RUF009 - frozen


def run(options: Options) -> dict[str, Any]:
    """Run the demo and return its summary, which is also in ``out/summary.json``.

    Replaces what an earlier demo left in the folder, and nothing else; see ``OutputFolder``.

    Raises:
        BagError, ConfigError: the input or the settings cannot be used, or something that is not ours is in the way.
        EngineError: the node failed or published nothing, or a set got lost in lockstep, where none may.
    """
    # Read before anything is removed: a recording that cannot be used costs no earlier result.
    counted = None if options.bag is None else count_sets(options.bag, options.frames)
    inputs = () if options.bag is None else _recording(options.bag)
    names = [*SESSION, SUMMARY, *([DRIVE] if options.bag is None else ()), *(PICTURES if options.pictures else ())]
    folder = OutputFolder(options.out)
    with signals_interrupt(), folder.writing(names, stale=(DRIVE, *PICTURES), inputs=inputs):
        return _run(options, names, counted)


def _recording(bag: Path) -> list[Path]:
    """Everything the recording consists of."""
    folder = bag.resolve()
    if folder.is_file() and (folder.parent / METADATA).exists():
        folder = folder.parent
    return [bag, folder, *(folder.iterdir() if folder.is_dir() else ())]


def _run(options: Options, names: Sequence[str], counted: SetCount | None) -> dict[str, Any]:
    console = Console(highlight=False)
    begin = time.monotonic()
    use_large_shared_memory()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")  # the demo is nobody else's business
    with Progress(console=console) as progress:
        bag = options.bag or _draw(options, progress)
        counted = counted or count_sets(bag, options.frames)
        progress.begin("starting the node")
        session = run_session(
            bag,
            options.out,
            options.network,
            options.rate,
            options.frames,
            _phases(progress, counted.complete),
        )
        if not session.arrived_ns:
            reasons = {k: v for k, v in session.status.items() if k.startswith("sets_dropped_") and v != "0"}
            raise EngineError(
                f"the node published nothing: {reasons or 'no set arrived'}; see {options.out / 'node.log'}"
            )
        progress.begin("measuring")
        truth = accuracy(session.result, options.frames, progress)
        summary = summarise(session, bag, counted, options.network, options.rate, options.bag is None, truth)
        summary["warning"] = weights_note(session.result, session.status)
        if options.pictures:
            progress.begin("drawing pictures", len(session.arrived_ns))
            video = options.out / ("demo.mp4" if can_write_mp4() else "demo.gif")
            folder = options.out / "pictures"
            write_album(session.result, folder, video, every=options.picture_every, progress=progress)
    files = [n for n in names if n != SUMMARY and (options.out / n).exists()]
    summary |= {"files": [*files, SUMMARY], "seconds": round(time.monotonic() - begin, 1)}
    (options.out / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
    console.print(table(summary))
    console.print(f"written to {options.out}: {', '.join(summary['files'])}")
    console.print(what_to_open(options.out, summary["files"]))
    if summary["lost"] and options.rate <= 0:
        raise EngineError(f"lost {loss(summary)}; see {options.out / 'node.log'} and replay.log")
    return summary


def what_to_open(out: Path, files: Sequence[str]) -> Table:
    """Everything there is to look at, and how."""
    rows = Table(show_header=False, box=None, pad_edge=False, title="\nNow look at it", title_justify="left")
    rows.add_row("in a browser", f"{_flashocc()} view {out}")
    if "pictures" in files:
        film = next((str(out / name) for name in files if name.startswith("demo.")), "")
        rows.add_row("film, pictures", ", ".join(filter(None, (film, str(out / "pictures")))))
    rows.add_row("recording", f"{out / 'result'}, for RViz (config/flashocc.rviz), Foxglove and ros2 bag play")
    return rows


def _flashocc() -> str:
    """The command as it can be typed here."""
    if shutil.which("flashocc"):
        return "flashocc"
    script = Path(sys.executable).parent / "flashocc"
    if not script.exists():
        return f"{sys.executable} -m flashocc_ros.cli"
    return str(script.relative_to(Path.cwd())) if script.is_relative_to(Path.cwd()) else str(script)


def _draw(options: Options, progress: Progress) -> Path:
    progress.begin("drawing a drive")
    return options.drive.write(options.out / DRIVE, progress)


def _phases(progress: Progress, sets: int) -> Callable[[str, int], None]:
    """Takes what a session does and the number of results so far."""
    name = ""

    def tell(what: str, done: int) -> None:
        nonlocal name
        if what != name:
            name = what
            progress.begin(what, sets if what == REPLAYING else None)
        progress(done)

    return tell
