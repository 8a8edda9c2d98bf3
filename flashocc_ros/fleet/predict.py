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

"""Predict a recording into a result recording."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flashocc_ros.bags import BagReader, Frames, read_sets
from flashocc_ros.bags.cameras import find_cameras
from flashocc_ros.bags.planned_sets import CannotCut, read_planned
from flashocc_ros.bags.result_writer import ResultWriter
from flashocc_ros.bags.results import is_drawn
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.engine.select import find_checkpoint, find_export, resolved_precision
from flashocc_ros.engine.store.cache import file_sha256
from flashocc_ros.engine.store.meta import META_FILE
from flashocc_ros.fleet.chunk_runs import RecordingPlan, in_chunks, plan_recording, work_through
from flashocc_ros.fleet.rig_digest import rig_digest
from flashocc_ros.fleet.work import Made, Tell
from flashocc_ros.predictor import Predictor
from flashocc_ros.structures import CameraRig, Occupancy
from flashocc_ros.variants import get_variant

logger = logging.getLogger(__name__)

CHUNKS = ".chunks"
"""Beside the result while it is made."""


@dataclass
class PredictWork:
    """A network over all camera sets of each recording; its past and its ids begin anew with each.

    Attributes:
        variant, checkpoint, engine, precision, cache_dir: see ``Predictor``.
        cameras, frames, bit_depth, fisheye: see ``read_sets``.
        threads: that the engine has, which can move its sums by rounding.
        chunk_s: recordings are computed in chunks of that many seconds; workers without a recording help with those of
            others, and one whose worker died goes on with the chunks that are there. The results are the same. 0 for
            none.
    """

    variant: str
    checkpoint: str | None = None
    engine: str = "auto"
    precision: str = "auto"
    cache_dir: str | None = None
    cameras: tuple[str, ...] | None = None
    frames: Frames = field(default_factory=Frames)
    bit_depth: int = 0
    threads: int = 1
    fisheye: Fisheye = "rectify"
    chunk_s: float = 0.0
    goes_on: bool = field(default=False, init=False)
    shared: bool = field(default=False, init=False)
    _predictor: Predictor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.goes_on = self.shared = bool(self.chunk_s)

    @property
    def settings(self) -> dict[str, Any]:
        """See `Work`.

        Raises:
            ConfigError, CheckpointError, EngineError: variant, weights, export or precision cannot be used.
        """
        export = find_export(self.checkpoint)
        weights = find_checkpoint(self.variant, self.checkpoint) if export is None else export / META_FILE
        return {
            "work": "predict",
            "variant": get_variant(self.variant).name,
            "checkpoint": "untrained" if weights is None else f"sha256 {file_sha256(weights)[:16]}",
            "engine": self.engine,
            "precision": resolved_precision(self.checkpoint, self.precision),
            "cameras": "all" if self.cameras is None else ",".join(self.cameras),
            "base_frame": self.frames.base,
            "tf_prefix": self.frames.tf_prefix,
            "bit_depth": self.bit_depth,
            "threads": self.threads,
            "fisheye": self.fisheye,
        }

    def open(self) -> str:
        """Load the network."""
        self._predictor = Predictor(
            self.variant, self.checkpoint, self.engine, self.precision, cache_dir=self.cache_dir
        )
        return self._predictor.description

    def make(self, name: str, location: str, folder: Path, tell: Tell) -> Made:
        """A recording of results, as ``flashocc predict`` gives them."""
        predictor = self._opened()
        with BagReader(location) as bag:
            topics = find_cameras(bag, self.cameras, self.frames.tf_prefix)
            expected = bag.topics[next(iter(topics.values())).image].count
            duration_s = (bag.end_ns - bag.start_ns) / 1e9
        shutil.rmtree(folder / name, ignore_errors=True)  # what a killed attempt left
        rig, counts = "", _Counts()
        with ResultWriter(folder / name, self._facts(predictor, location), self.frames.base) as writer:
            for found, result in self._results(predictor, location, folder, tell, expected):
                rig = rig or rig_digest(found)
                writer.write(result)
                counts.add(result)
        return Made(counts.sets, duration_s, rig, counts.means(), predictor.backend.describe())

    def help(self, location: str, folder: Path, tell: Tell) -> None:
        """Compute chunks of a recording; see `Work`."""
        plan = self._plan(location)
        if plan is not None and len(plan.chunks) > 1:
            (folder / CHUNKS).mkdir(exist_ok=True)
            work_through(self._opened(), plan, folder / CHUNKS, tell)

    def _opened(self) -> Predictor:
        if self._predictor is None:
            self.open()
        assert self._predictor is not None
        return self._predictor

    def _results(
        self, predictor: Predictor, location: str, folder: Path, tell: Tell, expected: int
    ) -> Iterator[tuple[CameraRig, Occupancy]]:
        """Results in their order, each with its rig; in chunks always the first one, which is what is asked for."""
        plan = self._plan(location) if self.chunk_s else None
        if plan is not None:
            first = next(found for found in read_planned(plan.planned, self.bit_depth) if isinstance(found, CameraSet))
            for result in in_chunks(predictor, plan, folder / CHUNKS, tell):
                yield first.rig, result
            return
        predictor.reset()
        sets = read_sets(
            location,
            self.cameras,
            frames=self.frames,
            bit_depth=self.bit_depth,
            needs_odometry=predictor.variant.temporal,
            fisheye=self.fisheye,
        )
        for done, item in enumerate(sets, 1):
            yield item.rig, predictor.predict(item)
            tell(done, expected)

    def _plan(self, location: str) -> RecordingPlan | None:
        try:
            return plan_recording(
                location, self.variant, self.chunk_s, self.cameras, self.frames, self.bit_depth, self.fisheye
            )
        except CannotCut as error:
            logger.debug("%s", error)  # its results are the same, only a worker that dies costs more
            return None

    @staticmethod
    def _facts(predictor: Predictor, location: str) -> dict[str, str]:
        """What of `ros.diagnostics.NETWORK` decides the results and the warnings that belong to them."""
        return {
            "variant": predictor.variant.name,
            "runs_on": predictor.backend.describe(),
            "trained": str(predictor.trained).lower(),
            "trained_on": predictor.trained_on or "",
            "drawn": str(is_drawn(location)).lower(),
        }


class _Counts:
    """What results hold, to find recordings by."""

    def __init__(self) -> None:
        self.sets = 0
        self._voxels: Counter[str] = Counter()
        self._total: Counter[str] = Counter()

    def add(self, result: Occupancy) -> None:
        self.sets += 1
        counts = np.bincount(result.semantics.ravel(), minlength=len(result.classes)).tolist()
        self._voxels.update({result.classes.names[i]: counts[i] for i in result.classes.solid})
        self._total["objects"] += len(result.centers)
        self._total["masked_cameras"] += len(result.masked_cameras)

    def means(self) -> dict[str, float | None]:
        """Per set: objects, masked cameras, occupied voxels, and voxels of each class that occurs."""
        sets = max(1, self.sets)
        means: dict[str, float | None] = {name: round(count / sets, 3) for name, count in self._total.items()}
        means["occupied"] = round(self._voxels.total() / sets, 3)
        return means | {name: round(count / sets, 3) for name, count in self._voxels.items() if count}
