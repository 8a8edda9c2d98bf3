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

"""The shipped network on drives it has never seen: it reads the pictures, and its numbers hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flashocc_ros import weights
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.evaluation import MeanIoU
from flashocc_ros.labels import FREE
from flashocc_ros.predictor import Predictor

VARIANT = "synthetic-tiny"
HELD_OUT_SEEDS = (1002, 1007, 1013, 1021)

# The model card has the numbers of 20 drives (0.480 and 0.348); nothing worse must ship.
LEAST_MIOU = 0.43
LEAST_ABOVE_GROUND = 0.30
GAIN_OF_A_PAST = 0.06
"""Above the ground, of the two-frame network; 0.1 on the frames of its card."""


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Any, Any]]:
    """Two frames of each drive, half a second apart."""
    drives = [Drive(seed, 1.0, threads=1) for seed in HELD_OUT_SEEDS]
    return [(drive.key_frame(0), drive.key_frame(1)) for drive in drives]


@pytest.fixture(scope="module")
def frames(pairs: list[tuple[Any, Any]]) -> list[Any]:
    return [second for _, second in pairs]


@pytest.fixture(scope="module")
def predictions(frames: list[Any]) -> dict[str, list[npt.NDArray[np.uint8]]]:
    """Labels from a frame's own pictures and from the pictures of the frame before it in the list."""
    predictor = Predictor(VARIANT, engine="torch")
    result: dict[str, list[npt.NDArray[np.uint8]]] = {"own": [], "foreign": []}
    for number, frame in enumerate(frames):
        for kind, images in (("own", frame.images), ("foreign", frames[number - 1].images)):
            predictor.reset()
            result[kind].append(predictor(images, frame.rig, frame.odom_from_base, frame.stamp_ns).semantics)
    return result


def _mean_iou(frames: list[Any], labels: list[npt.NDArray[np.uint8]]) -> float:
    metric = MeanIoU(mask="camera")
    for frame, predicted in zip(frames, labels, strict=True):
        metric.update(predicted, frame.semantics, frame.mask_camera > 0)
    return float(metric.compute()["mIoU"])


def test_weights_are_small_and_found_by_name() -> None:
    path = weights.path(VARIANT)
    assert path is not None
    assert path.stat().st_size <= 12e6
    assert weights.path("flashocc-r50-M0") is None


def test_mean_iou_on_held_out_frames(frames: list[Any], predictions: dict[str, list[npt.NDArray[np.uint8]]]) -> None:
    assert _mean_iou(frames, predictions["own"]) >= LEAST_MIOU


def _above_ground(frames: list[Any], labels: list[npt.NDArray[np.uint8]]) -> float:
    hits = union = 0
    for frame, predicted in zip(frames, labels, strict=True):
        seen = frame.mask_camera[..., 3:] > 0
        pred, truth = (grid[..., 3:][seen] != FREE for grid in (predicted, frame.semantics))
        hits, union = hits + int((pred & truth).sum()), union + int((pred | truth).sum())
    return hits / union


def test_things_above_the_ground_are_found(
    frames: list[Any], predictions: dict[str, list[npt.NDArray[np.uint8]]]
) -> None:
    assert _above_ground(frames, predictions["own"]) >= LEAST_ABOVE_GROUND


def test_the_frame_before_shows_where_things_above_the_ground_stand(
    pairs: list[tuple[Any, Any]], frames: list[Any], predictions: dict[str, list[npt.NDArray[np.uint8]]]
) -> None:
    predictor = Predictor(f"{VARIANT}-4d", engine="torch")
    labels = []
    for pair in pairs:
        predictor.reset()
        streamed = [predictor(frame.images, frame.rig, frame.odom_from_base, frame.stamp_ns) for frame in pair]
        labels.append(streamed[-1].semantics)
    assert _above_ground(frames, labels) >= _above_ground(frames, predictions["own"]) + GAIN_OF_A_PAST


def test_pictures_of_another_frame_cost_half_of_the_mean_iou(
    frames: list[Any], predictions: dict[str, list[npt.NDArray[np.uint8]]]
) -> None:
    assert _mean_iou(frames, predictions["foreign"]) <= 0.5 * _mean_iou(frames, predictions["own"])
