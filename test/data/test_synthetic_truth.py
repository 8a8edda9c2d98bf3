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

"""Voxel labels, depth and masks agree with the pictures and with rays traced the slow way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from flashocc_ros.data.synthetic import Drive, KeyFrame, nuscenes_like_rig
from flashocc_ros.data.synthetic.raster import draw_solids
from flashocc_ros.data.synthetic.solids import BOX, CYLINDER, ELLIPSOID, Solids
from flashocc_ros.data.synthetic.street import Ground
from flashocc_ros.data.synthetic.truth import camera_mask, lidar_mask, voxel_labels
from flashocc_ros.labels import CLASS_NAMES, FREE

SMALL = (198, 352)
CONE, CAR, WALL, ROAD = (CLASS_NAMES.index(n) for n in ("traffic_cone", "car", "manmade", "driveable_surface"))


@pytest.fixture(scope="module")
def key_frame() -> KeyFrame:
    return Drive(6, 2.0, image_size=SMALL).key_frame(3)


def solid(center: tuple[float, float, float], size: tuple[float, float, float], label: int, kind: int = BOX) -> Solids:
    return Solids(
        np.array([center], np.float32),
        np.eye(3, dtype=np.float32)[None],
        np.array([size], np.float32) / 2,
        np.zeros((1, 2), np.float32),
        np.ones((1, 3), np.float32),
        np.array([kind], np.uint8),
        np.zeros(1, np.uint8),
        np.array([label], np.uint8),
        np.array([7], np.int32),
    )


def intrinsics(focal: float, u: float, v: float) -> npt.NDArray[np.float64]:
    """Read-only like those of a rig, which is what the renderer is compiled for."""
    k = np.array([[focal, 0, u], [0, focal, v], [0, 0, 1.0]])
    k.setflags(write=False)
    return k


def flat_ground(height: float = 0.0) -> Ground:
    raster = np.zeros((200, 200, 4), np.float32)
    raster[..., 2] = height
    profile = np.array([150.0, 3.0, 0.0, 3.5, 1.0, 2.5, 0.0, 0.0])
    return Ground(raster, np.array([-200.0, -200.0]), np.zeros((0, 6)), profile)


def points_of_pixels(s: KeyFrame, camera: int, step: int = 2) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """Points (M, 3) in the key base frame and labels (M,) of every ``step``-th pixel below the sky."""
    k = s.rig.intrinsics[camera]
    key_from_camera = np.linalg.inv(s.key_pose) @ s.odom_from_base[camera] @ s.rig.base_from_camera[camera]
    v, u = np.mgrid[0 : s.depth.shape[1] : step, 0 : s.depth.shape[2] : step]
    z = s.depth[camera][v, u].astype(np.float64)
    rays = np.stack([(u - k[0, 2]) / k[0, 0] * z, (v - k[1, 2]) / k[1, 1] * z, z], -1)
    points = rays @ key_from_camera[:3, :3].T + key_from_camera[:3, 3]
    return points[z > 0], s.labels_2d[camera][v, u][z > 0]


def test_a_pixels_point_lies_within_half_a_cell_of_a_voxel_of_its_class(key_frame: KeyFrame) -> None:
    right = total = 0
    per_class = np.zeros((18, 2))
    for camera in range(6):
        points, labels = points_of_pixels(key_frame, camera)
        grid = (points - (-40, -40, -1)) / 0.4
        inside = (grid > 0.5).all(1) & (grid < np.array(key_frame.semantics.shape) - 0.5).all(1)
        grid, labels = grid[inside], labels[inside]
        hit = np.zeros(len(labels), bool)
        for offset in np.ndindex(3, 3, 3):
            cell = np.floor(grid + (np.array(offset) - 1) * 0.5).astype(int)
            hit |= key_frame.semantics[tuple(cell.T)] == labels
        right, total = right + hit.sum(), total + len(hit)
        per_class[:, 0] += np.bincount(labels[hit], minlength=18)
        per_class[:, 1] += np.bincount(labels, minlength=18)
    assert right / total > 0.99
    common = per_class[:, 1] > 200
    assert (per_class[common, 0] / per_class[common, 1] > 0.9).all()


def test_voxels_that_pixels_show_are_in_the_camera_mask(key_frame: KeyFrame) -> None:
    points, labels = points_of_pixels(key_frame, 0)
    cell = np.floor((points - (-40, -40, -1)) / 0.4).astype(int)
    inside = (cell >= 0).all(1) & (cell < key_frame.semantics.shape).all(1)
    cell, labels = cell[inside], labels[inside]
    same = key_frame.semantics[tuple(cell.T)] == labels
    assert key_frame.mask_camera[tuple(cell[same].T)].mean() > 0.9


def test_depth_is_z_depth_not_range() -> None:
    wall = solid((0.0, 0.0, 12.0), (40.0, 40.0, 2.0), WALL)
    depth, index = np.full((90, 160), 1e9, np.float32), np.full((90, 160), -1, np.int32)
    draw_solids(wall, np.zeros(3), np.eye(3), intrinsics(100, 80, 45), depth, index)
    assert (index == 0).all()
    np.testing.assert_allclose(depth, 11.0, atol=1e-4)


@pytest.mark.parametrize(("kind", "area"), [(BOX, 400.0), (ELLIPSOID, np.pi * 100.0), (CYLINDER, np.pi * 100.0)])
def test_solids_cover_the_pixels_they_should(kind: int, area: float) -> None:
    thing = solid((0.0, 0.0, 100.0), (2.0, 2.0, 2.0), CAR, kind)
    depth, index = np.full((60, 60), 1e9, np.float32), np.full((60, 60), -1, np.int32)
    draw_solids(thing, np.zeros(3), np.eye(3), intrinsics(990, 30.3, 30.4), depth, index)
    assert (index == 0).sum() == pytest.approx(area, rel=0.06)


def test_nearer_solid_wins_whatever_the_order() -> None:
    near, far = solid((0, 0, 5), (1, 1, 1), CAR), solid((0, 0, 9), (8, 8, 1), WALL)
    for order in ((near, far), (far, near)):
        both = Solids(*(np.concatenate(pair) for pair in zip(*order, strict=True)))
        depth, index = np.full((20, 20), 1e9, np.float32), np.full((20, 20), -1, np.int32)
        draw_solids(both, np.zeros(3), np.eye(3), intrinsics(20, 10, 10), depth, index)
        assert both.label[index[10, 10]] == CAR
        assert depth[10, 10] == pytest.approx(4.5)


@pytest.mark.parametrize("seed", range(20))
def test_a_cone_owns_one_to_thirty_voxels_wherever_it_stands(seed: int) -> None:
    x, y = np.random.default_rng(seed).uniform(-30, 30, 2)
    cone = solid((float(x), float(y), 0.4), (0.34, 0.34, 0.75), CONE, CYLINDER)
    cone.taper[:] = 0.82
    semantics, instances = voxel_labels(cone, flat_ground(), np.eye(4))
    assert 1 <= (semantics == CONE).sum() <= 30
    np.testing.assert_array_equal(instances > 0, semantics == CONE)


def test_an_aligned_box_fills_the_voxels_it_reaches_into() -> None:
    semantics, instances = voxel_labels(solid((0.0, 0.0, 1.4), (4.0, 1.6, 1.6), CAR), flat_ground(), np.eye(4))
    car = np.argwhere(semantics == CAR)
    np.testing.assert_array_equal(car.min(0), [95, 98, 4])
    np.testing.assert_array_equal(car.max(0), [104, 101, 7])
    assert set(np.unique(instances)) == {0, 7}


def test_small_things_win_over_large_ones() -> None:
    both = [solid((0, 0, 0.4), (0.4, 0.4, 0.8), CONE), solid((0, 0, 1.0), (4, 4, 2), CAR)]
    merged = Solids(*(np.concatenate(pair) for pair in zip(*both, strict=True)))
    semantics, _ = voxel_labels(merged, flat_ground(), np.eye(4))
    assert (semantics == CONE).any()
    assert (semantics == CAR).any()


def test_ground_lies_at_its_height() -> None:
    semantics, _ = voxel_labels(solid((99, 99, 0), (1, 1, 1), CAR), flat_ground(0.3), np.eye(4))
    assert (semantics[:, :, 3] == ROAD).all()
    assert (np.delete(semantics, 3, axis=2) == FREE).all()


def test_a_wall_hides_what_is_behind_and_shows_its_face() -> None:
    semantics = np.full((200, 200, 16), FREE, np.uint8)
    semantics[:, :, 1] = ROAD
    semantics[125, 60:140, 2:] = WALL
    rig = nuscenes_like_rig()
    mask = camera_mask(semantics, rig.cameras, rig.image_size)
    assert mask[125, 90:110, 4:7].all()
    assert mask[115:124, 98:102, 5].all()
    assert not mask[126:, 95:105].any()
    assert not mask[:, :, 0].any()


def clear_by_samples(
    semantics: npt.NDArray[np.uint8], start: npt.NDArray[np.float64], end: npt.NDArray[np.float64]
) -> bool:
    """Whether all of 4000 points between two grid points lie in free voxels."""
    points = start + (end - start) * np.linspace(0, 1, 4000)[:, None]
    cells = np.floor(points).astype(int)
    inside = ((cells >= 0) & (cells < semantics.shape)).all(1)
    return bool((semantics[tuple(cells[inside].T)] == FREE).all())


def test_free_voxels_in_the_mask_are_those_a_straight_line_reaches(key_frame: KeyFrame) -> None:
    rng = np.random.default_rng(0)
    semantics = key_frame.semantics
    drive = Drive(5, 2.0, image_size=SMALL)
    cells = np.argwhere(semantics == FREE)
    agree = []
    for cell in cells[rng.choice(len(cells), 600, replace=False)]:
        seen = False
        for k, pose in zip(drive.full_rig.cameras.intrinsics, drive.full_rig.cameras.base_from_camera, strict=True):
            p = np.linalg.inv(pose) @ [*((cell + 0.5) * 0.4 + (-40, -40, -1)), 1.0]
            if p[2] < 0.1:
                continue
            u, v = k[0, 0] * p[0] / p[2] + k[0, 2], k[1, 1] * p[1] / p[2] + k[1, 2]
            if -0.5 <= u < SMALL[1] - 0.5 and -0.5 <= v < SMALL[0] - 0.5:
                camera = (pose[:3, 3] - (-40, -40, -1)) / 0.4
                seen |= clear_by_samples(semantics, cell + 0.5, camera)
        agree.append(seen == bool(key_frame.mask_camera[tuple(cell)]))
    assert np.mean(agree) > 0.99


def test_lidar_sees_a_subset_that_ends_at_the_first_surface() -> None:
    semantics = np.full((200, 200, 16), FREE, np.uint8)
    semantics[:, :, 1] = ROAD
    semantics[130, :, 2:] = WALL
    mask = lidar_mask(semantics)
    assert mask[130, 90:110, 6].all()
    assert not mask[131:].any()
    assert not mask[:, :, 0].any()
    assert 0.05 < mask.mean() < 0.6


def test_instances_and_boxes_name_the_same_things(key_frame: KeyFrame) -> None:
    ids = np.unique(key_frame.instances[key_frame.instances > 0])
    assert len(ids) > 20
    label_of = dict(zip(key_frame.boxes.instance, key_frame.boxes.label, strict=True))
    near = [i for i in ids if i in label_of]
    assert len(near) == len(ids)
    for i in near:
        assert set(np.unique(key_frame.semantics[key_frame.instances == i])) == {label_of[i]}
    row = int(np.argmin(np.hypot(*key_frame.boxes.center[:, :2].T) + 100 * (~np.isin(key_frame.boxes.instance, ids))))
    voxels = np.argwhere(key_frame.instances == key_frame.boxes.instance[row]) * 0.4 + (-39.8, -39.8, -0.8)
    assert np.linalg.norm(voxels[:, :2].mean(0) - key_frame.boxes.center[row, :2]) < 1.5
