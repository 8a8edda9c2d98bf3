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

"""``flashocc predict``: pictures or a recording in, occupancy files out, without ROS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flashocc_ros.cli.options import (
    VARIANT_HELP,
    BaseFrame,
    FisheyeRays,
    Place,
    TfPrefix,
    Untrained,
    check_trained,
    comma_separated,
    complete_engine,
    complete_precision,
    complete_variant,
    completing,
    counted,
    fisheye_of,
    place,
)
from flashocc_ros.engine_names import ENGINE_HELP, PRECISION_HELP

if TYPE_CHECKING:
    from flashocc_ros.structures import Occupancy

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_WRITERS: dict[str, Callable[[Occupancy, Path], None]] = {
    "npz": lambda result, path: result.save(path),
    "ply": lambda result, path: result.to_ply(path),
    "pcd": lambda result, path: result.to_pcd(path),
}


@app.command(
    epilog="Example: flashocc predict drive_bag --variant flashocc-r50-M0 --checkpoint M0.pth --png. "
    "A folder holds calibration.yaml (K, T_base_cam per camera) and either one picture per camera, named by its image "
    "entry, or sequences: <camera>/<stamp_ns>.jpg, any names with <camera>/timestamps.csv (name,stamp_ns), or videos "
    "<camera>.mp4; and poses.csv. docs/own_folder.md describes it; `flashocc init-rig FOLDER` writes a calibration to "
    "fill in."
)
def predict(
    source: Annotated[
        Place,
        typer.Argument(parser=place, help="A folder with calibration.yaml and pictures, or a rosbag2 or its URL."),
    ],
    variant: Annotated[str, typer.Option(help=VARIANT_HELP, autocompletion=complete_variant)] = "flashocc-r50-M0",
    checkpoint: Annotated[Path | None, typer.Option(help="Weights (.pth or .safetensors).")] = None,
    engine: Annotated[str, typer.Option(help=ENGINE_HELP, autocompletion=complete_engine)] = "auto",
    precision: Annotated[str, typer.Option(help=PRECISION_HELP, autocompletion=complete_precision)] = "auto",
    out: Annotated[Place, typer.Option(parser=place, help="Folder or URL for the files, named by stamp.")] = Path(
        "out/predict"
    ),
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="Of the files, one or more of npz (`Occupancy.load` reads it), ply, pcd, by commas.",
            autocompletion=completing("npz", "ply", "pcd"),
        ),
    ] = "npz",
    png: Annotated[bool, typer.Option("--png", help="Also draw each result.")] = False,
    calibration: Annotated[Path | None, typer.Option(help="Instead of calibration.yaml in the folder.")] = None,
    cameras: Annotated[str, typer.Option(help="Of a bag: these cameras in this order, separated by commas.")] = "",
    base_frame: BaseFrame = "base_link",
    tf_prefix: TfPrefix = "",
    bit_depth: Annotated[
        int, typer.Option(help="Of a bag: bits that the sensor uses of 16 bit images, 8 to 16; 0 is all.")
    ] = 0,
    fisheye: FisheyeRays = None,
    untrained: Untrained = False,
    limit: Annotated[int, typer.Option(min=0, help="Stop after this many sets; 0 is all.")] = 0,
    cache_dir: Annotated[Path | None, typer.Option(help="Where built engines are kept.")] = None,
) -> None:
    """Predict occupancy for a folder of images or a bag, without ROS."""
    import numpy as np
    from rich.console import Console

    from flashocc_ros import Predictor, weights
    from flashocc_ros.bags.files import is_recording
    from flashocc_ros.bags.results import is_drawn
    from flashocc_ros.data.predicted import Predicted
    from flashocc_ros.errors import InputError
    from flashocc_ros.progress import Progress
    from flashocc_ros.remote import output_file
    from flashocc_ros.variants import get_variant
    from flashocc_ros.whole_file import make_folder

    kinds = _kinds(formats)
    if isinstance(out, Path):
        make_folder(out)
    names = comma_separated(cameras)
    read = Predicted(
        source=source,
        calibration=calibration,
        cameras=names,
        base_frame=base_frame,
        tf_prefix=tf_prefix,
        bit_depth=bit_depth,
        fisheye=fisheye_of(fisheye),
    )
    sets, count = read.sets(get_variant(variant).temporal)
    sets = _begun(sets)
    check_trained(variant, checkpoint, untrained)
    predictor = Predictor(variant, checkpoint, engine, precision, cache_dir=cache_dir)
    note = weights.note(predictor.trained_on, is_recording(source) and is_drawn(source))
    runs_on = predictor.backend.describe()
    read.model_copy(update={"variant": predictor.variant.name, "runs_on": runs_on, "note": note}).write(out)
    console = Console(stderr=True)
    console.print(predictor.description, highlight=False)
    timings: dict[str, list[float]] = {}
    done, written = 0, set[str]()
    with Progress() as progress:
        progress.begin("predicting", min(count, limit) if count and limit else (limit or count))
        for item in sets:
            result = predictor.predict(item)
            for kind in kinds:
                with output_file(out / f"{result.stamp_ns}.{kind}") as path:
                    _WRITERS[kind](result, path)
                written.add(f"{result.stamp_ns}.{kind}")
            if png:
                with output_file(out / f"{result.stamp_ns}.png") as path:
                    _draw(path, result, item, predictor, note)
            for stage, value_ms in result.timings.items():
                timings.setdefault(stage, []).append(value_ms)
            done += 1
            progress(done)
            if done == limit:
                break
    if not done:
        raise InputError(f"{source} gave no result: none of its sets can be used; see the warnings above")
    stages = ", ".join(f"{stage} {np.median(values):.0f}" for stage, values in timings.items())
    typer.echo(f"{counted(done, 'set')} -> {out}; median ms: {stages}")
    if isinstance(out, Path) and (others := _results(out) - written):
        typer.echo(
            f"{out} holds {counted(len(others), 'file')} of earlier runs too, e.g. {min(others)}; `flashocc view` "
            "shows all of them; give another --out, or remove them",
            err=True,
        )


def _results(folder: Path) -> set[str]:
    """Names of what this command writes per set."""
    return {path.name for path in folder.iterdir() if path.suffix[1:] in _WRITERS and path.stem.isdecimal()}


def _begun(sets: Iterable[Any]) -> Iterator[Any]:
    """The same sets, the first of them read: what cannot be used is refused before a network is loaded or built."""
    rest = iter(sets)
    return chain([*islice(rest, 1)], rest)


def _kinds(formats: str) -> list[str]:
    from flashocc_ros.errors import ConfigError

    kinds = [kind.strip() for kind in formats.split(",")]
    if wrong := [kind for kind in kinds if kind not in _WRITERS]:
        raise ConfigError(f"--format {wrong[0]!r} is none of {', '.join(_WRITERS)}")
    return kinds


def _draw(path: Path, result: Occupancy, item: Any, predictor: Any, note: str) -> None:
    from flashocc_ros.bags.results import rig_at_key
    from flashocc_ros.viz.render import Figure, render_figure
    from flashocc_ros.viz.video import write_png

    figure = Figure(
        result.semantics,
        instances=result.instances,
        images=item.images,
        rig=rig_at_key(item),
        title=predictor.variant.name,
        note=note,
        details=(f"{result.stamp_ns / 1e9:.3f} s",),
        grid=result.grid,
        classes=result.classes,
    )
    write_png(path, render_figure(figure))
