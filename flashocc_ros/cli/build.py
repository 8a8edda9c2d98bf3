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

"""``flashocc build``: fill the engine cache, so that a node starts in seconds and needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flashocc_ros.cli.options import (
    VARIANT_HELP,
    BaseFrame,
    FisheyeRays,
    TfPrefix,
    VariantByPlace,
    complete_precision,
    complete_variant,
    completing,
    fisheye_of,
    one_variant,
)
from flashocc_ros.engine_names import AUTO, EXPORT_ENGINES, PRECISION_HELP, one_of
from flashocc_ros.ranges import MAX_CAMERAS

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Example: flashocc build --variant flashocc-r50-M0 --checkpoint m0.pth --precision int8 --calibration my_bag"
)
def build(
    by_place: VariantByPlace = None,
    variant: Annotated[
        str | None,
        typer.Option(help=f"{VARIANT_HELP} May be left out with --prune.", autocompletion=complete_variant),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights, .pth or .safetensors; default: the shipped ones, else untrained.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help=f"{one_of((AUTO, *EXPORT_ENGINES))}.", autocompletion=completing(AUTO, *EXPORT_ENGINES))
    ] = "auto",
    precision: Annotated[str, typer.Option(help=PRECISION_HELP, autocompletion=complete_precision)] = "auto",
    cameras: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_CAMERAS, help="Number of cameras of the vehicle; default: the variant's."),
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Recording or frame folders of this vehicle: needed once for int8.")
    ] = None,
    base_frame: BaseFrame = "base_link",
    tf_prefix: TfPrefix = "",
    fisheye: FisheyeRays = None,
    cache_dir: Annotated[Path | None, typer.Option(help="Default: ~/.cache/flashocc_ros.")] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove from the cache what was not used for long, or is too much.")
    ] = False,
    keep_days: Annotated[float, typer.Option(min=0.0, help="With --prune: keep what was used in this time.")] = 90.0,
    keep_gb: Annotated[
        float, typer.Option(min=0.0, help="With --prune: then the longest unused goes until the rest is this small.")
    ] = 20.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress display.")] = False,
) -> None:
    """Build engines ahead of time; a second run finds them and does nothing."""
    from time import monotonic

    from rich.console import Console

    from flashocc_ros.bags import Frames
    from flashocc_ros.engine.build import fill_cache
    from flashocc_ros.errors import ConfigError

    variant = one_variant(variant, by_place)
    if variant is None and not prune:
        raise ConfigError("name a network out of `flashocc variants` to build with --variant, or give --prune")
    if prune:
        from flashocc_ros.engine.store.prune import prune as prune_cache

        pruned = prune_cache(cache_dir, keep_days, keep_gb)
        typer.echo(
            f"removed {len(pruned.removed)} of the cache's entries, {pruned.freed_bytes / 1e9:.2f} GB; "
            f"{pruned.kept_bytes / 1e9:.2f} GB stay"
        )
    if variant is None:
        return
    started = monotonic()
    with Console(stderr=True, quiet=quiet).status(f"building {variant}"):
        description = fill_cache(
            variant,
            checkpoint,
            engine,
            precision,
            cameras,
            calibration,
            cache_dir,
            Frames.of(base_frame, tf_prefix),
            fisheye_of(fisheye),
        )
    typer.echo(f"{variant}: {description}, ready in {monotonic() - started:.1f} s")
