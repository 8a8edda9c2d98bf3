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

"""Chunks of a recording through the network, each by itself, and their results joined to those of the uncut run.

The network's part is computed chunk by chunk, by whoever and in any order: all that work on a recording walk along its
chunks and take those that nobody has. Objects are followed afterwards, over the joined observations in their order, so
that ids are those of the uncut run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from logging import getLogger
from pathlib import Path

from flashocc_ros import plain_json
from flashocc_ros.bags.camera_sets import Frames
from flashocc_ros.bags.planned_sets import PlannedSets, plan_sets, read_planned
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.errors import InputError, OutputError
from flashocc_ros.fleet import claims
from flashocc_ros.fleet.chunks import Chunk, Trace, earlier, plan_chunks
from flashocc_ros.fleet.remarks import collected_remarks
from flashocc_ros.pipeline.observation import Observation
from flashocc_ros.predictor import Predictor
from flashocc_ros.remote import Location
from flashocc_ros.structures import Occupancy
from flashocc_ros.variants import Variant, get_variant
from flashocc_ros.whole_file import whole_folder

logger = getLogger(__name__)

TRACE_FILE = "trace.json"
"""In the folder of a chunk: what `earlier` asks of its sets, and what was said while they were read."""
CLAIMS = ".claims"
"""Beside the chunks: who works on which."""
LOOK_EVERY_S = 0.2


@dataclass(frozen=True, eq=False)
class ChunkWork:
    """One chunk of a recording. Goes to other processes.

    Attributes:
        number: among the chunks of the recording.
        chunk: its sets among all of the recording.
        planned: these sets, warm-up included.
        bit_depth, fisheye: see `read_sets`.
    """

    number: int
    chunk: Chunk
    planned: PlannedSets
    bit_depth: int
    fisheye: Fisheye

    @property
    def name(self) -> str:
        """Of the folder of its results, another one for another warm-up."""
        return f"{self.number:04d}-{self.chunk.warm}-{self.chunk.first}-{self.chunk.stop}"


@dataclass(frozen=True, eq=False)
class RecordingPlan:
    """A recording that is worked on in chunks."""

    planned: PlannedSets
    variant: Variant
    chunks: tuple[Chunk, ...]
    bit_depth: int = 0
    fisheye: Fisheye = "rectify"

    @property
    def works(self) -> tuple[ChunkWork, ...]:
        """One for each chunk."""
        return tuple(self._work(number, chunk) for number, chunk in enumerate(self.chunks))

    def _work(self, number: int, chunk: Chunk) -> ChunkWork:
        return ChunkWork(number, chunk, self.planned.some(chunk.warm, chunk.stop), self.bit_depth, self.fisheye)

    def again(self, folder: Path) -> RecordingPlan | None:
        """The plan with an earlier begin of chunks that did not find the past of the uncut run; None when all did.

        Args:
            folder: holds the results of all chunks.

        Raises:
            InputError: a chunk is missing or damaged, or of another run than the others.
        """
        traces = [_seen(folder / work.name)[0] for work in self.works]
        corrected = earlier(self.chunks, traces, self.planned.sets, self.variant)
        if not any(corrected):
            return None
        if any(new == old for new, old in zip(corrected, self.chunks, strict=True)):
            raise InputError(f"the chunks in {folder} are of runs that differ; delete it and run again")
        chunks = tuple(new or old for new, old in zip(corrected, self.chunks, strict=True))
        return replace(self, chunks=chunks)


def plan_recording(
    path: str | Location,
    variant: str,
    chunk_s: float,
    cameras: Sequence[str] | None = None,
    frames: Frames = Frames(),  # noqa: B008 - frozen
    bit_depth: int = 0,
    fisheye: Fisheye = "rectify",
) -> RecordingPlan:
    """Look through a recording and cut it into chunks of about ``chunk_s`` seconds; other arguments as of `read_sets`.

    Raises:
        BagError, ConfigError: see `plan_sets` and `plan_chunks`.
    """
    row = get_variant(variant)
    planned = plan_sets(path, cameras, frames, row.temporal)
    return RecordingPlan(planned, row, plan_chunks(planned, row, chunk_s), bit_depth, fisheye)


def predict_chunk(
    predictor: Predictor, work: ChunkWork, folder: Path, tell: Callable[[int, int], object] = lambda done, total: None
) -> Path:
    """The network's part of a chunk, written to ``folder / work.name``, which appears when it is whole.

    Args:
        predictor: its past is forgotten.
        work: the chunk; nothing is done where its results are there.
        folder: for the results of all chunks of this recording.
        tell: called with the sets that are done and their number.

    Raises:
        BagError, InputError, EngineError: as for the whole recording.
    """
    target = folder / work.name
    if (target / TRACE_FILE).is_file():
        return target
    predictor.reset()
    traces: list[Trace] = []
    table = ""
    with whole_folder(target) as made, collected_remarks() as remarks:
        made.mkdir()
        for index, item in enumerate(read_planned(work.planned, work.bit_depth, work.fisheye), work.chunk.warm):
            if isinstance(item, CameraSet):
                seen = predictor.observe(item)
                table = seen.table
                traces.append(Trace(True, seen.remembered, table))
                if index >= work.chunk.first:
                    seen.save(made / f"{index:08d}.npz")
            else:
                traces.append(Trace(False, False, table))
            tell(len(traces), len(work.planned.sets))
        (made / TRACE_FILE).write_text(json.dumps({"sets": traces, "remarks": remarks}))
    return target


def in_chunks(
    predictor: Predictor, plan: RecordingPlan, folder: Path, tell: Callable[[int, int], object]
) -> Iterator[Occupancy]:
    """A recording in chunks; those whose results are in ``folder``, or that others have in work, are not computed here.

    Raises:
        BagError, InputError, EngineError: as for the whole recording.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done_here: set[str] = set()
    plan = work_through(predictor, plan, folder, tell, done_here)
    for work in plan.works:
        if work.name not in done_here:
            for remark in _seen(folder / work.name)[1]:
                logger.warning("%s", remark)
    yield from join_chunks(predictor, plan, folder)


