"""Frustum points and the table that assigns them to voxels, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashocc_ros.geometry import lift_table
from flashocc_ros.geometry.frustum import frustum_axes
from flashocc_ros.geometry.lift import _stable_order, frustum_points
from flashocc_ros.model.variants import VARIANTS, DepthBins, Variant

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


def test_a_point_lies_where_the_pinhole_model_puts_it() -> None:
    x, y, z = (axis[0] for axis in frustum_points(M0, **_camera(height_m=1.5)))
    depth_index, row, column = 9, 15, 0
    # Pixel (0, 255) at 10 m: 7.04 m to the left, 2.54 m below the camera.
    assert x[depth_index, row, column] == pytest.approx(10.0)
    assert y[depth_index, row, column] == pytest.approx(352 / FOCAL_PX * 10)
    assert z[depth_index, row, column] == pytest.approx(1.5 - 127 / FOCAL_PX * 10)


def test_the_picture_transform_is_undone() -> None:
    plain = _camera()
    scaled = _camera()
    scaled["intrinsics"] = scaled["intrinsics"].copy()
    # A source picture twice as large, scaled by 0.5 and moved up by 140 pixels.
    scaled["intrinsics"][0, :2] *= 2
    scaled["intrinsics"][0, 1, 2] += 280
    scaled["post_rot"] = np.diag([0.5, 0.5, 1.0])[None]
    scaled["post_tran"] = np.array([[0.0, -140.0, 0.0]])
    for expected, actual in zip(frustum_points(M0, **plain), frustum_points(M0, **scaled), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_the_augmentation_mirrors_the_volume() -> None:
    camera = _camera()
    mirrored = {**camera, "bda": np.diag([1.0, -1.0, 1.0])}
    expected, actual = frustum_points(M0, **camera), frustum_points(M0, **mirrored)
    np.testing.assert_array_equal(actual[0], expected[0])
    np.testing.assert_array_equal(actual[1], -expected[1])


@pytest.mark.parametrize(
    ("z_m", "kept"),
    [(-7.5, False), (-7.3, True), (-1.1, True), (0.0, True), (5.3, True), (5.5, False)],
)
def test_indices_truncate_toward_zero_so_that_points_far_below_the_ground_are_kept(z_m: float, kept: bool) -> None:
    # The row on the optical axis has z = camera height at every depth.
    narrow = replace(M0, input_size=(32, 32), depth=DepthBins(5.0, 6.0, 1.0))
    camera = _camera(height_m=z_m)
    camera["intrinsics"] = np.array([[[1e6, 0, 0], [0, 1e6, 0], [0, 0, 1]]])
    assert (lift_table(narrow, **camera).point_index.size > 0) is kept


def test_points_beyond_the_lower_border_of_the_map_land_in_its_first_cell() -> None:
    narrow = replace(M0, input_size=(32, 32), depth=DepthBins(5.0, 6.0, 1.0))
    camera = _camera()
    camera["intrinsics"] = np.array([[[1e6, 0, 0], [0, 1e6, 0], [0, 0, 1]]])
    camera["camera_to_key"] = camera["camera_to_key"].copy()
    camera["camera_to_key"][0, 1, 3] = -40.3
    table = lift_table(narrow, **camera)
    assert table.cell_index.tolist() == [0 * 200 + int(45 / 0.4)]


def _table_by_hand(variant: Variant, camera: dict[str, np.ndarray]) -> dict[int, list[int]]:
    """Cells and their points, one point at a time."""
    axes = [axis.ravel() for axis in frustum_points(variant, **camera)]
    step_m = np.array([0.4, 0.4, 6.4 / variant.lift_z_bins], np.float32)
    lower_m = np.array([-40, -40, -1], np.float32)
    cells: dict[int, list[int]] = {}
    for index, point in enumerate(np.stack(axes, -1)):
        x, y, z = (int(value) for value in (point - lower_m) / step_m)
        if 0 <= x < 200 and 0 <= y < 200 and 0 <= z < variant.lift_z_bins:
            cells.setdefault((z * 200 + y) * 200 + x, []).append(index)
    return cells


@pytest.mark.parametrize("z_bins", [1, 4, 16])
def test_the_table_lists_every_kept_point_once_under_its_cell(z_bins: int) -> None:
    variant = replace(M0, lift_z_bins=z_bins, input_size=(64, 96), depth=DepthBins(1.0, 45.0, 3.0))
    camera = _camera(height_m=1.6)
    camera["intrinsics"] = np.array([[[60.0, 0, 48], [0, 60, 32], [0, 0, 1]]])
    table = lift_table(variant, **camera)
    expected = _table_by_hand(variant, camera)
    starts = table.cell_start
    actual = {
        int(cell): table.point_index[starts[k] : starts[k + 1]].tolist() for k, cell in enumerate(table.cell_index)
    }
    assert actual == expected
    assert list(actual) == sorted(actual)
    assert table.num_cells == z_bins * 40000
    assert table.num_points_total == 15 * 4 * 6


def test_pixel_index_is_the_feature_a_point_carries() -> None:
    camera = {k: np.concatenate([v, v]) if k != "bda" else v for k, v in _camera().items()}
    table = lift_table(M0, **camera)
    cameras, depths, height, width = table.frustum_shape
    n, _, y, x = np.unravel_index(table.point_index, (cameras, depths, height, width))
    np.testing.assert_array_equal(table.pixel_index, np.ravel_multi_index((n, y, x), (cameras, height, width)))


def test_no_point_inside_gives_an_empty_table() -> None:
    camera = _camera(height_m=100.0)
    table = lift_table(M0, **camera)
    assert (table.point_index.size, table.cell_index.size, table.cell_start.tolist()) == (0, 0, [0])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 639_999), max_size=200))
def test_radix_order_is_the_stable_order(cells: list[int]) -> None:
    array = np.array(cells, np.int32)
    np.testing.assert_array_equal(_stable_order(array), np.argsort(array, kind="stable"))
