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

"""``flashocc synth``: a synthetic drive with exact ground truth as a rosbag2 recording, or frames to train on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flashocc_ros.cli.options import completing, counted, seed_range

if TYPE_CHECKING:
    from flashocc_ros.data.synthetic import SyntheticRig

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Examples: flashocc synth --seed 1000 --seconds 10 --out out/drive_1000 | "
    "flashocc synth --cache runs/synthetic_0 --seeds 0:1000 --frames 4"
)
def synth(
    out: Annotated[Path | None, typer.Option(help="Folder of the new recording; must not exist.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which drive; the shipped network never saw 1000 and above.")] = 1000,
    seconds: Annotated[float, typer.Option(help="Length of the drive, more than 0 and at most 600.")] = 10.0,
    rig: Annotated[
        Path | None, typer.Option(help="YAML file with the cameras; default: six like those of nuScenes.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Camera sets per second, 0.5 to 30.")] = 12.0,
    width: Annotated[
        int | None, typer.Option(min=64, max=4096, help="Width of the pictures; default 704, or the rig file's.")
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(help="Variant file (.yaml): the truth on its grid and, of a recording, in its classes."),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Instead of a recording: folder of frames to train on; one begun is continued.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Of a cache: drives FIRST:STOP; train below 1000.")] = "0:32",
    frames: Annotated[int, typer.Option(min=1, max=1000, help="Of a cache: key frames per drive, 0.5 s apart.")] = 4,
    lidar: Annotated[
        bool, typer.Option("--lidar", help="Also points of a lidar at 20 Hz, and the true boxes with ids.")
    ] = False,
    beams: Annotated[
        str,
        typer.Option(
            help="Of the lidar: 16, 32 or 128, or forward, which does not turn.",
            autocompletion=completing("16", "32", "128", "forward"),
        ),
    ] = "32",
    threads: Annotated[int, typer.Option(min=1, max=64, help="Cameras drawn at a time.")] = 2,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Write a synthetic drive: JPEG pictures, camera_info, tf, odometry and ground-truth occupancy."""
    from flashocc_ros.data.synthetic import Drive, SyntheticDataset, load_rig, write_cache
    from flashocc_ros.data.synthetic.bag import write_bag
    from flashocc_ros.data.synthetic.lidar import LIDARS, make_lidar
    from flashocc_ros.errors import BagError, ConfigError
    from flashocc_ros.progress import Progress
    from flashocc_ros.variants import get_variant

    if (out is None) == (cache is None):
        raise ConfigError("give either --out for a recording or --cache for frames to train on")
    if beams not in LIDARS:
        raise ConfigError(f"--beams is {beams!r}; choose {', '.join(LIDARS)}")
    cameras = load_rig(rig) if rig is not None else None
    row = get_variant(variant or "synthetic-tiny")
    with Progress(quiet) as progress:
        progress.begin("drawing")
        if out is None:
            assert cache is not None
            if width is not None:
                raise ConfigError("--width is of a recording; the frames of a cache have the size of the networks")
            size = (396, 704) if cameras is None else cameras.image_size
            drives = seed_range(seeds)
            dataset = SyntheticDataset(drives, row.input_size, frames, cameras, size, threads=threads, grid=row.grid)
            write_cache(cache, dataset, progress=progress)
            drawn = f"{cache}: {counted(len(dataset), 'frame')} of {counted(len(dataset.seeds), 'drive')}"
        else:
            if out.exists():
                raise BagError(f"{out} exists already; remove it or choose another --out")
            drive = Drive(seed, seconds, cameras, _picture_size(width, cameras), threads=threads, grid=row.grid)
            scanner = make_lidar(beams) if lidar else None
            sets = write_bag(out, drive, rate, progress=progress, lidar=scanner, classes=row.classes)
            what = f"{counted(sets, 'set')} of {counted(drive.rig.cameras.num_cameras, 'camera')}"
            drawn = f"{out}: {what}, {drive.world.light.name}, seed {seed}"
    typer.echo(drawn)


def _picture_size(width: int | None, rig: SyntheticRig | None) -> tuple[int, int] | None:
    """(height, width) with the aspect ratio of the rig, None for the usual."""
    if width is None:
        return None
    source = rig.image_size if rig is not None else (900, 1600)
    return round(width * source[0] / source[1]), width
