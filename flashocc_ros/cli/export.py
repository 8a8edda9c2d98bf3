"""``flashocc export``: a network as ONNX graphs with meta.json."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class PrecisionName(str, Enum):
    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


@app.command(epilog="Example: flashocc export flashocc-r50-M0 --checkpoint flashocc-r50-M0.pth --out out/m0 --fused")
def export(
    variant: Annotated[str, typer.Argument(help="Name out of `flashocc variants`.")],
    out: Annotated[Path, typer.Option(help="Folder for the graphs and meta.json; made when missing.")],
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
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress display.")] = False,
) -> None:
    """Write image_encoder.onnx, bev_head.onnx (stereo: stereo_feature.onnx) and meta.json."""
    from rich.console import Console

    from flashocc_ros.engine.export.write import export as write_export
    from flashocc_ros.engine.select import find_checkpoint
    from flashocc_ros.variants import get_variant

    row = get_variant(variant)
    weights = find_checkpoint(row, checkpoint)
    with Console(stderr=True, quiet=quiet).status(f"exporting {row.name} in {precision.value}"):
        meta = write_export(row, weights, out, precision.value, fused, calibration)
    if weights is None:
        typer.echo(f"warning: {row.name} was exported with untrained weights; give --checkpoint", err=True)
    for name, graph in meta.graphs.items():
        typer.echo(f"{out / graph.file}: {name}, {(out / graph.file).stat().st_size / 1e6:.1f} MB")
    for layer in meta.kept_layers:
        typer.echo(f"kept in {layer.precision}: {layer.graph} {layer.layer} ({layer.reason})")
    typer.echo(f"{out / 'meta.json'}: {row.name}, {meta.precision}, opset {meta.opset}")
