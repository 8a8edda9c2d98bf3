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

"""``flashocc demo``: a drive through the node over DDS, and pictures of what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flashocc_ros.cli.options import (
    VARIANT_HELP,
    BaseFrame,
    FisheyeRays,
    TfPrefix,
    Untrained,
    check_trained,
    complete_engine,
    complete_precision,
    complete_variant,
    fisheye_of,
)
from flashocc_ros.engine_names import ENGINE_HELP, PRECISION_HELP

app = typer.Typer(add_completion=False, rich_markup_mode=None)

GENERATED_VARIANT, RECORDED_VARIANT = "synthetic-tiny-4d", "flashocc-r50-M0"


@app.command(
    epilog="Example: flashocc demo, or: flashocc demo --bag drive --variant flashocc-r50-M0 --checkpoint m0.pth"
)
def demo(
    bag: Annotated[Path | None, typer.Option(help="Recording to show; default: a drive is generated.")] = None,
    variant: Annotated[
        str,
        typer.Option(
            help=f"{VARIANT_HELP} Default: {GENERATED_VARIANT}, or {RECORDED_VARIANT} for a recording.",
            autocompletion=complete_variant,
        ),
    ] = "",
    checkpoint: Annotated[
        str, typer.Option(help="Weights or the folder of an export; default: the shipped ones, if any.")
    ] = "",
    engine: Annotated[str, typer.Option(help=ENGINE_HELP, autocompletion=complete_engine)] = "auto",
    precision: Annotated[str, typer.Option(help=PRECISION_HELP, autocompletion=complete_precision)] = "auto",
    rate: Annotated[
        float, typer.Option(min=0.0, max=100.0, help="Speed of the replay; 1 is real time, 0 waits for every answer.")
    ] = 0.0,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("out"),
    seed: Annotated[int, typer.Option(min=0, help="Which drive is generated.")] = 1000,
    seconds: Annotated[
        float | None, typer.Option(min=0.5, max=600.0, help="Length of the generated drive; default: 6, of a film 20.")
    ] = None,
    film: Annotated[
        bool,
        typer.Option(
            "--film", help="A generated drive of 20 s at 10 sets/s for a film (10 MB); takes 8 minutes of CPU time."
        ),
    ] = False,
    base_frame: BaseFrame = "base_link",
    tf_prefix: TfPrefix = "",
    fisheye: FisheyeRays = None,
    untrained: Untrained = False,
    pictures: Annotated[bool, typer.Option(help="Draw pictures and a video.")] = True,
) -> None:
    """Start the node, replay a drive, record the results, draw them, and print a table."""
    from flashocc_ros.bags import Frames
    from flashocc_ros.demo.inputs import (
        FILM_PICTURE_EVERY,
        FILM_SECONDS,
        FILM_SETS_PER_S,
        SECONDS,
        SETS_PER_S,
        GeneratedDrive,
    )
    from flashocc_ros.demo.run import Options, run
    from flashocc_ros.demo.settings import Network
    from flashocc_ros.engine.select import resolved_precision
    from flashocc_ros.errors import ConfigError
    from flashocc_ros.variants import get_variant, is_file

    variant = variant or (GENERATED_VARIANT if bag is None else RECORDED_VARIANT)
    row = get_variant(variant)
    if is_file(variant):  # the node is another process, which may have another folder
        variant = str(Path(variant).resolve())
    if checkpoint and not Path(checkpoint).exists():
        raise ConfigError(
            f"--checkpoint {checkpoint} does not exist; give a .pth or .safetensors file, or the folder of an export"
        )
    if bag is None or bag.exists():  # a recording that is not there is the first thing to say
        check_trained(variant, checkpoint, untrained)
    if film and (bag is not None or not pictures):
        raise ConfigError("--film draws a drive of its own and pictures; leave out --bag and --no-pictures")
    usual_s, sets_per_s = (FILM_SECONDS, FILM_SETS_PER_S) if film else (SECONDS, SETS_PER_S)
    drive = GeneratedDrive(seed, usual_s if seconds is None else seconds, sets_per_s, row.grid, row.classes)
    rays = fisheye_of(fisheye) or "rectify"
    network = Network(variant, checkpoint, engine, resolved_precision(checkpoint, precision), rays)
    every = FILM_PICTURE_EVERY if film else 1
    run(Options(bag, network, rate, out, drive, pictures, every, Frames.of(base_frame, tf_prefix)))
