"""``flashocc synth``: a synthetic drive with exact ground truth as a rosbag2 recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flashocc_ros.cli.options import counted

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog="Example: flashocc synth --seed 1000 --seconds 10 --out out/drive_1000")
def synth(
    out: Annotated[Path, typer.Option(help="Folder of the new recording; must not exist.")],
    seed: Annotated[int, typer.Option(min=0, help="Which drive; the shipped network never saw 1000 and above.")] = 1000,
    seconds: Annotated[float, typer.Option(help="Length of the drive, more than 0 and at most 600.")] = 10.0,
    rig: Annotated[
        Path | None, typer.Option(help="YAML file with the cameras; default: six like those of nuScenes.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Camera sets per second, 0.5 to 30.")] = 12.0,
    width: Annotated[
        int | None, typer.Option(min=64, max=4096, help="Width of the pictures; default 704, or the rig file's.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Cameras drawn at a time.")] = 2,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Write a synthetic drive: JPEG pictures, camera_info, tf, odometry and ground-truth occupancy."""
    from rich.progress import Progress

    from flashocc_ros.data.synthetic import Drive, load_rig
    from flashocc_ros.data.synthetic.bag import write_bag
    from flashocc_ros.errors import BagError

    if out.exists():
        raise BagError(f"{out} exists already; remove it or choose another --out")
    cameras = load_rig(rig) if rig is not None else None
    size = None
    if width is not None:
        source = cameras.image_size if cameras is not None else (900, 1600)
        size = (round(width * source[0] / source[1]), width)
    drive = Drive(seed, seconds, cameras, size, threads=threads)
    with Progress(disable=quiet, transient=True) as bar:
        task = bar.add_task("drawing", total=None)
        sets = write_bag(out, drive, rate, progress=lambda done, total: bar.update(task, completed=done, total=total))
    what = f"{counted(sets, 'set')} of {counted(drive.rig.cameras.num_cameras, 'camera')}"
    typer.echo(f"{out}: {what}, {drive.world.light.name}, seed {seed}")
