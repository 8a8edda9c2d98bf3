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

"""Losses and scores where only a group of classes is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from flashocc_ros.data.partial_labels import (
    UNOBSERVED,
    completed,
    judged_by,
    possible_classes,
    shown_classes,
    targets_of,
)
from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import CLASS_NAMES, FLAT_CLASSES, FREE, NUM_CLASSES, ClassTable, SemanticClass
from flashocc_ros.training.columns import soft_jaccard
from flashocc_ros.training.losses.partial import partial_cross_entropy

UNKNOWN_GROUND, UNKNOWN_THING = NUM_CLASSES, NUM_CLASSES + 1
CAR, TREE, WALL = (CLASS_NAMES.index(name) for name in ("car", "vegetation", "manmade"))
BOXED = [c for c in range(FREE) if CLASS_NAMES[c] not in ("vegetation", "manmade") and c not in FLAT_CLASSES]
POSSIBLE = possible_classes(BOXED)


def test_what_has_boxes_is_nothing_that_has_none() -> None:
    assert np.flatnonzero(POSSIBLE[UNKNOWN_GROUND]).tolist() == list(FLAT_CLASSES)
    assert np.flatnonzero(POSSIBLE[UNKNOWN_THING]).tolist() == [WALL, TREE]
    assert possible_classes(range(NUM_CLASSES))[UNKNOWN_THING].any()  # something it must be


def test_known_classes_have_the_usual_cross_entropy_and_groups_that_of_their_sum() -> None:
    logits = torch.randn(4, NUM_CLASSES, generator=torch.Generator().manual_seed(0), requires_grad=True)
    targets = torch.tensor([CAR, UNKNOWN_THING, UNOBSERVED, UNKNOWN_GROUND])
    each = partial_cross_entropy(logits, targets, torch.from_numpy(POSSIBLE))
    loss = each.tolist()
    probability = logits.detach().softmax(1)
    assert loss[0] == pytest.approx(float(F.cross_entropy(logits[:1].detach(), targets[:1])))
    assert loss[1] == pytest.approx(-float(probability[1, [WALL, TREE]].sum().log()), rel=1e-5)
    assert loss[2] == 0
    assert loss[3] == pytest.approx(-float(probability[3, list(FLAT_CLASSES)].sum().log()), rel=1e-5)
    each.sum().backward()
    assert logits.grad is not None
    # Between the classes of a group nothing moves but in proportion to what they have.
    ratio = logits.grad[1, WALL] / logits.grad[1, TREE]
    assert float(ratio) == pytest.approx(float(probability[1, WALL] / probability[1, TREE]), rel=1e-4)


def test_overlap_of_known_classes_is_what_it_was() -> None:
    generator = torch.Generator().manual_seed(1)
    logits, weight = torch.randn(300, NUM_CLASSES, generator=generator), torch.rand(300, generator=generator)
    truth = torch.randint(0, NUM_CLASSES, (300,), generator=generator)
    plain = soft_jaccard(logits, truth, weight)
    assert float(soft_jaccard(logits, truth, weight, torch.from_numpy(POSSIBLE))) == pytest.approx(float(plain))


def test_any_class_of_the_group_overlaps_fully() -> None:
    truth = torch.tensor([UNKNOWN_THING, UNKNOWN_THING, CAR, FREE])
    said = torch.tensor([WALL, TREE, CAR, FREE])
    sure = F.one_hot(said, NUM_CLASSES).float() * 60
    right = soft_jaccard(sure, truth, torch.ones(4), torch.from_numpy(POSSIBLE))
    assert float(right) == pytest.approx(0.0, abs=1e-5)
    said[1] = CAR
    wrong = soft_jaccard(F.one_hot(said, NUM_CLASSES).float() * 60, truth, torch.ones(4), torch.from_numpy(POSSIBLE))
    assert float(wrong) == pytest.approx((0.5 + 0.5) / 3, abs=1e-3)  # half of the group, half of what is called car


def test_a_group_is_judged_by_what_was_said_if_it_may_be() -> None:
    targets = np.array([UNKNOWN_THING, UNKNOWN_THING, CAR, UNOBSERVED], np.uint8)
    assert judged_by(np.array([TREE, CAR, TREE, TREE], np.uint8), targets, POSSIBLE).tolist() == [TREE, WALL, CAR, FREE]
    scores = np.zeros((4, NUM_CLASSES))
    scores[:, CAR], scores[:, TREE] = 2, 1
    assert completed(scores, targets, POSSIBLE).tolist() == [TREE, TREE, CAR, UNOBSERVED]
    assert (shown_classes(targets) < NUM_CLASSES).all()


def test_labels_become_targets_of_own_classes() -> None:
    own = (
        SemanticClass("pavement", (90, 90, 90), flat=True, sources=tuple(CLASS_NAMES[c] for c in FLAT_CLASSES)),
        SemanticClass("vehicle", (0, 90, 200), sources=("car", "truck", "bus")),
        SemanticClass("free", (255, 255, 255), sources=("free",)),
        SemanticClass("wall", (200, 180, 140), sources=("manmade", "vegetation")),
    )
    table = ClassTable("own", 1, own, free=2)
    semantics = np.array([CAR, FLAT_CLASSES[0], WALL, FREE, CLASS_NAMES.index("bicycle"), CAR], np.uint8)
    guessed = np.array([False, True, True, False, False, False])
    observed = np.array([True, True, True, True, True, False])
    targets = targets_of(semantics, guessed, observed, table)
    assert targets.tolist() == [1, 4, 5, 2, UNOBSERVED, UNOBSERVED]  # of no class here: bicycles
    possible = possible_classes([CAR], table)
    assert np.flatnonzero(possible[4]).tolist() == [0]
    assert np.flatnonzero(possible[5]).tolist() == [3]
    assert shown_classes(targets, table).tolist() == [1, 0, 3, 2, 2, 2]


def test_a_table_without_room_for_the_groups_is_refused() -> None:
    many = [SemanticClass(f"kind {k}", (0, 0, 0)) for k in range(253)]
    table = ClassTable("many", 1, (*many, SemanticClass("free", (255, 255, 255))), free=253)
    with pytest.raises(ConfigError, match=r"254 classes.*at most 253"):
        possible_classes([], table)
