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

"""Measure the results of a fleet: each recording alone, then added up exactly, by rig and in all."""

from __future__ import annotations

import copy
import heapq
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from flashocc_ros import remote
from flashocc_ros.bags import Frames, read_sets
from flashocc_ros.bags.results import Follower, ResultFrame, network_facts, read_results, read_truths, weights_note
from flashocc_ros.errors import EngineError, FlashOccError, InputError
from flashocc_ros.evaluation.frames import EvalFrame
from flashocc_ros.evaluation.mean_iou import Mask, MeanIoU
from flashocc_ros.evaluation.run import Scores, score_sequence
from flashocc_ros.evaluation.stored import StoredRun
from flashocc_ros.fleet.ledger import Ledger, State
from flashocc_ros.fleet.manifest import read_manifest
from flashocc_ros.fleet.seats import spawned_with
from flashocc_ros.fleet.worker import end_with_parent, environment
from flashocc_ros.remote import Location
from flashocc_ros.structures import Occupancy
from flashocc_ros.viz.album import to_figure
from flashocc_ros.viz.render import render_figure
from flashocc_ros.viz.video import write_png
from flashocc_ros.whole_file import make_folder

WORST = 20


@dataclass(frozen=True, order=True)
class FrameScore:
    """A frame judged alone; the worst sorts first."""

    mean_iou: float
    recording: str
    stamp_ns: int


