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

"""Metrics equal the official code's numbers and hand-computed tiny cases."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from flashocc_ros.errors import InputError
from flashocc_ros.evaluation import MeanIoU, RayIoU, RayPQ
from flashocc_ros.evaluation.rays import cast, ray_directions, rendered, select_origins
from flashocc_ros.labels import FREE

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def case(spec_module: Callable[[str], ModuleType]) -> dict[str, Any]:
    return spec_module("metrics_cases").make_case(7)


@pytest.fixture(scope="module")
def expected(shared_dir: Path) -> Any:
    return json.loads((shared_dir / "spec" / "metrics_example.json").read_text())


@pytest.mark.parametrize(
    ("mask", "key"), [("camera", "miou_camera_mask"), ("lidar", "miou_lidar_mask"), (None, "miou_no_mask")]
)
def test_mean_iou_equals_official(case: dict[str, Any], expected: Any, mask: Any, key: str) -> None:
    metric = MeanIoU(mask=mask)
    metric.update(case["sem_pred"], case["sem_gt"], case[f"mask_{mask}"] if mask else None)
    result = metric.compute()
    assert result["mIoU"] == pytest.approx(expected[key]["mIoU"], abs=TOLERANCE)
    np.testing.assert_allclose(result["per_class"], expected[key]["per_class"], atol=TOLERANCE)


def test_ray_directions_equal_official(expected: Any) -> None:
    rays = ray_directions()
    assert len(rays) == expected["rays"]["num_rays"]
    assert hashlib.sha256(rays.tobytes()).hexdigest() == expected["rays"]["rays_sha256"]


def test_ray_cast_equals_official(case: dict[str, Any], expected: Any) -> None:
    voxel, distance = cast(case["sem_pred"], case["origins"])
    labels, wanted = rendered(case["sem_pred"], voxel), expected["rays"]
    assert np.bincount(labels, minlength=18).tolist() == wanted["first_frame_pred_ray_label_hist"]
    assert distance.sum() == pytest.approx(wanted["first_frame_pred_dist_sum"], rel=1e-7)
    np.testing.assert_allclose(distance[::997], wanted["first_frame_pred_dist_every_997"], rtol=1e-6)
    assert labels[::997].tolist() == wanted["first_frame_pred_label_every_997"]


def test_ray_iou_equals_official(case: dict[str, Any], expected: Any) -> None:
    metric = RayIoU()
    metric.update(case["sem_pred"], case["sem_gt"], case["origins"])
    result, wanted = metric.compute(), expected["rayiou"]
    for name in ("RayIoU", "RayIoU@1", "RayIoU@2", "RayIoU@4"):
        assert result[name] == pytest.approx(wanted[name], abs=TOLERANCE)
    np.testing.assert_allclose(result["per_class"], wanted["per_class_1_2_4"], atol=TOLERANCE)
    assert int(metric.truths.sum()) == wanted["valid_rays_per_frame"][0]


def test_ray_pq_equals_official(case: dict[str, Any], expected: Any) -> None:
    metric = RayPQ()
    metric.update(case["sem_pred"], case["inst_pred"], case["sem_gt"], case["inst_gt"], case["origins"])
    result, wanted = metric.compute(), expected["raypq"]
    for name in ("tp", "fp", "fn"):
        assert result[name].tolist() == wanted[name]
    np.testing.assert_allclose(result["iou_sum"], wanted["iou_sum"], atol=TOLERANCE)
    for name in ("RayPQ", "RayPQ@1", "RayPQ@2", "RayPQ@4"):
        assert result[name] == pytest.approx(wanted[name], abs=TOLERANCE)


@pytest.mark.parametrize("kind", ["mean_iou", "ray_iou", "ray_pq"])
def test_merged_halves_equal_the_whole(case: dict[str, Any], kind: str) -> None:
    make, fields = {
        "mean_iou": (MeanIoU, ("sem_pred", "sem_gt", "mask_camera")),
        "ray_iou": (RayIoU, ("sem_pred", "sem_gt", "origins")),
        "ray_pq": (RayPQ, ("sem_pred", "inst_pred", "sem_gt", "inst_gt", "origins")),
    }[kind]
    other = {**case, "sem_pred": np.roll(case["sem_pred"], 1, axis=0)}
    whole, first, second = make(), make(), make()
    for target, sample in ((whole, case), (whole, other), (first, case), (second, other)):
        target.update(*(sample[name] for name in fields))
    first.merge(second)
    np.testing.assert_equal(first.compute(), whole.compute())
    whole.reset()
    np.testing.assert_equal(whole.compute(), make().compute())


def test_ray_iou_costs_at_most_one_and_a_half_seconds(case: dict[str, Any]) -> None:
    metric = RayIoU()
    origins = np.tile(case["origins"], (2, 1))
    metric.update(case["sem_pred"], case["sem_gt"], origins)
    started = time.process_time()
    metric.update(case["sem_pred"], case["sem_gt"], origins)
    assert time.process_time() - started <= 1.5


def test_ray_stops_where_it_leaves_the_first_occupied_voxel() -> None:
    grid = np.full((200, 200, 16), FREE, np.uint8)
    grid[125:, :, :] = 4  # a wall from x = 10 m on
    voxel, distance = cast(grid, [[0.2, 0.2, 1.0]])
    flat = np.flatnonzero(np.abs(ray_directions() - (1, 0, 0)).sum(1) < 0.05)
    assert flat.size > 0
    assert (rendered(grid, voxel[flat]) == 4).all()
    np.testing.assert_allclose(distance[flat] * ray_directions()[flat, 0], 10.4 - 0.2, atol=1e-4)


def test_perfect_prediction_scores_one() -> None:
    truth = np.full((200, 200, 16), FREE, np.uint8)
    truth[:, :, :2] = 11
    truth[120:125, 100:104, 2:6] = 4
    instances = np.where(truth == 4, 1, 0).astype(np.int32)
    predicted = np.where(truth == 4, 18, truth).astype(np.int32)
    origins = [[0.0, 0.0, 1.8]]
    voxels, rays, quality = MeanIoU(mask=None), RayIoU(), RayPQ()
    voxels.update(truth, truth)
    rays.update(truth, truth, origins)
    quality.update(truth, predicted, truth, instances, origins)
    assert voxels.compute()["mIoU"] == rays.compute()["RayIoU"] == quality.compute()["RayPQ"] == 1.0


def test_mean_iou_of_a_hand_computed_case() -> None:
    truth, predicted = np.array([4, 4, 4, FREE]), np.array([4, 4, 11, 4])
    metric = MeanIoU(mask=None)
    metric.update(predicted, truth)
    result = metric.compute()
    assert result["per_class"][4] == pytest.approx(2 / 4)
    assert result["per_class"][11] == 0.0
    assert result["mIoU"] == pytest.approx(0.25)
    assert np.isnan(result["per_class"][0])


def test_wrong_input_is_refused_with_a_reason() -> None:
    with pytest.raises(InputError, match="camera"):
        MeanIoU(mask="camera").update(np.zeros(3), np.zeros(3))
    with pytest.raises(InputError, match="shape"):
        MeanIoU(mask=None).update(np.zeros(3), np.zeros(4))
    with pytest.raises(InputError, match="must be"):
        MeanIoU(mask="radar")  # type: ignore[arg-type]


def test_origins_outside_the_grid_are_dropped_and_thinned_to_eight() -> None:
    track = np.stack([np.linspace(-60, 60, 31), np.zeros(31), np.full(31, 1.8)], 1)
    kept = select_origins(track)
    assert len(kept) == 8
    assert np.abs(kept[:, 0]).max() < 39
    np.testing.assert_allclose(kept[[0, -1], 0], [-36, 36])


@pytest.mark.parametrize("value", [24, 200])
def test_rays_refuse_classes_that_do_not_exist(value: int) -> None:
    truth = np.full((200, 200, 16), FREE, np.uint8)
    truth[120] = value
    with pytest.raises(InputError, match=rf"hold class {value}, must be 0\.\.17"):
        RayIoU().update(np.full((200, 200, 16), FREE, np.uint8), truth, [(0.98, 0.0, 1.84)])
