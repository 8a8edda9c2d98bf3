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

"""``flashocc view``: results in a browser."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from flashocc_ros.cli.options import Place, place
from flashocc_ros.cli.viewer_files import write_for_viewer

app = typer.Typer(add_completion=False, rich_markup_mode=None)

PAGE_PORT = 8000


@app.command(
    epilog="Example: flashocc view out/result, or: flashocc view out/predict --html drive.html, or beside a running "
    "node: flashocc view --live. A recording with ground truth is shown beside it. docs/viewers.md lists what the page "
    "can do."
)
def view(
    source: Annotated[
        Place | None,
        typer.Argument(
            parser=place,
            metavar="RESULT|BAG|FOLDER",
            help="A result recording or its URL, a folder of `predict`, or one .npz.",
        ),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Show what a running node publishes.")] = False,
    topic: Annotated[str, typer.Option(help="With --live: the node's occupancy topic.")] = "/occupancy",
    html: Annotated[
        Path | None, typer.Option(help="Write one file that shows it anywhere, instead of serving it.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the page, 8000 by default; 0 takes a free one.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets everybody in the network look.")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Show the camera pictures.")] = True,
    picture_width: Annotated[
        int | None, typer.Option(min=64, max=4096, help="Of pictures, in pixels; default 704, in a file 480.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Show at most so many frames; 0 is all.")] = 0,
    foxglove: Annotated[
        bool, typer.Option("--foxglove", help="Serve Foxglove and Lichtblick instead of a browser, port 8765.")
    ] = False,
) -> None:
    """Look at results in a browser: voxels, objects, cameras, path and ground truth."""
    from flashocc_ros.errors import ConfigError

    if live == (source is not None):
        raise ConfigError("give either a recording or folder to show, or --live")
    if live and html is not None:
        raise ConfigError("--html writes what was recorded; leave it or --live out")
    if foxglove and (live or html is not None):
        raise ConfigError("--foxglove plays what was recorded; leave it, or --live and --html, out")
    if foxglove and source is not None:
        _foxglove(source, port, host, pictures)
    elif source is None:
        _live(topic, PAGE_PORT if port is None else port, host, browser, pictures, picture_width)
    elif html is not None:
        _write(source, html, pictures, picture_width, limit)
    else:
        _serve(source, PAGE_PORT if port is None else port, host, browser, pictures, picture_width, limit)


def _write(source: Place, html: Path, pictures: bool, picture_width: int | None, limit: int) -> None:
    from flashocc_ros.view.recorded import FILE_PICTURE_WIDTH, write_file

    width = picture_width or FILE_PICTURE_WIDTH
    done = write_for_viewer(source, html, write_file, limit, pictures=pictures, picture_width=width)
    typer.echo(f"{done}; open it in any browser")


def _serve(
    source: Place, port: int, host: str, browser: bool, pictures: bool, picture_width: int | None, limit: int
) -> None:
    from flashocc_ros.view.pictures import WIDTH
    from flashocc_ros.view.recorded import RecordedView
    from flashocc_ros.view.sources import open_source

    shown = RecordedView(open_source(source, pictures), port, host, limit=limit, picture_width=picture_width or WIDTH)
    try:
        _announce(shown.server.url, shown.server.local_only, browser)
        _wait(threading.Event())
    finally:
        shown.close()


def _foxglove(source: Place, port: int | None, host: str, pictures: bool) -> None:
    from flashocc_ros.errors import InputError
    from flashocc_ros.view.foxglove_server import PORT, FoxgloveServer
    from flashocc_ros.view.sources import open_source

    server = FoxgloveServer(open_source(source, pictures), PORT if port is None else port, host)
    try:
        typer.echo(f"{server.url}  (open a Foxglove WebSocket connection; Ctrl-C ends it)")
        _wait(server.failed)
    finally:
        server.close()
    if server.error:
        raise InputError(server.error)


def _live(topic: str, port: int, host: str, browser: bool, pictures: bool, picture_width: int | None) -> None:
    from flashocc_ros.errors import ConfigError
    from flashocc_ros.view.pictures import WIDTH

    try:
        from flashocc_ros.ros.view_bridge import run_bridge
    except ImportError as error:
        raise ConfigError(f"--live needs rclpy and the built messages ({error}); run `make setup`") from error
    run_bridge(
        topic,
        port,
        host,
        pictures=pictures,
        picture_width=picture_width or WIDTH,
        ready=lambda url, local_only: _announce(url, local_only, browser),
    )


def _announce(url: str, local_only: bool, browser: bool) -> None:
    import os
    import sys
    import webbrowser

    typer.echo(f"{url}  (Ctrl-C ends it)")
    if not local_only:
        typer.echo("everybody who reaches this machine on that port can look", err=True)
    # without a display Python would open a browser for terminals, here
    if browser and (sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(url)


def _wait(ended: threading.Event) -> None:
    """Until Ctrl-C, SIGTERM or the event."""
    import signal

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