def work_through(
    predictor: Predictor,
    plan: RecordingPlan,
    folder: Path,
    tell: Callable[[int, int], object],
    done_here: set[str] | None = None,
) -> RecordingPlan:
    """Compute chunks until all are there, beside whoever else does so in the same folder.

    Args:
        folder: of the chunks, which others may move away or remove: then this ends with an error.
        tell: called with the sets that are done and the number of all; a warm-up is no progress, and neither is a chunk
            that is computed again.
        done_here: gets the names of chunks that others had no part in.

    Returns:
        The plan that `join_chunks` needs.

    Raises:
        BagError, InputError, EngineError: as for the whole recording.
        OutputError: the folder is not there any more, or nothing can be written.
    """
    furthest = 0

    def tell_all(before: int, chunk: Chunk, done: int, _: int) -> None:
        nonlocal furthest
        furthest = max(furthest, before + chunk.warm + done - chunk.first)
        tell(furthest, len(plan.planned.sets))

    again: RecordingPlan | None = plan
    while again is not None:
        plan = again
        while missing := [work for work in plan.works if not (folder / work.name / TRACE_FILE).is_file()]:
            if not folder.is_dir():
                raise OutputError(f"{folder} is gone; somebody else works on {plan.planned.path}")
            before = len(plan.planned.sets) - sum(work.chunk.stop - work.chunk.first for work in missing)
            free = (w for w in missing if _claimed(predictor, w, folder, partial(tell_all, before, w.chunk)))
            work = next(free, None)
            if work is None:
                time.sleep(LOOK_EVERY_S)  # others have the rest
            elif done_here is not None:
                done_here.add(work.name)
        again = plan.again(folder)
    return plan


def _claimed(predictor: Predictor, work: ChunkWork, folder: Path, tell: Callable[[int, int], object]) -> bool:
    """Compute a chunk unless somebody else does; whether it was done here."""
    claim = claims.take(folder / CLAIMS / work.name, "chunk")
    if claim is None:
        return False
    with claim:
        predict_chunk(predictor, work, folder, tell)
    return True


def join_chunks(predictor: Predictor, plan: RecordingPlan, folder: Path) -> Iterator[Occupancy]:
    """The results of the uncut run, in their order.

    Args:
        predictor: of the same variant and settings; its past is forgotten.
        plan: one of which ``again`` is None.
        folder: holds the results of all chunks.

    Raises:
        InputError: a chunk is missing or damaged, or none of the sets could be used.
    """
    predictor.reset()
    done = 0
    for work in plan.works:
        for path in sorted((folder / work.name).glob("*.npz")):
            try:
                observation = Observation.load(path)
            except (OSError, ValueError, KeyError) as error:
                raise InputError(f"{path} is damaged ({error}); delete its folder and run again") from error
            yield predictor.track(observation)
            done += 1
    if not done:
        raise InputError(f"{plan.planned.path} gave no result: none of its sets can be used; see the warnings above")


def _seen(folder: Path) -> tuple[list[Trace], list[str]]:
    """Of each set of a chunk what decides whether it found its past, and what was said while they were read."""
    try:
        found = plain_json.parse((folder / TRACE_FILE).read_bytes())
        return [Trace(*row) for row in found["sets"]], [str(remark) for remark in found["remarks"]]
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise InputError(f"{folder} is missing or damaged ({error}); delete it and run again") from error
