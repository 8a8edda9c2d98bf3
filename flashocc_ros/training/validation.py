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

"""How good a network is on labelled drives that it does not train on, while it trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from torch import Tensor

from flashocc_ros.data.partial_labels import GROUPS
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.model.build import build_model
from flashocc_ros.model.checkpoint import PREDICTS
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid
from flashocc_ros.training.batch import normalised
from flashocc_ros.training.checkpoint import BEST, export_weights
from flashocc_ros.training.config import TrainConfig
from flashocc_ros.training.reporting import Report
from flashocc_ros.training.sample import Sample, SampleSource
from flashocc_ros.variants import Variant


@dataclass
class Overlaps:
    """Hits and unions in voxels that a camera sees.

    Attributes:
        both, either: (C + 2,) per target; where only a group of classes is known, the group counts, its members do not.
        present: (C + 2,) targets that are there.
        occupied: (2,) hits and union of what is occupied above the ground, whatever its class.
        grid, classes: of the network.
    """

    grid: VoxelGrid = OCC3D_GRID
    classes: ClassTable = OCC3D
    both: npt.NDArray[np.int64] = field(init=False)
    either: npt.NDArray[np.int64] = field(init=False)
    present: npt.NDArray[np.bool_] = field(init=False)
    occupied: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))

    def __post_init__(self) -> None:
        targets = len(self.classes) + len(GROUPS)
        self.both, self.either = np.zeros(targets, np.int64), np.zeros(targets, np.int64)
        self.present = np.zeros(targets, bool)

    def update(self, predicted: npt.NDArray[np.uint8], sample: Sample) -> None:
        """Add a frame; ``predicted`` (X, Y, Z) classes."""
        count, free = len(self.classes), self.classes.free
        seen = sample.mask_camera & (sample.semantics < count + len(GROUPS))
        found, targets = predicted[seen], sample.semantics[seen]
        possible = np.eye(count + len(GROUPS), count, dtype=bool) if sample.possible is None else sample.possible
        group, classes = possible[count:], possible[targets]
        unsure = classes & (targets >= count)[:, None]
        truth = np.concatenate([classes & ~unsure, (classes[:, None] & group).any(2)], 1)
        guess = np.concatenate([np.eye(count, dtype=bool)[found] & ~unsure, group[:, found].T], 1)
        if not (targets >= count).any():
            truth[:, count:] = guess[:, count:] = False
        self.both += (truth & guess).sum(0)
        self.either += (truth | guess).sum(0)
        self.present |= truth.any(0)
        high = np.zeros(seen.shape, bool)
        high[..., self.grid.ground_layers :] = True
        there, told = (found != free) & high[seen], (targets != free) & high[seen]
        self.occupied += ((there & told).sum(), (there | told).sum())

    def scores(self) -> dict[str, float]:
        """``mIoU`` over the targets that are there but free, and ``above_ground`` IoU, 0 to 1."""
        counted = self.present.copy()
        counted[self.classes.free] = False
        iou = self.both[counted] / np.maximum(self.either[counted], 1)
        return {
            "mIoU": float(iou.mean()) if counted.any() else 0.0,
            "above_ground": float(self.occupied[0] / max(int(self.occupied[1]), 1)),
        }


@torch.no_grad()
def validate(
    values: dict[str, Tensor], variant: Variant, source: SampleSource, frames: int, device: torch.device
) -> dict[str, float]:
    """Scores of weights on ``frames`` samples spread over ``source``, 0 for all."""
    model = build_model(variant)
    model.load_state_dict(values)
    model = model.eval().to(device)
    overlaps = Overlaps(variant.grid, variant.classes)
    count = min(frames or len(source), len(source))
    for index in np.unique(np.linspace(0, len(source) - 1, count).astype(int)):
        sample = source.sample(int(index), None)
        out = model.forward_batch(normalised(sample.images, device)[None], [sample.geometry], align="lift")
        overlaps.update(out.head.occ_logits[0].argmax(-1).cpu().numpy().astype(np.uint8), sample)
    return overlaps.scores()


class Judge:
    """Measures weights of a run now and then and keeps the best.

    Args:
        source: samples kept apart; None measures nothing.
        out: folder of the run.
    """

    def __init__(
        self,
        config: TrainConfig,
        variant: Variant,
        source: SampleSource | None,
        out: Path,
        report: Report,
        device: torch.device,
    ) -> None:
        self._validation = config.validation if source is not None else None
        self._variant, self._source, self._path = variant, source, out / BEST
        self._report, self._device = report, device

    def due(self, iteration: int) -> bool:
        """Whether it is time."""
        return self._validation is not None and iteration % self._validation.every == 0

    def measure(self, iteration: int, values: dict[str, Tensor]) -> None:
        """Score ``values`` of the network, say it, and keep them in ``best.safetensors`` where none were better.

        Raises:
            OutputError: they cannot be written.
        """
        if self._validation is None or self._source is None:
            return
        count = min(self._validation.frames or len(self._source), len(self._source))
        scores = validate(values, self._variant, self._source, count, self._device)
        best = self._path.is_file() and best_score(self._path)
        better = best is False or scores["mIoU"] > best
        self._report.validation(iteration, scores, count, better)
        if better:
            facts = {"iteration": str(iteration), "mIoU": f"{scores['mIoU']:.6f}"}
            facts |= {"variant": self._variant.name, PREDICTS: self._variant.predicts}
            export_weights(self._path, {name: value.cpu() for name, value in values.items()}, facts)


def best_score(path: Path) -> float:
    """The score that the best weights of a run had."""
    with safe_open(path, "pt") as file:
        return float(file.metadata()["mIoU"])
