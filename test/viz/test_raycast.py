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

"""The ray caster sees what is there, nothing behind it, and lights it from the sun's side."""

from __future__ import annotations

import numpy as np
import pytest

from flashocc_ros.structures import VoxelGrid
from flashocc_ros.viz.raycast import SUN, View, free_distances, render

GRID = VoxelGrid(resolution_m=0.5, origin_m=(0.0, 0.0, 0.0), size=(40, 30, 12))
PALETTE = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
FORWARD = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
"""Base from camera of a camera at the origin that looks along x."""


def empty() -> np.ndarray:
    return np.zeros(GRID.size, np.uint16)


def camera_at(x: float, y: float, z: float, size: tuple[int, int] = (41, 31), focal: float = 30.0) -> View:
    pose = FORWARD.copy()
    pose[:3, 3] = x, y, z
    width, height = size
    return View.pinhole(np.array([[focal, 0, width // 2], [0, focal, height // 2], [0, 0, 1]]), pose, size)


def test_distance_is_that_of_the_face() -> None:
    paint = empty()
    paint[20, 15, 6] = 1
    picture = render(paint, PALETTE, GRID, camera_at(0.0, 7.75, 3.25))
    assert picture.distance_m[15, 20] == pytest.approx(10.0, abs=1e-5)
    assert picture.paint[15, 20] == 1
    assert np.isinf(picture.distance_m[0, 0])
    assert picture.coverage[0, 0] == 0


def test_every_pixel_agrees_with_marching_in_small_steps() -> None:
    rng = np.random.default_rng(3)
    paint = (rng.random(GRID.size) < 0.02).astype(np.uint16) * rng.integers(1, 4, GRID.size).astype(np.uint16)
    paint[:, :, 0] = 1
    eye, target = np.array([-3.0, 2.0, 7.5]), np.array([11.0, 8.0, 1.0])
    view = View.look_at(eye, target, 60, (32, 24))
    picture = render(paint, PALETTE, GRID, view, antialias=False)
    steps_m = np.arange(0, 40, 0.002)
    wrong = 0
    for v in range(0, 24, 3):
        for u in range(0, 32, 3):
            direction = view.direction[0] + u * view.direction[1] + v * view.direction[2]
            points = eye + steps_m[:, None] * direction / np.linalg.norm(direction)
            cells = np.floor(points / GRID.resolution_m).astype(int)
            inside = ((cells >= 0) & (cells < GRID.size)).all(1)
            values = np.zeros(len(cells), np.uint16)
            values[inside] = paint[tuple(cells[inside].T)]
            hits = np.flatnonzero(values)
            if len(hits) == 0:
                assert picture.coverage[v, u] == 0
                continue
            # a ray that grazes an edge may slip between two steps
            wrong += picture.paint[v, u] != values[hits[0]]
            wrong += abs(picture.distance_m[v, u] - steps_m[hits[0]]) > 0.004
    assert wrong <= 1


def test_a_wall_hides_what_is_behind_it() -> None:
    paint = empty()
    paint[30, :, :] = 2
    picture = render(paint, PALETTE, GRID, camera_at(0.0, 7.5, 3.0))
    assert (picture.paint[10:20, 8:32] == 2).all()
    paint[10, :, :] = 1
    picture = render(paint, PALETTE, GRID, camera_at(0.0, 7.5, 3.0))
    assert not (picture.paint == 2).any()


def test_nothing_nearer_than_near_or_farther_than_far() -> None:
    paint = empty()
    paint[4, :, :], paint[30, :, :] = 1, 2
    view = camera_at(0.0, 7.5, 3.0)
    beyond = View(view.size, view.origin, view.direction, near_m=3.0)
    assert render(paint, PALETTE, GRID, beyond).paint[15, 20] == 2
    before = View(view.size, view.origin, view.direction, near_m=3.0, far_m=10.0)
    assert render(paint, PALETTE, GRID, before).paint[15, 20] == 0


def test_the_map_has_forward_up_and_left_left() -> None:
    paint = empty()
    paint[35, 25, 3] = 1  # ahead and to the left
    paint[5, 5, 3] = 2  # behind and to the right
    picture = render(paint, PALETTE, GRID, View.from_above(GRID, (30, 40)), antialias=False)
    assert np.argwhere(picture.paint == 1).tolist() == [[4, 4]]
    assert np.argwhere(picture.paint == 2).tolist() == [[34, 24]]


def test_a_cube_throws_its_shadow_away_from_the_sun() -> None:
    paint = empty()
    paint[:, :, 0] = 1
    alone = render(paint, PALETTE, GRID, View.from_above(GRID, (120, 160)), edges=0.0)
    paint[20, 15, 1:6] = 2
    picture = render(paint, PALETTE, GRID, View.from_above(GRID, (120, 160)), edges=0.0)
    darker = (picture.paint == 1) & (picture.rgb[..., 0] < 0.8 * alone.rgb[..., 0])
    rows, columns = np.nonzero(darker)
    assert len(rows) > 20
    towards_x, towards_y = 78 - rows.mean(), 58 - columns.mean()  # rows count backwards along x, columns along y
    assert np.sign(towards_x) == -np.sign(SUN[0])
    assert np.sign(towards_y) == -np.sign(SUN[1])


def test_corners_are_darker_than_open_ground() -> None:
    paint = empty()
    paint[:, :, 0] = 1
    paint[20:, :, 1:4] = 2
    picture = render(paint, PALETTE, GRID, View.from_above(GRID, (300, 400)), shadows=False, edges=0.0)
    assert picture.rgb[201, 150, 0] < 0.95 * picture.rgb[260, 150, 0]  # just before the wall, and farther away


def test_outlines_are_smooth() -> None:
    paint = empty()
    paint[20, 10:20, 3:9] = 1
    smooth = render(paint, PALETTE, GRID, camera_at(0.0, 7.4, 3.1, (63, 47), 40.3))
    hard = render(paint, PALETTE, GRID, camera_at(0.0, 7.4, 3.1, (63, 47), 40.3), antialias=False)
    assert set(np.unique(hard.coverage)) == {0.0, 1.0}
    assert ((smooth.coverage > 0) & (smooth.coverage < 1)).any()


def test_boxes_are_drawn_and_hide_voxels() -> None:
    paint = empty()
    paint[30, :, :] = 2
    box = np.array([[5.0, 7.0, 2.5, 6.0, 8.0, 3.5]], np.float32)
    picture = render(paint, PALETTE, GRID, camera_at(0.0, 7.5, 3.0), boxes_m=box)
    assert picture.distance_m[15, 20] == pytest.approx(5.0)
    assert picture.paint[15, 20] == 0
    assert picture.coverage[15, 20] == 1


def test_an_empty_volume_gives_an_empty_picture() -> None:
    assert (free_distances(empty()) == 255).all()
    assert render(empty(), PALETTE, GRID, camera_at(0.0, 7.5, 3.0)).coverage.max() == 0
