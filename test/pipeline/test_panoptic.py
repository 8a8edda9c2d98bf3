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

"""Voxels of things become objects: touching ones are told apart, incomplete heads do no harm, nothing is left over."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from panoptic_objects import THRESHOLD, centers, free_grid, instances_of, put, voxel

from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import CLASS_NAMES, DETECTION_NAMES
from flashocc_ros.pipeline.panoptic import find_objects, max_distances
from flashocc_ros.pipeline.tracking import Expected

CAR, BUS, TRUCK, PEDESTRIAN = (CLASS_NAMES.index(n) for n in ("car", "bus", "truck", "pedestrian"))
CAR_SIZE = (11, 6, 4)
"""4.4 x 2.4 x 1.6 m in voxels: as close as one can park side by side, and the gap taken for car, too."""


Boxes = list[tuple[slice, ...]]


def row_of_cars(
    step: tuple[int, int],
) -> tuple[npt.NDArray[np.uint8], list[tuple[slice, ...]], list[tuple[float, ...]]]:
    """Six parked cars without a gap, their boxes, and centres that are off by up to 0.4 m."""
    rng = np.random.default_rng(1)
    semantics = free_grid()
    placed = [put(semantics, "car", (60 + k * step[0], 80 + k * step[1], 2), CAR_SIZE) for k in range(6)]
    middles = [(x + rng.uniform(-0.3, 0.3), y + rng.uniform(-0.3, 0.3), z) for _, (x, y, z) in placed]
    return semantics, [box for box, _ in placed], middles


def assert_one_each(grid: npt.NDArray[np.int32], boxes: Boxes) -> None:
    """Every box is mostly of one id, and no two of the same."""
    main = []
    for box in boxes:
        ids, voxels = np.unique(grid[box], return_counts=True)
        assert voxels.max() >= 0.75 * grid[box].size
        main.append(int(ids[voxels.argmax()]))
    assert min(main) >= 18
    assert len(set(main)) == len(boxes)


@pytest.mark.parametrize("step", [(0, 6), (11, 0)], ids=["side by side", "nose to tail"])
@pytest.mark.parametrize(
    "scores", [0.95, 0.6, 0.08, (0.9, 0.8, 0.12, 0.1, 0.09, 0.08)], ids=["sure", "usual", "low", "mixed"]
)
def test_parked_cars_that_touch_are_told_apart_whatever_scores_a_head_gives(
    step: tuple[int, int], scores: float | tuple[float, ...]
) -> None:
    semantics, boxes, middles = row_of_cars(step)
    grid, instances = instances_of(semantics, centers(*(("car", m) for m in middles), scores=scores))
    assert len(instances) == 6
    assert_one_each(grid, boxes)


@pytest.mark.parametrize("scores", [0.95, 0.08], ids=["sure", "low"])
@pytest.mark.parametrize(
    ("first", "step"),
    [((95, 104), (0, 6)), ((107, 80), (11, 0)), ((107, 97), (11, 0))],
    ids=["beside each other, away to the left", "nose to tail to the right", "nose to tail ahead"],
)
def test_cars_parked_along_a_ray_are_told_apart(first: tuple[int, int], step: tuple[int, int], scores: float) -> None:
    semantics = free_grid()
    placed = [put(semantics, "car", (first[0] + k * step[0], first[1] + k * step[1], 2), CAR_SIZE) for k in range(5)]
    found = centers(*(("car", middle) for _, middle in placed), scores=scores)
    grid, instances = instances_of(semantics, found)
    assert len(instances) == 5
    assert_one_each(grid, [box for box, _ in placed])


@pytest.mark.parametrize("gap", [0, 3], ids=["touching", "apart"])
def test_what_is_seen_at_two_distances_is_one_object(gap: int) -> None:
    semantics = free_grid()
    _, near = put(semantics, "pedestrian", (140, 100, 2), (4, 3, 4))
    _, far = put(semantics, "pedestrian", (144 + gap, 100, 2), (4, 3, 4))
    _, instances = instances_of(semantics, centers(("pedestrian", near), ("pedestrian", far), scores=(0.5, 0.2)))
    assert [(i.score, i.voxel_count) for i in instances] == [(pytest.approx(0.5), 2 * 4 * 3 * 4)]


def test_pedestrians_next_to_each_other_are_two() -> None:
    semantics = free_grid()
    left_box, left = put(semantics, "pedestrian", (140, 100, 2), (3, 3, 4))
    right_box, right = put(semantics, "pedestrian", (140, 105, 2), (3, 3, 4))
    grid, _ = instances_of(semantics, centers(("pedestrian", left), ("pedestrian", right), scores=(0.5, 0.4)))
    assert_one_each(grid, [left_box, right_box])


def test_a_second_weaker_centre_beside_a_strong_one_does_not_split_a_car() -> None:
    semantics = free_grid()
    _, (x, y, z) = put(semantics, "car", (100, 100, 2), CAR_SIZE)
    found = centers(
        ("car", (x, y, z)), ("car", (x + 1.5, y, z)), ("truck", (x - 1.0, y + 0.3, z)), scores=(0.9, 0.5, 0.4)
    )
    _, instances = instances_of(semantics, found)
    assert [(i.score, i.voxel_count) for i in instances] == [(pytest.approx(0.9), 11 * 6 * 4)]


@pytest.mark.parametrize("score", [None, 0.05])
def test_a_bus_without_a_strong_centre_is_one_object(score: float | None) -> None:
    semantics = free_grid()
    box, (x, y, z) = put(semantics, "bus", (100, 100, 2), (28, 7, 8))
    found = centers() if score is None else centers(("bus", (x, y, z)), scores=score)
    grid, (bus,) = instances_of(semantics, found)
    assert (grid[box] == bus.id).all()
    assert (bus.class_id, bus.voxel_count, bus.score) == (BUS, 28 * 7 * 8, pytest.approx(score or 0.0))
    assert bus.center_m == pytest.approx((x, y, z), abs=1e-4)
    assert bus.extent_m == pytest.approx((11.2, 2.8, 3.2))


def test_a_bus_whose_end_is_beyond_the_reach_of_its_centre_is_one_object() -> None:
    semantics = free_grid()
    box, (x, y, z) = put(semantics, "bus", (100, 100, 2), (30, 7, 8))
    grid, (bus,) = instances_of(semantics, centers(("bus", (x - 5.0, y, z))))
    assert (grid[box] == bus.id).all()


@pytest.mark.parametrize(("name", "size"), [("bus", (28, 7, 8)), ("truck", (18, 6, 7))])
def test_a_car_that_touches_what_stands_before_it_is_another_object(name: str, size: tuple[int, int, int]) -> None:
    semantics = free_grid()
    large_box, large = put(semantics, name, (100, 100, 2), size)
    car_box, car = put(semantics, "car", (100 + size[0], 100, 2), CAR_SIZE)
    grid, instances = instances_of(semantics, centers((name, large), ("car", car)))
    assert [CLASS_NAMES[i.class_id] for i in instances] == [name, "car"]
    assert_one_each(grid, [large_box, car_box])


def test_a_pedestrian_beside_a_car_is_an_object_of_its_own() -> None:
    semantics = free_grid()
    car_box, middle = put(semantics, "car", (100, 100, 2), CAR_SIZE)
    pedestrian_box, _ = put(semantics, "pedestrian", (104, 106, 2), (1, 2, 5))
    grid, instances = instances_of(semantics, centers(("car", middle)))
    assert {i.class_id: i.voxel_count for i in instances} == {CAR: 11 * 6 * 4, PEDESTRIAN: 10}
    assert len(np.unique(grid[car_box])) == len(np.unique(grid[pedestrian_box])) == 1


def test_an_object_keeps_voxels_that_look_like_another_class_of_its_group() -> None:
    semantics = free_grid()
    box, middle = put(semantics, "truck", (100, 100, 2), (18, 6, 7))
    put(semantics, "bus", (115, 100, 2), (3, 6, 7))
    grid, (truck,) = instances_of(semantics, centers(("truck", middle)))
    assert (grid[box] == truck.id).all()
    assert truck.class_id == TRUCK


def test_crumbs_go_to_the_object_near_them_and_none_far_away() -> None:
    semantics = free_grid()
    _, middle = put(semantics, "car", (100, 100, 2), CAR_SIZE)
    near, _ = put(semantics, "car", (116, 102, 2), (2, 2, 1))
    far, _ = put(semantics, "car", (150, 102, 2), (2, 2, 1))
    grid, (car,) = instances_of(semantics, centers(("car", middle)))
    assert (grid[near] == car.id).all()
    assert (grid[far] == CAR).all()


@pytest.mark.parametrize("name", DETECTION_NAMES)
def test_each_detection_serves_the_class_of_its_name(name: str) -> None:
    semantics = free_grid()
    semantics[voxel(5, 5, 0)] = CLASS_NAMES.index(name)
    grid, (instance,) = instances_of(semantics, centers((name, (5.0, 5.0, 0.0))))
    assert grid[voxel(5, 5, 0)] == instance.id
    assert (CLASS_NAMES[instance.class_id], instance.voxel_count) == (name, 1)


def test_a_limit_says_how_far_a_centre_reaches() -> None:
    semantics = free_grid()
    near, far = voxel(3.9, 0, 0), voxel(4.9, 0, 0)
    semantics[near] = CAR
    semantics[far] = CAR
    found = centers(("car", (0.2, 0.2, 0.2)))
    assert len(instances_of(semantics, found)[1]) == 1
    assert instances_of(semantics, found, max_distances({"car": 2.0}))[1] == ()


def test_no_instance_is_empty_and_every_other_voxel_keeps_its_class() -> None:
    rng = np.random.default_rng(0)
    semantics = rng.integers(0, 18, (200, 200, 16)).astype(np.uint8)
    semantics[rng.random(semantics.shape) < 0.9] = 11
    names = [DETECTION_NAMES[k] for k in rng.integers(0, 10, 200)]
    found = centers(*((name, tuple(rng.uniform((-45, -45, -1), (45, 45, 5)))) for name in names))
    before = semantics.copy()
    grid, instances = instances_of(semantics, found)
    np.testing.assert_array_equal(semantics, before)
    assert len(instances) > 20
    assert [int((grid == i.id).sum()) for i in instances] == [i.voxel_count for i in instances]
    assert min(i.voxel_count for i in instances) > 0
    np.testing.assert_array_equal(grid[grid < 18], semantics[grid < 18])
    scores = [i.score for i in instances]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("found", [centers(), centers(("car", (0.0, 0.0, 0.0)))])
def test_a_grid_without_things_has_no_instances(found: object) -> None:
    semantics = np.full_like(free_grid(), 11)
    grid, instances = instances_of(semantics, found)  # type: ignore[arg-type]
    np.testing.assert_array_equal(grid, semantics)
    assert instances == ()


def test_a_centre_that_grows_weak_still_counts_where_its_track_is_expected() -> None:
    semantics, _, middles = row_of_cars((0, 6))
    scores = (0.9, 0.15, 0.9, 0.15, 0.9, 0.15)
    order = np.argsort(-np.array(scores), kind="stable")
    found = centers(*(("car", middles[k]) for k in order), scores=np.array(scores)[order])
    position = np.array(middles)
    expected = Expected(position, np.full(6, CAR), np.ones(6, bool))
    assert len(find_objects(semantics, found, THRESHOLD, expected)) == 6


@pytest.mark.parametrize("limits", [{"tree": 1.0}, {"car": 0.0}, {"car": float("nan")}])
def test_bad_limits_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="panoptic distance limit"):
        max_distances(limits)
