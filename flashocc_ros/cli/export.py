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

"""``flashocc export``: a network as ONNX graphs with meta.json."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from flashocc_ros.cli.options import (
    VARIANT_HELP,
    BaseFrame,
    FisheyeRays,
    TfPrefix,
    VariantByPlace,
    complete_variant,
    fisheye_of,
    one_variant,
)

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class PrecisionName(str, Enum):
    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


@app.command(epilog="Example: flashocc export --variant flashocc-r50-M0 --checkpoint M0.pth --out out/m0 --fused")
def export(
    out: Annotated[Path, typer.Option(help="Folder for the graphs and meta.json; made when missing.")],
    by_place: VariantByPlace = None,
    variant: Annotated[str | None, typer.Option(help=VARIANT_HELP, autocompletion=complete_variant)] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights, .pth or .safetensors; default: the shipped ones, else untrained.")
    ] = None,
    precision: Annotated[PrecisionName, typer.Option(help="fp16 is mixed, int8 has Q/DQ nodes.")] = PrecisionName.fp32,
    fused: Annotated[
        bool, typer.Option("--fused", help="Also one plugin-free graph from pictures to labels, for one rig.")
    ] = False,
    calibration: Annotated[
        Path | None, typer.Option(help="Recording or frame folders: int8 scales, and the rig of a fused graph.")
    ] = None,
    base_frame: BaseFrame = "base_link",
    tf_prefix: TfPrefix = "",
    fisheye: FisheyeRays = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress display.")] = False,
) -> None:
    """Write image_encoder.onnx, bev_head.onnx (stereo: stereo_feature.onnx) and meta.json."""
    from rich.console import Console

    from flashocc_ros.bags import Frames
    from flashocc_ros.engine.export.write import export as write_export
    from flashocc_ros.engine.select import find_checkpoint
    from flashocc_ros.errors import ConfigError
    from flashocc_ros.variants import get_variant

    variant = one_variant(variant, by_place)
    if variant is None:
        raise ConfigError("name a network out of `flashocc variants` with --variant")
    row, frames = get_variant(variant), Frames.of(base_frame, tf_prefix)
    weights = find_checkpoint(row, checkpoint)
    with Console(stderr=True, quiet=quiet).status(f"exporting {row.name} in {precision.value}"):
        meta = write_export(
            row, weights, out, precision.value, fused, calibration, frames=frames, fisheye=fisheye_of(fisheye)
        )
    if weights is None:
        typer.echo(f"warning: {row.name} was exported with untrained weights; give --checkpoint", err=True)
    for name, graph in meta.graphs.items():
        typer.echo(f"{out / graph.file}: {name}, {(out / graph.file).stat().st_size / 1e6:.1f} MB")
    for layer in meta.kept_layers:
        typer.echo(f"kept in {layer.precision}: {layer.graph} {layer.layer} ({layer.reason})")
    typer.echo(f"{out / 'meta.json'}: {row.name}, {meta.precision}, opset {meta.opset}")
