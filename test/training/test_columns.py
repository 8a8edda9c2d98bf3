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

"""Overlap losses of the column recipe, on cases small enough to count."""

from __future__ import annotations

import pytest
import torch

from flashocc_ros.labels import CLASS_NAMES, FREE, NUM_CLASSES
from flashocc_ros.training.columns import occupied_jaccard, soft_jaccard

CAR, TRUCK = CLASS_NAMES.index("car"), CLASS_NAMES.index("truck")


def _certain(labels: list[int]) -> torch.Tensor:
    """(M, 18) logits that leave no doubt."""
    return 50.0 * torch.nn.functional.one_hot(torch.tensor(labels), NUM_CLASSES).float()


@pytest.mark.parametrize(
    ("predicted", "true", "weight", "per_class", "occupied"),
    [
        ([CAR, FREE], [CAR, FREE], [1.0, 1.0], 0.0, 0.0),
        ([CAR, FREE], [FREE, CAR], [1.0, 1.0], 1.0, 1.0),
        # Half of the car's union; of free too. Occupied: one of two.
        ([CAR, CAR, FREE], [CAR, FREE, FREE], [1.0, 1.0, 1.0], 0.5, 0.5),
        # Another class is no hit for the car or the truck, but it is occupied.
        ([TRUCK, FREE], [CAR, FREE], [1.0, 1.0], 0.5, 0.0),
        # A voxel that stands for three: one of four.
        ([CAR, FREE], [CAR, CAR], [1.0, 3.0], 0.75, 0.75),
    ],
)
def test_overlap_is_what_counting_says(
    predicted: list[int], true: list[int], weight: list[float], per_class: float, occupied: float
) -> None:
    arguments = (_certain(predicted), torch.tensor(true), torch.tensor(weight))
    assert float(soft_jaccard(*arguments)) == pytest.approx(per_class, abs=1e-4)
    assert float(occupied_jaccard(*arguments)) == pytest.approx(occupied, abs=1e-4)


def test_doubt_about_the_class_alone_does_not_count_above_ground() -> None:
    logits = torch.zeros(1, NUM_CLASSES)
    logits[0, [CAR, TRUCK]] = 50.0
    assert float(occupied_jaccard(logits, torch.tensor([CAR]), torch.ones(1))) == pytest.approx(0.0, abs=1e-4)
