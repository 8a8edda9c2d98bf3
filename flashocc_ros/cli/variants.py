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

"""``flashocc variants``: the table of networks."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from flashocc_ros.variants import VARIANTS, Variant, get_variant
from flashocc_ros.variants.links import LICENCE, REPOSITORY, links_of

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_WHOLE: Any = {"break_on_hyphens": False, "break_long_words": False}
EPILOG = "Example: flashocc variants --json | jq '.[] | select(.panoptic) | .name'"


@app.command(epilog=EPILOG)
def variants(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A variant file (.yaml) to show instead, or a name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array with all columns.")] = False,
) -> None:
    """List every network with size, cost and published accuracy; or show what one's own variant file describes."""
    if file is not None:
        shown = counted(get_variant(file))
        typer.echo(json.dumps([describe(shown)], indent=1) if as_json else sheet(shown))
        return
    rows = [describe(variant) for variant in VARIANTS.values()]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("variant", "input", "frames", "depths", "stereo", "panoptic", "M params", "GMAC", "mIoU/RayIoU/RayPQ")
    for row in rows:
        accuracy = "/".join("-" if row[key] is None else f"{row[key]:g}" for key in ("miou", "rayiou", "raypq"))
        table.add_row(
            row["name"],
            "x".join(map(str, row["input_size"])),
            str(row["frames"]),
            str(row["depth_bins"]) + (" log" if row["sid"] else ""),
            "yes" if row["stereo"] else "-",
            "yes" if row["panoptic"] else "-",
            f"{row['params_m']:.4f}",
            "-" if row["gmacs"] is None else f"{row['gmacs']:.4f}",
            accuracy,
        )
    # The table must stay whole when piped into a file or a pager.
    Console(width=None if Console().is_terminal else 160).print(table)
    typer.echo(
        "GMAC as the reference counts: six pictures for every model. Accuracy as published, nuScenes validation."
    )
    typer.echo(f"\nThe authors' code: {REPOSITORY}. Nothing is downloaded; what they offer, by network:")
    for label in ("paper", "checkpoint"):
        names: dict[str, list[str]] = {}
        for row in rows:
            if row[label] is not None:
                names.setdefault(row[label], []).append(row["name"])
        for address, of in names.items():
            typer.echo(f"  {label:<10} {address}")
            indent = " " * 13
            typer.echo(textwrap.fill(", ".join(of), 118, initial_indent=indent, subsequent_indent=indent, **_WHOLE))
    typer.echo(f"  licence    {LICENCE}")


def counted(variant: Variant) -> Variant:
    """The row with its parameters and multiply-adds, counted where nobody did."""
    if variant.params_m is not None:
        return variant
    import torch

    from flashocc_ros.checks.complexity import count_gmacs_per_frame, count_parameters_m
    from flashocc_ros.model.network import FlashOcc

    with torch.device("meta"):
        params_m = round(count_parameters_m(FlashOcc(variant)), 4)
    return replace(
        variant, params_m=params_m, gmacs_per_frame=round(count_gmacs_per_frame(variant, variant.num_cameras), 4)
    )


def sheet(variant: Variant) -> str:
    """All of one row for people."""
    depth, table = variant.depth, variant.classes
    height, width = variant.input_size
    spacing = "log-spaced" if depth.sid else f"{depth.step_m:g} m apart"
    cameras = f"{variant.num_cameras} cameras"
    cost = f"{variant.gmacs_per_frame:.1f} GMAC per frame with {cameras}"
    lines = [
        f"{variant.name}: {variant.description}",
        f"input     {cameras}, {width}x{height} px, {variant.num_input_frames} frames, {variant.backbone}",
        f"depth     {depth.count} bins from {depth.start_m:g} to {depth.stop_m:g} m, {spacing}",
        f"grid      {variant.grid}",
        f"network   {variant.params_m:.4f} M parameters, {cost}, remembers {variant.memory_mb:.1f} MB",
        f"classes   {len(table)}, table {table.name}; {table.ignore} is not known",
    ]
    longest = max(map(len, table.names))
    for number, c in enumerate(table.classes):
        kinds = {"free": number == table.free, "thing": c.thing, "flat": c.flat}
        kind = " ".join(name for name, is_so in kinds.items() if is_so)
        color = "#" + "".join(f"{value:02x}" for value in c.color_rgb)
        like = f"  like {c.like}" if c.thing and c.like != c.name else ""
        sources = f"  from {' '.join(c.sources)}" if c.sources and c.sources != (c.name,) else ""
        lines.append(f"{number:>5} {c.name:<{longest}} {color}  cost {c.cost:>3}  {kind:<5}{like}{sources}".rstrip())
    return "\n".join(lines)


def describe(variant: Variant) -> dict[str, Any]:
    """One row for machines: plain numbers, strings and None."""
    return {
        "name": variant.name,
        "family": variant.family,
        "stands_for": variant.stands_for,
        "description": variant.description,
        "params_m": variant.params_m,
        "gmacs": variant.gmacs,
        "gmacs_per_frame": variant.gmacs_per_frame,
        "frames": variant.num_frames,
        "input_frames": variant.num_input_frames,
        "depth_bins": variant.depth.count,
        "sid": variant.depth.sid,
        "input_size": list(variant.input_size),
        "backbone": variant.backbone,
        "stereo": variant.stereo,
        "panoptic": variant.panoptic,
        **asdict(links_of(variant)),
        "memory_mb": round(variant.memory_mb, 1),
        "grid": asdict(variant.grid),
        "classes": list(variant.classes.names),
        "num_cameras": variant.num_cameras,
        "trained_on": variant.trained_on,
        "miou": variant.published.miou,
        "rayiou": variant.published.rayiou,
        "raypq": variant.published.raypq,
        "published": {
            "mIoU": variant.published.miou,
            "RayIoU": variant.published.rayiou,
            "RayPQ": variant.published.raypq,
        },
    }
