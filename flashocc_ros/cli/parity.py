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

"""``flashocc parity``: a network against stored reference outputs, or an export against the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flashocc_ros.cli.options import complete_variant
from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.variants import VARIANTS, Variant, get_variant, is_file

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from flashocc_ros.checks.golden_parity import Parity

app = typer.Typer(add_completion=False, rich_markup_mode=None)

EPILOG = (
    "Examples: flashocc parity flashocc-r50-M0 --checkpoint w.safetensors --golden flashocc-r50-M0.npz --images FRAME"
    " | flashocc parity EXPORT_DIR --variant flashocc-r50-M0 --checkpoint weights.pth"
)
REFERENCE_CAMERAS = ("FRONT_LEFT", "FRONT", "FRONT_RIGHT", "BACK_LEFT", "BACK", "BACK_RIGHT")


@app.command(epilog=EPILOG)
def parity(
    target: Annotated[str, typer.Argument(help="A variant, or the folder of an export.")],
    golden: Annotated[list[Path] | None, typer.Option(help="Stored reference output (.npz); may be repeated.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Weights the reference output was made with.")] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder with the pictures CAM_FRONT.jpg, ...; for an export also a bag, default noise."),
    ] = None,
    align: Annotated[str, typer.Option(help="warp, lift, or auto: what the reference did.")] = "auto",
    variant: Annotated[
        str | None,
        typer.Option(help="The exported variant, where TARGET is an export.", autocompletion=complete_variant),
    ] = None,
) -> None:
    """Compare a variant or an export with its reference, stage by stage."""
    if target not in VARIANTS and Path(target).is_dir():
        _compare_export(Path(target), variant, checkpoint, images)
        return
    if target not in VARIANTS and not is_file(target) and ("/" in target or variant is not None):
        raise ConfigError(
            f"{target} is no folder; write an export there with `flashocc export --variant NAME --out {target}`"
        )
    row = get_variant(target)
    if not golden or images is None or checkpoint is None:
        raise ConfigError(
            "comparing a network needs --golden FILE, --images FOLDER and --checkpoint WEIGHTS the file was made with"
        )
    if align not in ("auto", "warp", "lift"):
        raise ConfigError(f"--align is {align!r}, must be auto, warp or lift")
    _compare_goldens(row, golden, checkpoint, images, align)


def _compare_export(folder: Path, variant: str | None, checkpoint: Path | None, frames: Path | None) -> None:
    if variant is None:
        raise ConfigError(
            "comparing an export needs --variant NAME (and --checkpoint for the weights it was made from)"
        )
    from rich.console import Console

    from flashocc_ros.checks.export_parity import compare_export

    with Console(stderr=True).status(f"comparing {folder} with the network"):
        result = compare_export(folder, variant, checkpoint, frames)
    typer.echo("\n".join(result.lines()))
    if not result.ok:
        raise typer.Exit(1)


def _compare_goldens(row: Variant, files: list[Path], checkpoint: Path, images: Path, align: str) -> None:
    from rich.progress import track

    from flashocc_ros.checks.golden_parity import compare_golden, read_golden
    from flashocc_ros.model.build import build_model
    from flashocc_ros.model.checkpoint import load_checkpoint

    goldens = [read_golden(file, row) for file in files]
    pictures = _network_input(images, row)
    model = build_model(row)
    model.load_state_dict(load_checkpoint(checkpoint, row))
    passed = True
    for item in track(goldens, description="comparing", transient=True):
        chosen = item.align if align == "auto" else align
        result = compare_golden(model, item, pictures, chosen)  # type: ignore[arg-type]
        _show(result)
        passed &= result.passed
    if not passed:
        raise typer.Exit(1)


def _network_input(folder: Path, row: Variant) -> npt.NDArray[np.float32]:
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    from flashocc_ros.pipeline.preprocess import image_transform, network_input

    pictures = []
    for camera in REFERENCE_CAMERAS:
        file = folder / f"CAM_{camera}.jpg"
        try:
            pictures.append(np.asarray(Image.open(file).convert("RGB")))
        except (OSError, UnidentifiedImageError):
            raise InputError(f"cannot read {file}; --images needs a folder with one CAM_*.jpg per camera") from None
    return network_input(pictures, [image_transform(picture.shape[:2], row) for picture in pictures])


def _show(result: Parity) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("stage", "max difference / std", "beyond 1e-3", "", title=f"{result.golden} ({result.align})")
    for stage in result.stages:
        beyond = f"{stage.outliers} of {stage.size}"
        table.add_row(stage.name, f"{stage.max_std:.1e}", beyond, "ok" if stage.passed else "FAILED")
    Console().print(table)
    typer.echo(
        f"{'ok' if result.passed else 'FAILED'}: {result.wrong_voxels} wrong voxels, {result.differing_voxels} differ, "
        f"all but the wrong ones within rounding; kept points differ by {result.point_difference}"
    )
    if result.instances is not None:
        found = result.instances
        typer.echo(
            f"{'ok' if found.passed else 'FAILED'}: {found.centers} centres of {found.expected}, "
            f"at most {found.max_m:.1e} m apart; {found.differing_voxels} voxels belong to another instance"
        )
