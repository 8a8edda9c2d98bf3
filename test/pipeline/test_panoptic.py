"""Instance assignment: nearest centre of the voxel's class, and the published code's behaviour on request."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import CLASS_NAMES, DETECTION_NAMES, FREE
from flashocc_ros.pipeline.decode import Centers
from flashocc_ros.pipeline.panoptic import MAX_DISTANCE_M, assign_instances, max_distances, reference_ids

CAR, PEDESTRIAN, CONE, BARRIER = (CLASS_NAMES.index(n) for n in ("car", "pedestrian", "traffic_cone", "barrier"))


def centers(*items: tuple[str, tuple[float, float, float]]) -> Centers:
    """Centres by detection name and position, scores falling."""
    return Centers(
        np.array([xyz for _, xyz in items], np.float32).reshape(-1, 3),
        np.linspace(0.9, 0.4, len(items), dtype=np.float32),
        np.array([DETECTION_NAMES.index(name) for name, _ in items], np.int64),
    )


def ids_of(found: Centers) -> npt.NDArray[np.int32]:
    return np.arange(100, 100 + len(found), dtype=np.int32)


def free_grid() -> npt.NDArray[np.uint8]:
    return np.full((200, 200, 16), FREE, np.uint8)


def voxel(x: float, y: float, z: float) -> tuple[int, int, int]:
    return int((x + 40) / 0.4), int((y + 40) / 0.4), int((z + 1) / 0.4)


def test_every_voxel_takes_the_nearest_centre_of_its_class() -> None:
    rng = np.random.default_rng(0)
    semantics = rng.integers(0, 18, (200, 200, 16)).astype(np.uint8)
    found = Centers(
        rng.uniform((-40, -40, -1), (40, 40, 5), (40, 3)).astype(np.float32),
        np.linspace(0.9, 0.3, 40, dtype=np.float32),
        rng.integers(0, 10, 40),
    )
    got, _ = assign_instances(semantics, found, ids_of(found))
    index = rng.integers(0, semantics.shape, (3000, 3))
    middle = (index + 0.5) * 0.4 + (-40, -40, -1)
    assigned = 0
    for (ix, iy, iz), point in zip(index, middle, strict=True):
        label = int(semantics[ix, iy, iz])
        same = [k for k in range(40) if CLASS_NAMES.index(DETECTION_NAMES[found.detection[k]]) == label]
        distance = np.array([np.linalg.norm(found.xyz_m[k] - point) for k in same])
        expected = label
        if len(same) and distance.min() < MAX_DISTANCE_M[CLASS_NAMES[label]]:
            expected = 100 + same[int(distance.argmin())]
            assigned += 1
        assert got[ix, iy, iz] == expected
    assert assigned > 10


@pytest.mark.parametrize("reference_mode", [False, True])
def test_a_voxel_alone_in_its_column_finds_what_it_finds_in_a_full_one(reference_mode: bool) -> None:
    rng = np.random.default_rng(6)
    found = centers(*(("car", tuple(rng.uniform((-40, -40, -1), (40, 40, 5)))) for _ in range(60)))
    full, alone = np.full_like(free_grid(), CAR), free_grid()
    picked = rng.random(alone.shape) < 0.1
    alone[picked] = CAR
    expected, _ = assign_instances(full, found, ids_of(found), reference_mode=reference_mode)
    grid, _ = assign_instances(alone, found, ids_of(found), reference_mode=reference_mode)
    np.testing.assert_array_equal(grid[picked], expected[picked])
    assert len(np.unique(grid[picked])) > 30


@pytest.mark.parametrize("name", DETECTION_NAMES)
def test_each_detection_serves_the_class_of_its_name(name: str) -> None:
    semantics = free_grid()
    semantics[voxel(5, 5, 0)] = CLASS_NAMES.index(name)
    found = centers((name, (5.0, 5.0, 0.0)))
    grid, (instance,) = assign_instances(semantics, found, ids_of(found))
    assert grid[voxel(5, 5, 0)] == 100
    assert CLASS_NAMES[instance.class_id] == name
    assert instance.voxel_count == 1


def test_a_voxel_beyond_the_limit_keeps_its_class() -> None:
    semantics = free_grid()
    near, far = voxel(3.9, 0, 0), voxel(4.9, 0, 0)
    semantics[near] = semantics[far] = CAR
    found = centers(("car", (0.2, 0.2, 0.2)))
    grid, _ = assign_instances(semantics, found, ids_of(found))
    assert (grid[near], grid[far]) == (100, CAR)
    grid, _ = assign_instances(semantics, found, ids_of(found), limits_m=max_distances({"car": 10.0}))
    assert (grid[near], grid[far]) == (100, 100)


def test_instances_report_score_centre_extent_and_count() -> None:
    semantics = free_grid()
    semantics[100:110, 100:105, 2:6] = CAR
    found = centers(("car", (2.0, 1.0, 0.5)), ("pedestrian", (20.0, 0.0, 0.5)))
    _, (car, pedestrian) = assign_instances(semantics, found, ids_of(found))
    assert (car.id, car.class_id, car.voxel_count) == (100, CAR, 200)
    assert car.score == pytest.approx(0.9)
    assert car.center_m == pytest.approx((2.0, 1.0, 0.5))
    assert car.extent_m == pytest.approx((4.0, 2.0, 1.6))
    assert (pedestrian.voxel_count, pedestrian.extent_m) == (0, (0.0, 0.0, 0.0))


@pytest.mark.parametrize("reference_mode", [False, True])
def test_without_centres_the_map_is_the_semantic_one(reference_mode: bool) -> None:
    semantics = np.random.default_rng(3).integers(0, 18, (200, 200, 16)).astype(np.uint8)
    found = centers()
    grid, instances = assign_instances(semantics, found, ids_of(found), reference_mode=reference_mode)
    assert grid.dtype == np.int32
    np.testing.assert_array_equal(grid, semantics)
    assert instances == ()


def test_equal_distances_go_to_the_better_score() -> None:
    semantics = free_grid()
    semantics[100, 100, 2] = CAR
    found = centers(("car", (1.2, 0.2, 0.0)), ("car", (-0.8, 0.2, 0.0)))
    grid, _ = assign_instances(semantics, found, ids_of(found))
    assert grid[100, 100, 2] == 100


def test_reference_mode_repeats_the_published_mistakes() -> None:
    semantics = free_grid()
    semantics[voxel(5, 5, 0)] = PEDESTRIAN
    semantics[voxel(6, 5, 0)] = CONE
    semantics[voxel(7, 5, 0)] = BARRIER
    semantics[voxel(-39, 5, 0)] = CAR
    found = centers(
        ("bicycle", (5.0, 5.0, 0.0)),
        ("pedestrian", (6.0, 5.0, 0.0)),
        ("traffic_cone", (7.0, 5.0, 0.0)),
        ("car", (39.0, 5.0, 0.0)),
    )
    ids = reference_ids(found)
    grid, _ = assign_instances(semantics, found, ids, reference_mode=True)
    assert grid[voxel(5, 5, 0)] == ids[0]  # pedestrian voxels look for bicycle centres
    assert grid[voxel(6, 5, 0)] == 0  # cones and barriers are claimed by a class without a way back
    assert grid[voxel(7, 5, 0)] == 0
    assert grid[voxel(-39, 5, 0)] == ids[3]  # no distance limit


def test_reference_ids_are_a_permutation() -> None:
    found = centers(("pedestrian", (0, 0, 0)), ("car", (0, 0, 0)), ("truck", (0, 0, 0)))
    np.testing.assert_array_equal(reference_ids(found), [19, 20, 18])


@pytest.mark.data
def test_reference_mode_reproduces_the_golden_instances(shared_dir: Path) -> None:
    golden = np.load(shared_dir / "spec" / "golden" / "panoptic-flashocc-r50-depth4d-longterm8f-pano.npz")
    found = Centers(golden["center_xyz"], golden["center_score"], golden["center_label"].astype(np.int64))
    grid, instances = assign_instances(golden["occ"], found, reference_ids(found), reference_mode=True)
    expected = golden["pano_inst"].astype(np.int32)
    pairs = np.unique(np.stack([grid.ravel(), expected.ravel()]), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]  # one to one
    stuff = expected < 18
    np.testing.assert_array_equal(grid[stuff], expected[stuff])
    assert sum(i.voxel_count for i in instances) == (~stuff).sum()


@pytest.mark.parametrize("limits", [{"tree": 1.0}, {"car": 0.0}, {"car": float("nan")}])
def test_bad_limits_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="panoptic distance limit"):
        max_distances(limits)


def test_sixty_centres_on_a_full_grid_are_quick() -> None:
    rng = np.random.default_rng(5)
    semantics = np.full((200, 200, 16), CAR, np.uint8)
    found = Centers(
        rng.uniform((-40, -40, -1), (40, 40, 5), (60, 3)).astype(np.float32),
        np.linspace(0.9, 0.3, 60, dtype=np.float32),
        np.zeros(60, np.int64),
    )
    seconds = []
    for _ in range(5):
        begin = time.process_time()
        assign_instances(semantics, found, reference_ids(found), reference_mode=True)
        seconds.append(time.process_time() - begin)
    assert min(seconds) < 0.1  # measured 12 ms; the bound only catches a lost compilation or a quadratic loop