@dataclass(frozen=True)
class Measured:
    """Of one recording: its scores and its worst frames, or why it has none."""

    scores: Scores | None
    worst: tuple[FrameScore, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Made:
    """How the results were made: the names by which their recordings were read."""

    cameras: tuple[str, ...] | None = None
    frames: Frames = field(default_factory=Frames)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Made:
        """From what the folder of the results says of itself."""
        cameras = str(settings.get("cameras", "all"))
        frames = Frames.of(str(settings.get("base_frame", "")), str(settings.get("tf_prefix", "")))
        return cls(None if cameras == "all" else tuple(cameras.split(",")), frames)


def evaluate_fleet(
    manifest: Path, pictures: Path, mask: Mask | None, workers: int, worst: int = WORST,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:  # fmt: skip
    """Everything about the results that a manifest lists, ready for JSON.

    Args:
        manifest: written by a fleet of predictions, with the results beside it.
        pictures: folder for pictures of the worst frames, made when there is one.
        workers: processes; the numbers do not depend on how many.
        worst: how many frames to draw.
        progress: called with recordings done and their number.

    Raises:
        InputError: nothing can be measured, or it is no such manifest.
        OutputError: a picture cannot be written.
    """
    states = sorted((s for s in read_manifest(manifest) if s.status == "done"), key=lambda state: state.recording)
    out = manifest if manifest.is_dir() else manifest.parent
    settings = Ledger(out).settings() or {}
    if settings.get("work", "predict") != "predict":
        raise InputError(f"{manifest} lists labels, not predictions; give the manifest of `flashocc fleet predict`")
    made = Made.of(settings)
    total: Scores | None = None
    rigs: dict[str, Scores] = {}
    recordings: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    frames: list[FrameScore] = []
    for done, (state, measured) in enumerate(zip(states, _measured(states, out, made, mask, workers), strict=True), 1):
        progress(done, len(states))
        if measured.scores is None:
            left_out[state.recording] = measured.reason
            continue
        recordings[state.recording] = {"rig": state.rig, **_numbers(measured.scores)}
        nothing = Scores.of(mask, measured.scores.rays.grid, measured.scores.voxels.classes)
        total = copy.deepcopy(nothing) if total is None else total
        total.merge(measured.scores)
        rigs.setdefault(state.rig, nothing).merge(measured.scores)
        frames = heapq.nsmallest(worst, [*frames, *measured.worst])
    if total is None:
        why = next(iter(left_out.values()), "it lists no recording that is done")
        raise InputError(f"{manifest}: nothing was measured: {why}")
    drawn = _draw(frames, {state.recording: state for state in states}, out, made, pictures)
    return {
        "settings": settings,
        "all": _numbers(total),
        "rigs": {rig: _numbers(scores) for rig, scores in sorted(rigs.items())},
        "recordings": recordings,
        "left_out": left_out,
        "worst": [
            {"recording": f.recording, "stamp_ns": f.stamp_ns, "mIoU": round(f.mean_iou, 6), "picture": str(picture)}
            for f, picture in zip(frames, drawn, strict=True)
        ],
    }


def _numbers(scores: Scores) -> dict[str, Any]:
    """Without the time that reading a stored result takes."""
    return {name: value for name, value in scores.result().items() if name != "predict_ms"}


def _measured(states: list[State], out: Path, made: Made, mask: Mask | None, workers: int) -> Iterator[Measured]:
    arguments = states, repeat(out), repeat(made), repeat(mask)
    if workers <= 1 or len(states) <= 1:
        yield from map(measure, *arguments)
        return
    context = multiprocessing.get_context("spawn")
    with spawned_with(environment(1)), ProcessPoolExecutor(workers, context, initializer=end_with_parent) as pool:
        try:
            yield from pool.map(measure, *arguments)
        except BrokenProcessPool as error:
            raise EngineError("a worker died, killed or out of memory; try again with fewer --workers") from error


def measure(state: State, out: Path, made: Made, mask: Mask | None) -> Measured:
    """One recording; never raises what is its own fault."""
    run = StoredRun(remote.location(state.location), out / state.recording, made.cameras, made.frames)
    frames: list[FrameScore] = []

    def judge(frame: EvalFrame, result: Occupancy) -> None:
        alone = MeanIoU(mask, result.classes)
        truth = frame.judge_of(result.semantics, result.grid, result.classes)
        alone.update(result.semantics, truth, frame.mask(mask))
        value = float(alone.compute()["mIoU"])
        if np.isfinite(value):
            frames.append(FrameScore(value, state.recording, frame.stamp_ns))

    try:
        scores = score_sequence(run, run.recording, run, mask, judge)
    except FlashOccError as error:
        return Measured(None, reason=str(error))
    scores.stability.end_sequence()  # what belongs to one recording alone stays here
    return Measured(scores, tuple(heapq.nsmallest(WORST, frames)))


def _draw(
    frames: list[FrameScore], states: Mapping[str, State], out: Path, made: Made, pictures: Path
) -> Iterable[Path]:
    """One picture per frame, the worst first by name."""
    make_folder(pictures)
    paths = [pictures / f"{k:02d}_{f.recording}_{f.stamp_ns}.png" for k, f in enumerate(frames, 1)]
    for name in sorted({frame.recording for frame in frames}):
        wanted = {f.stamp_ns: path for f, path in zip(frames, paths, strict=True) if f.recording == name}
        result = out / name
        facts = network_facts(result)
        note = weights_note(result, facts)
        scores = {f.stamp_ns: f.mean_iou for f in frames if f.recording == name}
        for number, frame in enumerate(_whole_frames(remote.location(states[name].location), result, made, wanted)):
            details = [f"mIoU {100 * scores[frame.stamp_ns]:.1f}", name, f"{frame.stamp_ns / 1e9:.3f} s"]
            figure = replace(to_figure(frame, facts, number, note), details=details)
            write_png(wanted[frame.stamp_ns], render_figure(figure))
    return paths


def _whole_frames(recording: Location, result: Path, made: Made, wanted: Mapping[int, Path]) -> Iterator[ResultFrame]:
    """Results with the pictures and the truth of their recording."""
    sets = Follower(read_sets(recording, made.cameras, frames=made.frames), lambda s: s.stamp_ns)
    truths = Follower(read_truths(recording, pictures=False), lambda t: t[0])
    for frame in read_results(result, pictures=False):
        if frame.stamp_ns in wanted:
            truth = truths.at(frame.stamp_ns)
            yield ResultFrame(
                frame.stamp_ns, frame.semantics, frame.instances, frame.grid, sets.at(frame.stamp_ns),
                None if truth is None else truth[1], frame.objects, frame.classes,
            )  # fmt: skip
