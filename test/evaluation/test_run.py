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

"""Evaluation over drives: processes share the work and add up exactly, streams stay apart, print-outs are complete."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flashocc_ros.errors import InputError
from flashocc_ros.evaluation import MeanIoU, RayIoU
from flashocc_ros.evaluation.frames import EvalFrame, SyntheticFrames, lidar_origins
from flashocc_ros.evaluation.run import PredictorSettings, evaluate, format_tables, score_sequence
from flashocc_ros.labels import CLASS_NAMES, FREE, OCC3D
from flashocc_ros.structures import OCC3D_GRID, CameraRig, Occupancy, VoxelGrid
from flashocc_ros.variants import get_variant

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "variant.yaml"
SETTINGS = PredictorSettings("synthetic-tiny", engine="torch")


class PerfectPredictor:
    """Gives back a stored truth; notes when it was reset."""

    def __init__(self, data: TwoBoxes) -> None:
        self.data, self.resets = data, 0

    def reset(self) -> None:
        self.resets += 1

    def __call__(self, images: Any, rig: CameraRig, odom_from_base: Any, stamp_ns: int) -> Occupancy:
        semantics = self.data.semantics
        instances = np.where(semantics == 4, 30, semantics).astype(np.int32)
        return Occupancy(semantics, instances, (), stamp_ns)


class TwoBoxes:
    """One sequence of two identical frames."""

    def __init__(self) -> None:
        self.semantics = np.full((200, 200, 16), FREE, np.uint8)
        self.semantics[:, :, 1] = 11
        self.semantics[120:126, 100:104, 2:6] = 4

    def sequences(self) -> list[int]:
        return [0]

    def frames(self, sequence: int) -> Iterator[EvalFrame]:
        rig = CameraRig(["a"], np.eye(3)[None], np.eye(4)[None])
        image, mask = np.zeros((2, 2, 3), np.uint8), np.ones((200, 200, 16), bool)
        instances = (self.semantics == 4).astype(np.int32)
        poses = np.stack([np.eye(4)] * 2)
        for index in range(2):
            yield EvalFrame(
                [image], rig, np.eye(4)[None], index, self.semantics, mask, mask, instances, lidar_origins(poses, index)
            )


def test_a_perfect_prediction_scores_one_everywhere() -> None:
    data = TwoBoxes()
    predictor = PerfectPredictor(data)
    result = score_sequence(data, 0, predictor, "camera").result()
    assert predictor.resets == 1
    assert result["frames"] == 2
    assert result["mIoU"] == result["RayIoU"] == result["RayPQ"] == result["above_ground_occupied_IoU"] == 1.0
    assert result["IoU"]["bus"] is None
    assert result["RayPQ_things"] == result["stability"]["STQ"] == result["stability"]["coverage"] == 1.0
    assert result["stability"]["without_id"] == result["stability"]["switches"] == 0.0


def test_the_print_out_has_every_class_and_both_tables() -> None:
    data = TwoBoxes()
    text = format_tables(score_sequence(data, 0, PerfectPredictor(data), None).result())
    for name in CLASS_NAMES[:-1]:
        assert text.count(name) == 3
    assert "===> mIoU of 2 samples: 100.00" in text
    assert "PQ@4" in text
    assert "thing voxels without id: 0.00" in text
    assert "IoU@1" in text


def test_lidar_origins_follow_the_motion_of_the_vehicle() -> None:
    poses = np.stack([np.eye(4)] * 3)
    poses[:, 0, 3] = (0.0, 5.0, 10.0)
    np.testing.assert_allclose(lidar_origins(poses, 1, (1.0, 0.0, 1.8)), [[-4, 0, 1.8], [1, 0, 1.8], [6, 0, 1.8]])


def test_synthetic_frames_survive_pickling_and_carry_truth() -> None:
    data = pickle.loads(pickle.dumps(SyntheticFrames((1003,), 1)))
    (frame,) = data.frames(1003)
    assert frame.semantics.shape == frame.mask_camera.shape == (200, 200, 16)
    assert frame.mask_camera.dtype == bool
    assert frame.instances is not None
    assert len(frame.images) == frame.rig.num_cameras == 6


@pytest.mark.slow
def test_two_processes_give_the_result_of_one() -> None:
    data = SyntheticFrames((1000, 1001), 1)
    seen: list[int] = []
    alone = evaluate(data, SETTINGS).result()
    shared = evaluate(data, SETTINGS, processes=2, progress=lambda done, total: seen.append(done)).result()
    alone.pop("predict_ms")
    shared.pop("predict_ms")
    assert alone == shared
    assert seen == [1, 2]


def test_truth_of_occ3d_is_measured_in_classes_of_ones_own() -> None:
    own = get_variant(EXAMPLE).classes
    data = TwoBoxes()

    class Own(PerfectPredictor):
        def __call__(self, images: Any, rig: CameraRig, odom_from_base: Any, stamp_ns: int) -> Occupancy:
            semantics = np.array(own.from_occ3d(), np.uint8)[self.data.semantics]
            instances = np.where(self.data.semantics == 4, 30, semantics).astype(np.int32)
            return Occupancy(semantics, instances, (), stamp_ns, classes=own)

    result = score_sequence(data, 0, Own(data), "camera").result()
    assert {name for name, value in result["IoU"].items() if value == 1.0} == {"road", "vehicle", "free"}
    assert (result["mIoU"], result["RayIoU"], result["RayPQ_things"]) == (1.0, 1.0, 1.0)
    assert list(result["RayPQ_per_class"]) == list(own.names[:-1])
    assert "===> vehicle - IoU = 100.00" in format_tables(result)


def test_truth_on_another_grid_or_of_other_classes_is_refused() -> None:
    own = get_variant(EXAMPLE)
    frame = next(TwoBoxes().frames(0))
    with pytest.raises(InputError, match=r"the ground truth has 200 x 200 x 16 .* the network predicts 120 x 80 x 8"):
        frame.labels_of(own.grid, own.classes)
    with pytest.raises(InputError, match=r"the ground truth has the classes road, .* make labels with its classes"):
        replace(frame, classes=own.classes).labels_of(OCC3D_GRID, OCC3D)


def test_what_nobody_knows_does_not_count() -> None:
    own = get_variant(EXAMPLE).classes
    metric = MeanIoU(None, own)
    metric.update(np.array([0, 1, 3]), np.array([0, 1, own.ignore]))
    assert metric.compute()["mIoU"] == 1.0
    pred = np.full((40, 40, 4), own.free, np.uint8)
    pred[:, :, 0] = 0
    truth = pred.copy()
    truth[20:, :, 0] = own.ignore
    rays = RayIoU(VoxelGrid(0.5, (-10.0, -10.0, -1.0), (40, 40, 4)), own)
    rays.update(pred, truth, [(0.1, 0.1, 0.5)])
    assert rays.compute()["RayIoU"] == 1.0
