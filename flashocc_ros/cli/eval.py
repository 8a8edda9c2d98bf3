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

"""``flashocc eval``: mIoU, RayIoU and RayPQ of a checkpoint or an exported engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from flashocc_ros.cli.options import (
    VARIANT_HELP,
    BaseFrame,
    FisheyeRays,
    MaskName,
    TfPrefix,
    comma_separated,
    complete_engine,
    complete_precision,
    complete_variant,
    fisheye_of,
    mask_of,
    seed_range,
)
from flashocc_ros.engine_names import ENGINE_HELP, PRECISION_HELP

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Examples: flashocc eval --variant synthetic-tiny --seeds 1000:1010. "
    "flashocc eval --variant flashocc-r50-M0 --checkpoint M0.pth --nuscenes data/nuscenes --engine torch. "
    "flashocc eval --bag drive_1000. flashocc eval --checkpoint runs/van/best.safetensors --labels labels/held_out. "
    "flashocc eval --drop-cameras all --perturb 'extrinsics=1,0 0,10'"
)
def evaluate(
    variant: Annotated[str, typer.Option(help=VARIANT_HELP, autocompletion=complete_variant)] = "synthetic-tiny",
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights, or the folder of an export; default: shipped.")
    ] = None,
    engine: Annotated[str, typer.Option(help=ENGINE_HELP, autocompletion=complete_engine)] = "auto",
    precision: Annotated[str, typer.Option(help=PRECISION_HELP, autocompletion=complete_precision)] = "auto",
    seeds: Annotated[str | None, typer.Option(help="Synthetic drives FIRST:STOP; 1000 and up are held out.")] = None,
    frames: Annotated[int, typer.Option(min=1, help="Key frames per synthetic drive.")] = 8,
    interval: Annotated[float, typer.Option(min=0.05, max=5.0, help="Seconds between them.")] = 0.5,
    bag: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH|URL", help="Recording with ground truth, or a pattern of several; may be repeated."),
    ] = None,
    labels: Annotated[list[Path] | None, typer.Option(help="Folder of `flashocc label`; may be repeated.")] = None,
    base_frame: BaseFrame = "base_link",
    tf_prefix: TfPrefix = "",
    nuscenes: Annotated[Path | None, typer.Option(help="nuScenes folder with gts/ of Occ3D beside samples/.")] = None,
    version: Annotated[str, typer.Option(help="nuScenes version.")] = "v1.0-trainval",
    split: Annotated[str, typer.Option(help="nuScenes split or comma-separated scene names.")] = "val",
    cameras: Annotated[
        str, typer.Option(help="These cameras of --bag or --nuscenes in this order, separated by commas.")
    ] = "",
    mask: MaskName = "camera",
    drop_cameras: Annotated[
        str | None,
        typer.Option(
            help="Instead: accuracy without each camera, and with ever fewer, lost in this order (names, or all: from "
            "the rig's last to its first). A lost camera is masked as the node does it."
        ),
    ] = None,
    perturb: Annotated[
        list[str] | None,
        typer.Option(
            help="Instead: accuracy with a calibration that is off, 'extrinsics=DEG,CM', several pairs separated by "
            "blanks; each camera about an axis and in a direction of its own, the same for a whole drive."
        ),
    ] = None,
    fisheye: FisheyeRays = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes that share the sequences.")] = 1,
    output: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file.")] = None,
) -> None:
    """Measure a network against ground truth; prints the tables of the reference."""
    from functools import partial

    from flashocc_ros.engine.select import resolved_precision
    from flashocc_ros.errors import ConfigError, InputError
    from flashocc_ros.evaluation.frames import BagFrames, EvalData, LabelFrames, SyntheticFrames
    from flashocc_ros.evaluation.robustness import (
        Question,
        calibration_errors,
        format_robustness,
        lost_cameras,
        score_robustness,
    )
    from flashocc_ros.evaluation.run import PredictorSettings, format_tables
    from flashocc_ros.evaluation.run import evaluate as run
    from flashocc_ros.progress import Progress
    from flashocc_ros.variants import get_variant
    from flashocc_ros.whole_file import check_writable, write_whole

    if output is not None:
        check_writable(output)
    counting = mask_of(mask)
    if sum(choice is not None for choice in (seeds, bag or None, labels or None, nuscenes)) > 1:
        raise ConfigError("choose one of --seeds, --bag, --labels and --nuscenes")
    if labels and mask == "none":
        raise ConfigError("--mask none counts every voxel, and labels do not know every voxel; choose camera or lidar")
    names = comma_separated(cameras)
    if names and not (bag or nuscenes):
        raise ConfigError("--cameras chooses among those of --bag or --nuscenes")
    row = get_variant(variant)
    data: EvalData
    if nuscenes is not None:
        from flashocc_ros.data.nuscenes_tables import CAMERAS
        from flashocc_ros.evaluation.nuscenes_frames import NuScenesFrames

        data = NuScenesFrames(nuscenes, version, split, names or CAMERAS)
    elif labels:
        data = LabelFrames(tuple(labels), row.grid, row.classes)
    elif bag:
        from flashocc_ros.bags import Frames
        from flashocc_ros.remote import expand

        rays = fisheye_of(fisheye) or "rectify"
        data = BagFrames(tuple(expand(bag)), Frames.of(base_frame, tf_prefix), names or None, rays)
    else:
        data = SyntheticFrames(seed_range(seeds or "1000:1005"), frames, interval, row.grid)
    question = None
    if drop_cameras is not None or perturb:
        errors = tuple(pair for text in perturb or () for pair in calibration_errors(text))
        question = Question(None if drop_cameras is None else lost_cameras(drop_cameras), errors)
    precision = resolved_precision(checkpoint, precision)
    settings = PredictorSettings(variant, str(checkpoint) if checkpoint else None, engine, precision)
    with Progress() as progress:
        progress.begin("evaluating")
        scores = run(
            data,
            settings,
            counting,
            processes,
            progress,
            partial(score_robustness, question=question) if question is not None else None,
        )
    if not scores.frames:
        raise InputError("nothing was measured: no frame could be used; see the warnings above")
    result = {"variant": row.name, "engine": engine, "precision": precision, **scores.result()}
    typer.echo(format_tables(result) if question is None else format_robustness(result))
    if output is not None:
        write_whole(output, json.dumps(result, indent=2) + "\n")
