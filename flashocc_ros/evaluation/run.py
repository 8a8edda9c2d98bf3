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

"""Run a predictor over a data set and measure it, on several processes if wanted."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.evaluation.frames import EvalData, EvalFrame
from flashocc_ros.evaluation.mean_iou import Mask, MeanIoU, above_ground, nan_mean
from flashocc_ros.evaluation.ray_iou import THRESHOLDS_M, RayIoU
from flashocc_ros.evaluation.ray_pq import RayPQ
from flashocc_ros.evaluation.rays import select_origins
from flashocc_ros.evaluation.stability import Stability
from flashocc_ros.evaluation.velocity import VelocityError
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.structures import OCC3D_GRID, Occupancy, VoxelGrid
from flashocc_ros.variants import get_variant


@dataclass(frozen=True)
class PredictorSettings:
    """How every process opens its predictor; see ``Predictor``. The variant is a name or the path of its file."""

    variant: str
    checkpoint: str | None = None
    engine: str = "auto"
    precision: str = "fp32"


@dataclass
class Scores:
    """Metrics of some sequences; adding them up is exact.

    Attributes:
        voxels: mIoU over masked voxels; rays: RayIoU; panoptic: RayPQ; stability: do ids stay with their objects;
            velocity: error of how objects move.
        above_ground: hits and union of occupied voxels above the layers of the ground, masked.
        frames: samples counted; panoptic_frames: those with instances on both sides.
        predict_s: seconds spent in the predictor.
    """

    voxels: MeanIoU
    rays: RayIoU
    panoptic: RayPQ
    stability: Stability
    velocity: VelocityError = field(default_factory=VelocityError)
    above_ground: Any = field(default_factory=lambda: np.zeros(2, np.int64))
    frames: int = 0
    panoptic_frames: int = 0
    predict_s: float = 0.0

    @classmethod
    def of(cls, mask: Mask | None, grid: VoxelGrid = OCC3D_GRID, classes: ClassTable = OCC3D) -> Scores:
        """Nothing yet, of a network with this grid and these classes."""
        return cls(MeanIoU(mask, classes), RayIoU(grid, classes), RayPQ(grid, classes), Stability(classes))

    def merge(self, other: Scores) -> None:
        """Add other sequences."""
        self.voxels.merge(other.voxels)
        self.rays.merge(other.rays)
        self.panoptic.merge(other.panoptic)
        self.stability.merge(other.stability)
        self.velocity.merge(other.velocity)
        self.above_ground += other.above_ground
        self.frames += other.frames
        self.panoptic_frames += other.panoptic_frames
        self.predict_s += other.predict_s

    def result(self) -> dict[str, Any]:
        """All numbers, ready for JSON; NaN becomes None."""
        voxels, rays, classes = self.voxels.compute(), self.rays.compute(), self.voxels.classes
        hits, union = self.above_ground
        out: dict[str, Any] = {
            "frames": self.frames,
            "mask": self.voxels.mask,
            "mIoU": _plain(voxels["mIoU"]),
            "above_ground_occupied_IoU": _plain(hits / union if union else float("nan")),
            "IoU": dict(zip(classes.names, map(_plain, voxels["per_class"]), strict=True)),
            "RayIoU_per_class": _table(rays["per_class"], classes),
            **{name: _plain(value) for name, value in rays.items() if name != "per_class"},
            "predict_ms": round(1000 * self.predict_s / max(1, self.frames), 2),
        }
        if self.panoptic_frames:
            quality = self.panoptic.compute()
            out.update({name: _plain(quality[name]) for name in quality if name.startswith("RayPQ")})
            out["RayPQ_things"] = _plain(nan_mean(quality["per_class"][:, list(classes.things)]))
            out["RayPQ_per_class"] = _table(quality["per_class"][:, list(classes.solid)], classes)
            stability = self.stability.compute()
            counts = stability.pop("counts")
            out["stability"] = {name: _plain(value) for name, value in stability.items()} | {"counts": counts}
            velocity = self.velocity.compute()
            if velocity["moving"]["count"] or velocity["standing"]["count"]:
                out["velocity"] = _plain_all(velocity)
        return out


Measure = Callable[[EvalData, Any, Any, Mask | None], Any]
"""Of a data set, one of its sequences, a predictor and a mask."""


def evaluate(
    data: EvalData,
    settings: PredictorSettings,
    mask: Mask | None = "camera",
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
    measure: Measure | None = None,
) -> Any:
    """Scores over all sequences of ``data``; the temporal memory is cleared between sequences.

    Args:
        processes: workers that share the sequences; the result does not depend on their number.
        progress: called with sequences done and their number.
        measure: makes the scores of one sequence, which `merge`; None is `score_sequence`. It must survive pickling.
    """
    sequences, variant = data.sequences(), get_variant(settings.variant)
    measure = measure or score_sequence
    total: Any = None
    if processes <= 1 or len(sequences) <= 1:
        predictor = _open(settings)
        for done, sequence in enumerate(sequences, 1):
            total = _merged(total, measure(data, sequence, predictor, mask))
            if progress is not None:
                progress(done, len(sequences))
        return total or Scores.of(mask, variant.grid, variant.classes)
    context = multiprocessing.get_context("spawn")
    parts: dict[int, Any] = {}
    workers = min(processes, len(sequences))
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(settings, data)) as pool:
        futures = {pool.submit(_score, measure, sequence, mask): i for i, sequence in enumerate(sequences)}
        for done, future in enumerate(as_completed(futures), 1):
            parts[futures[future]] = future.result()
            if progress is not None:
                progress(done, len(sequences))
    # In the order of one process, so that sums of floating-point numbers agree to the last bit.
    for index in sorted(parts):
        total = _merged(total, parts[index])
    return total


def _merged(total: Any, part: Any) -> Any:
    if total is None:
        return part
    total.merge(part)
    return total


def score_sequence(
    data: EvalData,
    sequence: Any,
    predictor: Any,
    mask: Mask | None,
    each: Callable[[EvalFrame, Occupancy], None] | None = None,
) -> Scores:
    """Scores of one sequence from its start; ``each`` frame is also shown to whom wants to judge it alone."""
    scores: Scores | None = None
    predictor.reset()
    for frame in data.frames(sequence):
        started = time.perf_counter()
        occupancy = predictor(frame.images, frame.rig, frame.odom_from_base, frame.stamp_ns)
        grid, classes = occupancy.grid, occupancy.classes
        scores = Scores.of(mask, grid, classes) if scores is None else scores
        scores.predict_s += time.perf_counter() - started
        scores.frames += 1
        truth = frame.judge_of(occupancy.semantics, grid, classes)
        voxel_mask = frame.mask(mask)
        if each is not None:
            each(frame, occupancy)
        scores.voxels.update(occupancy.semantics, truth, voxel_mask)
        counted = np.ones(truth.shape, bool) if voxel_mask is None else voxel_mask
        scores.above_ground += above_ground(occupancy.semantics, truth, voxel_mask, grid, classes)
        origins = select_origins(frame.origins, grid)
        scores.rays.update(occupancy.semantics, truth, origins)
        if occupancy.instances is not None and frame.instances is not None:
            scores.panoptic.update(occupancy.semantics, occupancy.instances, truth, frame.instances, origins)
            scores.stability.update(
                occupancy.semantics,
                occupancy.instances,
                truth,
                frame.instances,
                counted,
                occupancy.centers,
                frame.odom_from_base[0],
            )
            if frame.velocities is not None:
                scores.velocity.update(scores.stability.pairs, occupancy.centers, frame.velocities)
            scores.panoptic_frames += 1
    return Scores.of(mask) if scores is None else scores


_PREDICTOR: Any = None
_DATA: Any = None


def _open(settings: PredictorSettings) -> Any:
    from flashocc_ros.predictor import Predictor

    return Predictor(settings.variant, settings.checkpoint, settings.engine, settings.precision)


def _start(settings: PredictorSettings, data: EvalData) -> None:
    """Once per process: what it needs for every sequence."""
    global _PREDICTOR, _DATA
    _PREDICTOR, _DATA = _open(settings), data


def _score(measure: Measure, sequence: Any, mask: Mask | None) -> Any:
    return measure(_DATA, sequence, _PREDICTOR, mask)


def _plain(value: Any) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)


def _plain_all(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain_all(v) if isinstance(v, dict) else _plain(v) for name, v in values.items()}


def _table(rows: npt.NDArray[np.float64], classes: ClassTable) -> dict[str, dict[str, float | None]]:
    """By class of rows (3, C - 1), which leave free out."""
    return {
        classes.names[c]: {f"@{t:g}": _plain(value) for t, value in zip(THRESHOLDS_M, column, strict=True)}
        for c, column in zip(classes.solid, rows.T, strict=True)
    }


def format_tables(result: dict[str, Any]) -> str:
    """The reference's print-out: IoU per class and mIoU, then the table over distance thresholds, in percent."""
    frames = result["frames"]
    lines = [f"===> per class IoU of {frames} samples:"]
    lines += [f"===> {name} - IoU = {_percent(result['IoU'][name])}" for name in result["RayIoU_per_class"]]
    lines.append(f"===> mIoU of {frames} samples: {_percent(result['mIoU'])}")
    for kind, column in (("RayIoU", "IoU"), ("RayPQ", "PQ")):
        if kind not in result:
            continue
        names = [f"{column}@{t:g}" for t in THRESHOLDS_M]
        rows = [[name, *(_percent(v) for v in values.values())] for name, values in result[f"{kind}_per_class"].items()]
        rows.append(["MEAN", *(_percent(result[f"{kind}@{t:g}"]) for t in THRESHOLDS_M)])
        lines += ["", *_grid(["Class Names", *names], rows), f"{kind}: {_percent(result[kind])}"]
    if "stability" in result:
        lines += [f"RayPQ of things: {_percent(result['RayPQ_things'])}", "", *_stability_lines(result["stability"])]
    if "velocity" in result:
        lines += ["", *_velocity_lines(result["velocity"])]
    return "\n".join(lines)


