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

"""Frustum points and the table that assigns them to voxels, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from flashocc_ros.geometry import Geometry, LiftTable, lift_table
from flashocc_ros.geometry.frustum import frustum_axes
from flashocc_ros.geometry.lift_kernels import sort_by_cell
from flashocc_ros.variants import VARIANTS, DepthBins, Variant

M0 = VARIANTS["flashocc-r50-M0"]
FOCAL_PX = 500.0
# Optical axes to the vehicle: z forward becomes x, x right becomes -y, y down becomes -z.
FORWARD = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)


def _camera(height_m: float = 0.0) -> dict[str, np.ndarray]:
    pose = FORWARD.copy()
    pose[2, 3] = height_m
    intrinsics = np.array([[FOCAL_PX, 0, 352], [0, FOCAL_PX, 128], [0, 0, 1]])
    return {
        "camera_to_key": pose[None],
        "intrinsics": intrinsics[None],
        "post_rot": np.eye(3)[None],
        "post_tran": np.zeros((1, 3)),
        "bda": np.eye(3),
    }


def _table(variant: Variant, camera: dict[str, np.ndarray]) -> LiftTable:
    """Of one frame whose cameras stand where ``camera`` says in the key ego frame."""
    pose = camera["camera_to_key"]
    still = np.tile(np.eye(4), (len(pose), 1, 1))
    rest = [camera[name][None] for name in ("intrinsics", "post_rot", "post_tran")]
    return lift_table(variant, Geometry(pose[None], still[None], *rest, camera["bda"]))


def test_axes_span_the_picture_and_depth_bins_start_at_their_lower_edge() -> None:
    columns, rows, depths = frustum_axes(M0)
    assert (columns[0], columns[-1], columns.size) == (0, 703, 44)
    assert (rows[0], rows[-1], rows.size) == (0, 255, 16)
    np.testing.assert_array_equal(depths, np.arange(1, 45, dtype=np.float32))


def test_log_spaced_bins_run_from_start_to_stop_minus_one() -> None:
    bins = DepthBins(1.0, 45.0, 0.5, sid=True)
    values = np.array(bins.values())
    assert bins.count == 88
    assert values[0] == pytest.approx(1.0)
    assert values[-1] == pytest.approx(44.0)
    np.testing.assert_allclose(np.diff(np.log(values)), np.log(44) / 87)


def _cell_of_every_point(table: LiftTable) -> np.ndarray:
    """(N, D, fH, fW, 3) cell x, y, z of every point, -1 where it was dropped."""
    cells = np.full((table.num_points_total, 3), -1)
    counts = np.diff(table.cell_start)
    z, y, x = np.unravel_index(np.repeat(table.cell_index, counts), table.grid_shape)
    cells[table.point_index] = np.stack([x, y, z], 1)
    return cells.reshape(*table.frustum_shape, 3)


def test_a_point_lies_where_the_pinhole_model_puts_it() -> None:
    cells = _cell_of_every_point(_table(replace(M0, lift_z_bins=16), _camera(height_m=1.5)))
    depth_index, row, column = 9, 15, 22
    # Pixel (359.7, 255) at 10 m: 0.15 m to the right, 2.54 m below the camera: z = -1.04 m is truncated into cell 0.
    assert frustum_axes(M0)[0][column] == pytest.approx(359.67, abs=0.01)
    assert cells[0, depth_index, row, column].tolist() == [int(50 / 0.4), int(39.847 / 0.4), 0]
    # Pixel (0, 255): 7.04 m to the left.
    assert cells[0, depth_index, row, 0].tolist() == [int(50 / 0.4), int(47.04 / 0.4), 0]


def test_the_picture_transform_is_undone() -> None:
    plain = _camera(height_m=1.5)
    scaled = _camera(height_m=1.5)
    scaled["intrinsics"] = scaled["intrinsics"].copy()
    # A source picture twice as large, scaled by 0.5 and moved up by 140 pixels.
    scaled["intrinsics"][0, :2] *= 2
    scaled["intrinsics"][0, 1, 2] += 280
    scaled["post_rot"] = np.diag([0.5, 0.5, 1.0])[None]
    scaled["post_tran"] = np.array([[0.0, -140.0, 0.0]])
    expected, actual = (_cell_of_every_point(_table(M0, camera)) for camera in (plain, scaled))
    assert (expected == actual).all(-1).mean() > 0.999  # points on a border may move


def test_the_augmentation_mirrors_the_volume() -> None:
    camera = _camera(height_m=1.5)
    camera["intrinsics"] = camera["intrinsics"] + [[0, 0, 0.123], [0, 0, 0], [0, 0, 0]]
    mirrored = {**camera, "bda": np.diag([1.0, -1.0, 1.0])}
    expected, actual = (_cell_of_every_point(_table(M0, c)) for c in (camera, mirrored))
    kept = (expected >= 0).all(-1) & (actual >= 0).all(-1)
    np.testing.assert_array_equal(actual[kept][:, [0, 2]], expected[kept][:, [0, 2]])
    assert (actual[kept][:, 1] == 199 - expected[kept][:, 1]).mean() > 0.999


@pytest.mark.parametrize(
    ("z_m", "kept"),
    [(-7.5, False), (-7.3, True), (-1.1, True), (0.0, True), (5.3, True), (5.5, False)],
)
def test_indices_truncate_toward_zero_so_that_points_far_below_the_ground_are_kept(z_m: float, kept: bool) -> None:
    # The row on the optical axis has z = camera height at every depth.
    narrow = replace(M0, input_size=(32, 32), depth=DepthBins(5.0, 6.0, 1.0))
    camera = _camera(height_m=z_m)
    camera["intrinsics"] = np.array([[[1e6, 0, 0], [0, 1e6, 0], [0, 0, 1]]])
    assert (_table(narrow, camera).point_index.size > 0) is kept


def test_points_beyond_the_lower_border_of_the_map_land_in_its_first_cell() -> None:
    narrow = replace(M0, input_size=(32, 32), depth=DepthBins(5.0, 6.0, 1.0))
    camera = _camera()
    camera["intrinsics"] = np.array([[[1e6, 0, 0], [0, 1e6, 0], [0, 0, 1]]])
    camera["camera_to_key"] = camera["camera_to_key"].copy()
    camera["camera_to_key"][0, 1, 3] = -40.3
    table = _table(narrow, camera)
    assert table.cell_index.tolist() == [0 * 200 + int(45 / 0.4)]


def _cells_by_hand(variant: Variant, camera: dict[str, np.ndarray]) -> np.ndarray:
    """(N, D, fH, fW, 3) position of every point in units of cells, in float64."""
    columns, rows, depths = (axis.astype(np.float64) for axis in frustum_axes(variant))
    d, v, u = np.meshgrid(depths, rows, columns, indexing="ij")
    positions = []
    for n in range(len(camera["intrinsics"])):
        pixel = (np.stack([u, v, d], -1) - camera["post_tran"][n]) @ np.linalg.inv(camera["post_rot"][n]).T
        ray = np.concatenate([pixel[..., :2] * pixel[..., 2:], pixel[..., 2:]], -1)
        inside_camera = ray @ np.linalg.inv(camera["intrinsics"][n]).T
        pose = camera["camera_to_key"][n]
        positions.append((inside_camera @ pose[:3, :3].T + pose[:3, 3]) @ camera["bda"].T)
    return (np.stack(positions) - [-40, -40, -1]) / [0.4, 0.4, 6.4 / variant.lift_z_bins]


@pytest.mark.parametrize("z_bins", [1, 4, 16])
def test_the_table_lists_every_kept_point_once_under_its_cell(z_bins: int) -> None:
    variant = replace(M0, lift_z_bins=z_bins, input_size=(64, 96), depth=DepthBins(1.0, 45.0, 3.0))
    first, second = _camera(height_m=1.6), _camera(height_m=1.4)
    second["camera_to_key"] = second["camera_to_key"].copy()
    second["camera_to_key"][0, :3, :3] = Rotation.from_euler("zx", [2.0, 0.1]).as_matrix() @ FORWARD[:3, :3]
    camera = {key: np.concatenate([first[key], second[key]]) for key in first if key != "bda"}
    camera["intrinsics"] = np.array([[[60.0, 0, 48], [0, 60, 32], [0, 0, 1]], [[70.0, 0, 47], [0, 69, 33], [0, 0, 1]]])
    turn = Rotation.from_euler("z", 0.1).as_matrix() * [[0.9], [0.9], [1.0]]
    camera["post_rot"] = np.stack([np.eye(3), turn])
    camera["post_tran"] = np.array([[0.0, 0.0, 0.0], [3.0, -5.0, 0.0]])
    camera["bda"] = Rotation.from_euler("z", 0.3).as_matrix() * 1.05
    table = _table(variant, camera)
    exact = _cells_by_hand(variant, camera)
    inside = ((np.trunc(exact) >= 0) & (exact > -1) & (np.trunc(exact) < [200, 200, z_bins])).all(-1)
    expected = np.where(inside[..., None], np.trunc(exact), -1)
    clear = (np.abs(exact - np.round(exact)) > 1e-3).all(-1)
    np.testing.assert_array_equal(_cell_of_every_point(table)[clear], expected[clear])
    assert np.unique(table.point_index).size == table.point_index.size == table.cell_start[-1]
    assert (np.diff(table.cell_index) > 0).all()
    assert all((np.diff(part) > 0).all() for part in np.split(table.point_index, table.cell_start[1:-1]))
    assert table.num_cells == z_bins * 40000
    assert table.num_points_total == 2 * 15 * 4 * 6


def test_pixel_index_is_the_feature_a_point_carries() -> None:
    camera = {k: np.concatenate([v, v]) if k != "bda" else v for k, v in _camera().items()}
    table = _table(M0, camera)
    cameras, depths, height, width = table.frustum_shape
    n, _, y, x = np.unravel_index(table.point_index, (cameras, depths, height, width))
    np.testing.assert_array_equal(table.pixel_index, np.ravel_multi_index((n, y, x), (cameras, height, width)))


def test_no_point_inside_gives_an_empty_table() -> None:
    camera = _camera(height_m=100.0)
    table = _table(M0, camera)
    assert (table.point_index.size, table.cell_index.size, table.cell_start.tolist()) == (0, 0, [0])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-1, 39), max_size=200))
def test_points_are_sorted_stably_by_cell(cells: list[int]) -> None:
    array = np.array(cells, np.int32)
    points, cell_index, cell_start = sort_by_cell(array, 40)
    kept = np.flatnonzero(array >= 0)
    np.testing.assert_array_equal(points, kept[np.argsort(array[kept], kind="stable")])
    filled, counts = np.unique(array[kept], return_counts=True)
    np.testing.assert_array_equal(cell_index, filled)
    np.testing.assert_array_equal(cell_start, np.concatenate([[0], np.cumsum(counts)]))
