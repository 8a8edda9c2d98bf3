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

"""Class offsets raise the mean IoU and leave a good labelling alone."""

from __future__ import annotations

import numpy as np

from flashocc_ros.labels import FREE
from flashocc_ros.training.calibrate import class_offsets


def _iou(logits: np.ndarray, truth: np.ndarray, class_id: int) -> float:
    pred = logits.argmax(1)
    return float(((pred == class_id) & (truth == class_id)).sum() / ((pred == class_id) | (truth == class_id)).sum())


def test_a_class_that_never_wins_gets_an_offset() -> None:
    rng = np.random.default_rng(0)
    truth = np.full(4000, FREE, np.uint8)
    truth[:800] = 15
    logits = np.full((4000, 18), -9.0, np.float32)
    logits[:, FREE] = 1.0
    logits[:, 15] = rng.normal(-1.0, 0.3, 4000)
    logits[:800, 15] += 1.5
    offsets = class_offsets(logits, truth, np.ones(4000, np.float32))
    assert _iou(logits, truth, 15) < 0.1
    assert _iou(logits + offsets, truth, 15) > 0.8
    assert offsets[FREE] == 0.0


def test_rows_count_as_often_as_their_weight() -> None:
    truth = np.array([15, FREE], np.uint8)
    logits = np.full((2, 18), -9.0, np.float32)
    logits[:, FREE], logits[:, 15] = 0.5, 0.0
    light = class_offsets(logits, truth, np.array([10.0, 1.0], np.float32))
    assert light[15] > 0.5  # one wrong row for ten right ones: worth it


def test_a_perfect_labelling_keeps_zero_offsets() -> None:
    truth = np.array([4, 11, FREE, 15], np.uint8)
    logits = 10 * np.eye(18, dtype=np.float32)[truth]
    np.testing.assert_array_equal(class_offsets(logits, truth, np.ones(4, np.float32)), np.zeros(18))
