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

"""``flashocc label``: occupancy labels of one's own drives from lidar."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flashocc_ros.cli.label_options import (
    Boxes,
    Cameras,
    Classes,
    ClassMap,
    Convention,
    Grid,
    KeyRate,
    Lidar,
    OwnBox,
    Pictures,
    PointClass,
    Unknown,
    UnknownGround,
    Window,
)
from flashocc_ros.cli.options import BaseFrame, FisheyeRays, TfPrefix, fisheye_of

if TYPE_CHECKING:
    from flashocc_ros.labelling.run import Summary
    from flashocc_ros.labelling.settings import Settings
    from flashocc_ros.progress import Progress

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Examples: flashocc label drive_1 drive_2 --out labels --lidar /lidar/points --boxes /detections. "
    "flashocc label --nuscenes data/nuscenes --version v1.0-mini --out data/nuscenes/gts"
)
def label(
    drives: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DRIVE]...", help="Recordings with lidar, poses and cameras: paths, URLs or patterns."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for <drive>/<stamp>/labels.npz.")] = Path("labels"),
    lidar: Lidar = None,
    boxes: Boxes = "",
    point_class: PointClass = "",
    class_map: ClassMap = None,
    convention: Convention = "touch",
    key_rate: KeyRate = 2.0,
    window: Window = 5.0,
    grid: Grid = "",
    classes: Classes = "",
    own_box: OwnBox = "",
    unknown: Unknown = "",
    unknown_ground: UnknownGround = "",
    cameras: Cameras = "",
    fisheye: FisheyeRays = None,
    pictures: Pictures = True,
    base_frame: BaseFrame = "base_link",
    tf_prefix: TfPrefix = "",
    nuscenes: Annotated[
        Path | None, typer.Option(help="Instead of recordings: a nuScenes folder with sweeps/.")
    ] = None,
    version: Annotated[str, typer.Option(help="nuScenes version.")] = "v1.0-trainval",
    split: Annotated[str, typer.Option(help="nuScenes split or comma-separated scene names.")] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Label drives: static points over seconds, movers in their boxes, free space along rays, masks, quality."""
    from flashocc_ros.errors import ConfigError
    from flashocc_ros.labelling.options import class_numbers, make_settings
    from flashocc_ros.labelling.quality import shown
    from flashocc_ros.progress import Progress

    if bool(drives) == (nuscenes is not None):
        raise ConfigError("give recordings, or --nuscenes with a folder")
    settings = make_settings(convention, key_rate, window, grid, classes, own_box, unknown, unknown_ground)
    with Progress(quiet) as progress:
        if nuscenes is not None:
            summaries = _label_nuscenes(nuscenes, version, split, out, settings, progress)
        else:
            from flashocc_ros.bags import Frames
            from flashocc_ros.labelling.sources import Sources

            sources = Sources(
                tuple(lidar or ()),
                boxes,
                point_class,
                camera_names(cameras),
                Frames.of(base_frame, tf_prefix),
                class_numbers(class_map, settings.classes),
                fisheye_of(fisheye) or "rectify",
            )
            summaries = _label_recordings(drives or [], sources, out, settings, pictures, progress)
    if as_json:
        typer.echo(json.dumps([{"scene": s.scene, "frames": s.frames, "quality": s.quality} for s in summaries]))
        return
    for summary in summaries:
        numbers = ", ".join(f"{k} {shown(k, v)}" for k, v in summary.quality.items() if v is not None)
        known = f", {summary.frames - summary.new} of them there before" if summary.new < summary.frames else ""
        typer.echo(f"{summary.folder}: {summary.frames} key frames{known}; {numbers}")
        typer.echo(f"  worst frames: {summary.folder / 'quality' / 'index.html'}")


def _label_recordings(
    drives: list[str], sources: Any, out: Path, settings: Settings, pictures: bool, progress: Progress
) -> list[Summary]:
    from flashocc_ros.errors import ConfigError
    from flashocc_ros.labelling.recording import Recording
    from flashocc_ros.labelling.run import label_drive
    from flashocc_ros.remote import expand

    places = expand(drives)
    names = [path.resolve().name.removesuffix(".mcap").removesuffix(".db3") for path in places]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"two drives are called {twice}, and labels go to a folder of that name; rename one")
    # All are opened before the first is worked on: a mistake in the last shows at once.
    recordings = [Recording(path, sources, settings, say) for path in places]
    return [
        label_drive(
            recording, out, name, recording.described(), settings, pictures=pictures, progress=_share_of(progress, name)
        )
        for recording, name in zip(recordings, names, strict=True)
    ]


def _label_nuscenes(
    root: Path, version: str, split: str, out: Path, settings: Settings, progress: Progress
) -> list[Summary]:
    from flashocc_ros.labelling.nuscenes import read_scenes
    from flashocc_ros.labelling.run import label_drive

    return [
        label_drive(
            scene,
            out,
            scene.name,
            scene.described(),
            settings,
            pictures=False,
            progress=_share_of(progress, scene.name),
            token_of=scene.token_of,
        )
        for scene in read_scenes(root, version, split, settings, say)
    ]


def camera_names(text: str) -> tuple[str, ...] | None:
    """Of ``--cameras``: None for all that there are, empty for none of them."""
    return None if not text else () if text == "none" else tuple(name.strip() for name in text.split(","))


def say(sentence: str) -> None:
    """A finding, on stderr."""
    typer.echo(sentence, err=True)


def _share_of(progress: Progress, name: str) -> Callable[[float], None]:
    """Takes the share of a drive that is done."""
    progress.begin(f"labelling {name}", 100, unit="%")
    return lambda share: progress(round(100 * share))
