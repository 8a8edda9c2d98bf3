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

"""Classes that labels do not know, told by other weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from street_source import StreetSource

from flashocc_ros import weights
from flashocc_ros.data.partial_labels import completed, possible_classes
from flashocc_ros.labels import CLASS_NAMES, NUM_CLASSES
from flashocc_ros.model.build import build_model
from flashocc_ros.training.batch import Prepared
from flashocc_ros.training.columns import ColumnObjective, completed_targets
from flashocc_ros.training.config import ColumnLoss
from flashocc_ros.training.sample import Sample
from flashocc_ros.variants import get_variant

UNKNOWN_GROUND = NUM_CLASSES
ROAD = CLASS_NAMES.index("driveable_surface")
POSSIBLE = possible_classes([CLASS_NAMES.index("car")])
SHIPPED = Path(weights.__file__).parent / "synthetic-tiny.safetensors"


class UnknownGround(StreetSource):
    """A street of which labels say that there is ground, not of which kind."""

    def sample(self, index: int, rng: np.random.Generator | None) -> Sample:
        known = super().sample(index, rng)
        semantics = np.where(known.semantics == ROAD, UNKNOWN_GROUND, known.semantics).astype(np.uint8)
        return replace(known, semantics=semantics, possible=POSSIBLE)


def test_a_group_becomes_its_likeliest_member_and_nothing_else_changes() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(500, NUM_CLASSES)).astype(np.float32)
    targets = rng.choice([*range(NUM_CLASSES + 2), 255], 500).astype(np.uint8)
    given = (torch.from_numpy(scores), torch.from_numpy(targets).long(), torch.from_numpy(POSSIBLE))
    np.testing.assert_array_equal(completed_targets(*given), completed(scores, targets, POSSIBLE))


def test_ground_of_unknown_kind_is_learned_as_what_other_weights_say() -> None:
    variant, source = get_variant("synthetic-tiny"), UnknownGround()
    sample = source.sample(0, None)
    batch = [Prepared(sample, sample.lift_tables(variant), 0, 0)]
    losses, keys = {}, {}
    for name, classes_from in (("free to choose", None), ("told", SHIPPED)):
        config = ColumnLoss(columns=256, classes_from=classes_from)
        objective = ColumnObjective(build_model(variant, seed=0), variant, config, source, 0)
        losses[name] = float(objective(batch, 0, 0)["cross_entropy"].detach())
        keys[name] = set(objective.state_dict())
    assert losses["told"] > losses["free to choose"] + 0.1  # one class instead of the sum of four
    assert keys["told"] == keys["free to choose"]  # what tells is no part of what is trained
