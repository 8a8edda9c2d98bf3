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

"""``flashocc render``: pictures and a video of results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flashocc_ros.cli.options import Place, completing, counted, place
from flashocc_ros.cli.viewer_files import write_for_viewer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Example: flashocc render out/result --out pictures --video mp4. An NPZ holds semantics (X, Y, Z) and, if "
    "you like, instances, truth and truth_instances of the same shape."
)
def render(
    source: Annotated[
        Place, typer.Argument(parser=place, metavar="BAG|NPZ", help="A result recording or its URL, or arrays.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("out/pictures"),
    video: Annotated[
        str, typer.Option(help="mp4, gif or none; recordings only.", autocompletion=completing("mp4", "gif", "none"))
    ] = "none",
    rate: Annotated[
        float | None, typer.Option(min=0.1, max=60.0, help="Frames per second of the video; default: as recorded.")
    ] = None,
    width: Annotated[int, typer.Option(min=320, max=7680, help="Width of the pictures in pixels.")] = 1920,
    color: Annotated[
        str,
        typer.Option(
            help="What has a colour of its own: class or object.", autocompletion=completing("class", "object")
        ),
    ] = "class",
    limit: Annotated[int | None, typer.Option(min=1, help="Draw at most this many frames.")] = None,
    rerun: Annotated[
        Path | None, typer.Option(help="Instead of pictures: a recording for the Rerun viewer, .rrd.")
    ] = None,
    foxglove: Annotated[
        Path | None, typer.Option(help="Instead of pictures: an .mcap of Foxglove's own messages.")
    ] = None,
) -> None:
    """Draw cameras with projected voxels, the scene in 3D, a map and the ground truth, without a display."""
    if rerun is not None or foxglove is not None:
        from flashocc_ros.view.foxglove_log import write_mcap
        from flashocc_ros.view.rerun_log import write_rrd

        for path, write in ((rerun, write_rrd), (foxglove, write_mcap)):
            if path is not None:
                typer.echo(write_for_viewer(source, path, write, limit or 0))
        return
    from flashocc_ros.bags.results import count_results
    from flashocc_ros.errors import ConfigError
    from flashocc_ros.progress import Progress
    from flashocc_ros.remote import only_local
    from flashocc_ros.viz.album import write_album
    from flashocc_ros.viz.arrays import draw_arrays

    if video not in ("mp4", "gif", "none"):
        raise ConfigError(f"--video is {video!r}; choose mp4, gif or none")
    if color not in ("class", "object"):
        raise ConfigError(f"--color is {color!r}; choose class or object")
    if source.suffix == ".npz":
        typer.echo(draw_arrays(only_local(source, "an NPZ file"), out, width, by_object=color == "object"))
        return
    total = count_results(source)
    with Progress() as progress:
        progress.begin("drawing", min(total, limit or total) or None)
        album = write_album(
            source,
            out,
            None if video == "none" else out / f"video.{video}",
            rate_hz=rate,
            width=width,
            limit=limit,
            by_object=color == "object",
            progress=progress,
        )
    typer.echo(
        f"{out}: {counted(len(album.pictures), 'picture')}" + (f" and {album.video.name}" if album.video else "")
    )