def _stability_lines(stability: dict[str, Any]) -> list[str]:
    """Object ids, things only; formulas in ``Stability.compute``."""
    shares = {
        "thing voxels without id": "without_id",
        "id switches per follow-up": "switches",
        "ids of a single frame": "one_frame_ids",
        "seen objects with an id": "coverage",
        "STQ": "STQ",
    }
    lines = [f"{title}: {_percent(stability[name])}" for title, name in shares.items()]
    empty, jump_m = stability["empty_instances"], stability["largest_jump_m"]
    return ["Object ids", *lines, f"instances without a voxel: {empty:.0f}", f"largest jump: {jump_m:.1f} m"]


def _velocity_lines(velocity: dict[str, Any]) -> list[str]:
    """Velocities of objects; formulas in ``VelocityError.compute``."""
    lines = ["Velocities of objects over ground"]
    for name in ("moving", "standing"):
        part = velocity[name]
        if part["count"]:
            lines.append(
                f"{name}: {part['count']:.0f}, true speed {part['median_speed_mps']:.1f} m/s, error "
                f"{part['median_error_mps']:.2f} m/s (medians), said to move: {_percent(part['said_to_move'])}"
            )
    return lines


def _percent(value: float | None) -> str:
    return "nan" if value is None else f"{100 * value:.2f}"


def _grid(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    rule = "+" + "+".join("-" * (w + 2) for w in widths) + "+"

    def text(row: list[str]) -> str:
        return "|" + "|".join(f" {cell:^{w}} " for cell, w in zip(row, widths, strict=True)) + "|"

    return [rule, text(header), rule, *map(text, rows[:-1]), rule, text(rows[-1]), rule]
