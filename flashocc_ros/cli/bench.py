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

"""``flashocc bench``: how fast a variant is on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from flashocc_ros.cli.options import (
    VARIANT_HELP,
    BaseFrame,
    TfPrefix,
    VariantByPlace,
    complete_engine,
    complete_precision,
    complete_variant,
    completing,
    one_variant,
)
from flashocc_ros.engine_names import ENGINE_HELP, PRECISION_HELP

app = typer.Typer(add_completion=False, rich_markup_mode=None)

DEFAULT = "flashocc-r50-M0"


@app.command(epilog="Example: flashocc bench --variant flashocc-r50-M0 --engine openvino --baseline reference --json")
def bench(
    by_place: VariantByPlace = None,
    variant: Annotated[
        str | None, typer.Option(help=f"{VARIANT_HELP} Default: {DEFAULT}.", autocompletion=complete_variant)
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights; default: the shipped ones, else untrained (as fast).")
    ] = None,
    engine: Annotated[str, typer.Option(help=ENGINE_HELP, autocompletion=complete_engine)] = "auto",
    precision: Annotated[str, typer.Option(help=PRECISION_HELP, autocompletion=complete_precision)] = "auto",
    baseline: Annotated[
        str,
        typer.Option(
            help="reference: also run the published way (Pillow, eager network) and print ratios.",
            autocompletion=completing("none", "reference"),
        ),
    ] = "none",
    frames: Annotated[
        Path | None, typer.Option(help="Recording or frame folder to take the pictures from; default: noise.")
    ] = None,
    base_frame: BaseFrame = "base_link",
    tf_prefix: TfPrefix = "",
    runs: Annotated[int, typer.Option(min=1, max=10_000, help="Measured frames.")] = 10,
    cache_dir: Annotated[Path | None, typer.Option(help="Default: ~/.cache/flashocc_ros.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Median CPU and wall time per stage, six JPEGs in and labels out."""
    from flashocc_ros.bags import Frames
    from flashocc_ros.checks.speed import ReferencePipeline
    from flashocc_ros.checks.speed import bench as measure
    from flashocc_ros.data.frames import first_frame
    from flashocc_ros.engine.select import find_checkpoint
    from flashocc_ros.errors import ConfigError
    from flashocc_ros.predictor import Predictor
    from flashocc_ros.progress import Progress
    from flashocc_ros.variants import get_variant

    if baseline not in ("none", "reference"):
        raise ConfigError(f"unknown baseline {baseline!r}; choose none or reference")
    row = get_variant(one_variant(variant, by_place) or DEFAULT)
    reference = ReferencePipeline(row, find_checkpoint(row, checkpoint)) if baseline == "reference" else None
    frame = None if frames is None else first_frame(frames, Frames.of(base_frame, tf_prefix))
    predictor = Predictor(row, checkpoint, engine, precision, cache_dir=cache_dir)
    with Progress(quiet) as progress:
        progress.begin(f"measuring {row.name}", runs)
        report = measure(predictor, frame, runs, reference, progress)
    typer.echo(json.dumps(report, indent=1) if as_json else _text(report))


def _text(report: dict[str, Any]) -> str:
    machine = report["machine"]
    lines = [
        f"{report['engine']}, {report['variant']}{'' if report['trained'] else ' (untrained weights)'}",
        f"{machine['cpu']}, {machine['cores']} cores, GPU {machine['gpu'] or 'none'}; {report['geometry']}",
        f"{'median of ' + str(report['runs']):<16}{'CPU ms':>10}{'wall ms':>10}",
    ]
    sums = {"engine only": "engine_only", "without JPEG": "frame", "end to end": "end_to_end"}
    rows = {**report["stages"], **{name: report[key] for name, key in sums.items()}}
    if "baseline" in report:
        rows["reference"] = report["baseline"]
    lines += [f"{name:<16}{row['cpu_ms']:>10.1f}{row['wall_ms']:>10.1f}" for name, row in rows.items()]
    if "device_ms" in report:
        lines.append("on the device: " + ", ".join(f"{g} {ms:.2f} ms" for g, ms in report["device_ms"].items()))
    if "ratio" in report:
        ratio = report["ratio"]
        lines.append(
            f"reference / this: {ratio['cpu']:.2f} in CPU time, {ratio['wall']:.2f} in wall time; "
            f"{100 * report['agreement']:.3f} % of voxels equal"
        )
    return "\n".join(lines)
