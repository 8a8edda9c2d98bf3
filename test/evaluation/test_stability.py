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

"""Stability of ids: hand-computed sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flashocc_ros.evaluation import Stability
from flashocc_ros.labels import CLASS_NAMES, FREE
from flashocc_ros.structures import Instance

CAR, BARRIER = CLASS_NAMES.index("car"), CLASS_NAMES.index("barrier")
SEEN = np.ones((200, 200, 16), bool)


def frame(*boxes: tuple[int, int], length: int = 10) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Labels and ids of cars of ``length`` x 4 x 1 voxels: (first x, id) each; id 0 is none."""
    labels, ids = np.full((200, 200, 16), FREE, np.uint8), np.zeros((200, 200, 16), np.int32)
    for x, track in boxes:
        labels[x : x + length, 50:54, 3] = CAR
        ids[x : x + length, 50:54, 3] = track
    return labels, ids


def measured(*pairs: tuple[Any, Any], mask: npt.NDArray[np.bool_] = SEEN) -> dict[str, Any]:
    """Result of one sequence of (prediction, truth)."""
    metric = Stability()
    for (pred_sem, pred_inst), (gt_sem, gt_inst) in pairs:
        metric.update(pred_sem, pred_inst, gt_sem, gt_inst, mask)
    return metric.compute()


def test_ids_that_stay_are_perfect() -> None:
    pairs = [(frame((20 + k, 30), (80, 31)), frame((20 + k, 1), (80, 2))) for k in range(4)]
    result = measured(*pairs)
    assert (result["without_id"], result["switches"], result["one_frame_ids"]) == (0, 0, 0)
    assert result["coverage"] == result["STQ"] == result["AQ"] == result["SQ"] == 1.0


def test_an_id_that_changes_once_in_four_frames_is_one_switch_of_three() -> None:
    truth = frame((20, 1))
    result = measured(*((frame((20, track)), truth) for track in (30, 30, 31, 31)))
    assert result["switches"] == pytest.approx(1 / 3)
    # two halves of the object's volume, each half as large as it
    assert result["AQ"] == pytest.approx(0.5)
    assert result["STQ"] == pytest.approx(0.5**0.5)


def test_a_switch_counts_after_a_gap_too() -> None:
    truth, nothing = frame((20, 1)), frame()
    result = measured((frame((20, 30)), truth), (nothing, truth), (frame((20, 31)), truth))
    assert result["counts"]["follow_ups"] == result["counts"]["switches"] == 1
    assert result["coverage"] == pytest.approx(2 / 3)


def test_a_pair_stays_while_it_overlaps_though_another_overlaps_more() -> None:
    truth = frame((20, 1))
    both = frame((20, 31))
    both[1][20:23, 50:54, 3] = 30
    assert measured((frame((20, 30)), truth), (both, truth))["switches"] == 0


def test_voxels_without_an_id_are_counted_among_things_only() -> None:
    labels, ids = frame((20, 30), (80, 0))
    labels[100:120, 100, 3] = BARRIER
    assert measured(((labels, ids), frame((20, 1), (80, 2))))["without_id"] == 0.5


def test_ids_of_the_last_frame_may_still_live_on() -> None:
    truth = frame((20, 1))
    result = measured(*((frame((20, track)), truth) for track in (30, 31, 31, 32)))
    assert result["one_frame_ids"] == pytest.approx(1 / 2)


def test_unseen_objects_need_not_be_found() -> None:
    mask = SEEN.copy()
    mask[20:30] = False
    mask[20:21, 50:54, 3] = True  # four voxels are too few
    assert np.isnan(measured((frame(), frame((20, 1))), mask=mask)["coverage"])


def test_empty_instances_and_jumps_are_noted() -> None:
    metric = Stability()
    truth = frame((20, 1))
    for x, pose_x in ((0.0, 0.0), (2.0, 1.0)):
        car = Instance(30, CAR, 0.5, (x, 0.0, 0.0), (1.0, 1.0, 1.0), 0)
        pose = np.eye(4)
        pose[0, 3] = pose_x
        metric.update(*frame((20, 30)), *truth, SEEN, [car], pose)
    result = metric.compute()
    assert (result["empty_instances"], result["largest_jump_m"]) == (2, 3.0)


def test_sequences_are_apart_and_add_up() -> None:
    truth = frame((20, 1))
    together = Stability()
    parts = [Stability() for _ in range(2)]
    for part, track in zip(parts, (30, 31), strict=True):
        for _ in range(2):
            part.update(*frame((20, track)), *truth, SEEN)
            together.update(*frame((20, track)), *truth, SEEN)
        together.end_sequence()
    parts[0].merge(parts[1])
    assert parts[0].compute() == together.compute()
    assert parts[0].compute()["switches"] == 0
    parts[0].reset()
    assert np.isnan(parts[0].compute()["STQ"])
