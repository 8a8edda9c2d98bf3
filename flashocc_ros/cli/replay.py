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

"""``flashocc replay``: play a rosbag2 into DDS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flashocc_ros.cli.options import comma_separated

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Example: flashocc replay drive --rate 0.5 --loop, or, so that a slow machine skips nothing: "
    "flashocc replay drive --lockstep occupancy"
)
def replay(
    bag: Annotated[Path, typer.Argument(help="Recording: a rosbag2 folder (mcap or sqlite3) or its file.")],
    rate: Annotated[float, typer.Option(min=0.001, max=1000.0, help="Speed; 1 is real time.")] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Start again at the end, until interrupted.")] = False,
    start: Annotated[float, typer.Option(min=0.0, help="Begin this many seconds into the recording.")] = 0.0,
    topics: Annotated[str, typer.Option(help="Only these topics, separated by commas.")] = "",
    clock: Annotated[bool, typer.Option("--clock", help="Publish /clock, for nodes with use_sim_time.")] = False,
    lockstep: Annotated[
        str, typer.Option(metavar="TOPIC", help="Send the next camera set when this topic has answered the last.")
    ] = "",
    wait_for: Annotated[
        str, typer.Option(help="Begin when each of these topics has a subscriber; 'cameras' stands for all of them.")
    ] = "",
    wait: Annotated[float, typer.Option(min=0.0, help="Wait at most this many seconds for subscribers.")] = 10.0,
    report: Annotated[Path | None, typer.Option(help="Write what was sent, and when, to this JSON file.")] = None,
) -> None:
    """Play a recording into DDS, each topic with its recorded quality of service."""
    from flashocc_ros.replay.run import Options, run

    run(
        Options(
            bag=bag,
            rate=rate,
            loop=loop,
            start_s=start,
            topics=comma_separated(topics),
            clock=clock,
            lockstep=lockstep,
            wait_for=comma_separated(wait_for),
            wait_s=wait,
            report=report,
        )
    )
