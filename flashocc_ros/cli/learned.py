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

"""What a run learned: numbers and a picture of held-out drives, before and after it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flashocc_ros.evaluation.frames import EvalFrame, SyntheticFrames
from flashocc_ros.evaluation.run import PredictorSettings, evaluate
from flashocc_ros.labels import ClassTable
from flashocc_ros.model.checkpoint import PREDICTS
from flashocc_ros.predictor import Predictor
from flashocc_ros.structures import CameraRig
from flashocc_ros.training.checkpoint import WEIGHTS, export_weights
from flashocc_ros.training.config import HeldOut, TrainConfig
from flashocc_ros.training.loop import initial_model
from flashocc_ros.variants import get_variant
from flashocc_ros.viz.comparison import render_comparison
from flashocc_ros.viz.video import write_png
from flashocc_ros.whole_file import write_whole

NUMBERS, PICTURE = "learned.json", "learned.png"
START, NOW = "at the start", "after training"
SHOWN_CAMERAS = 3
TOTALS = {"mIoU": "mIoU", "RayIoU": "RayIoU", "above_ground_occupied_IoU": "occupied above the ground, IoU"}


def show_learned(config: TrainConfig, held_out: HeldOut, out: Path, quiet: bool) -> None:
    """Measure the weights that ``config`` starts from and those in ``out``; print both and draw one frame.

    Leaves ``learned.json`` and ``learned.png`` in ``out``.
    """
    row = get_variant(config.variant)
    data = SyntheticFrames(tuple(held_out.seeds), held_out.frames_per_drive, grid=row.grid)
    with Console(stderr=True, quiet=quiet).status("measuring on drives it has not seen"):
        with tempfile.TemporaryDirectory() as folder:
            start, notes = Path(folder) / "start.safetensors", {"variant": row.name, PREDICTS: row.predicts}
            export_weights(start, initial_model(config)[0].state_dict(), notes, half=False)
            files = {START: start, NOW: out / WEIGHTS}
            results = {name: _measured(data, config.variant, file) for name, file in files.items()}
            frame = next(iter(data.frames(held_out.seeds[0])))
            rig = frame.rig
            assert rig is not None  # drawn frames have one
            volumes = [(name, _predicted(config.variant, file, frame, rig)) for name, file in files.items()]
        picture = render_comparison(
            [*volumes, ("ground truth", frame.labels_of(row.grid, row.classes))],
            list(zip(rig.names, frame.images, strict=True))[:SHOWN_CAMERAS],
            row.name,
            (f"drive {held_out.seeds[0]}", f"{config.schedule.iterations} iterations"),
            row.grid,
            row.classes,
        )
    write_png(out / PICTURE, picture)
    write_whole(out / NUMBERS, json.dumps({"seeds": held_out.seeds, **results}, indent=2) + "\n")
    Console(highlight=False).print(_table(results, held_out.seeds, row.classes))
    Console(highlight=False).print(f"picture: {out / PICTURE}; numbers: {out / NUMBERS}", soft_wrap=True)


def _measured(data: SyntheticFrames, variant: str, file: Path) -> dict[str, Any]:
    result = evaluate(data, PredictorSettings(variant, str(file), "torch")).result()
    return {"frames": result["frames"], **{key: result[key] for key in TOTALS}, "IoU": result["IoU"]}


def _predicted(variant: str, file: Path, frame: EvalFrame, rig: CameraRig) -> Any:
    predict = Predictor(variant, file, "torch")
    return predict(frame.images, rig, frame.odom_from_base, frame.stamp_ns).semantics


def _table(results: dict[str, dict[str, Any]], seeds: Sequence[int], classes: ClassTable) -> Table:
    """The totals, then the classes that are there, the best ones first."""
    table = Table(f"held-out drives {', '.join(map(str, seeds))}", *results, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for key, name in TOTALS.items():
        table.add_row(name, *(_number(result[key]) for result in results.values()))
    found = [classes.names[c] for c in classes.solid if results[NOW]["IoU"][classes.names[c]]]
    for name in sorted(found, key=lambda name: -results[NOW]["IoU"][name]):
        table.add_row(f"  {name.replace('_', ' ')}", *(_number(result["IoU"][name]) for result in results.values()))
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
