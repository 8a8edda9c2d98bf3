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

from dataclasses import replace

import numpy as np
import pytest

from flashocc_ros.camera_model import CameraModel
from flashocc_ros.data.synthetic.rig import surround_rig
from flashocc_ros.errors import InputError
from flashocc_ros.geometry import LiftTable, lift_table, stereo_grid
from flashocc_ros.geometry.frustum import frustum_axes
from flashocc_ros.pipeline.set_geometry import rig_geometry
from flashocc_ros.structures import CameraRig
from flashocc_ros.variants import get_variant

VARIANT = get_variant("synthetic-tiny")
RIG = surround_rig().cameras
SIZE = (800, 1600)


def _cells(table: LiftTable) -> np.ndarray:
    """(N, D, fH, fW) cell of every point, -1 outside."""
    cells = np.full(table.num_points_total, -1, np.int64)
    cells[table.point_index] = np.repeat(table.cell_index, np.diff(table.cell_start))
    return cells.reshape(table.frustum_shape)


def _lifted(rig: CameraRig) -> np.ndarray:
    return _cells(lift_table(VARIANT, rig_geometry(rig, [SIZE] * rig.num_cameras, VARIANT)))


def test_points_lie_at_the_range_along_each_pixels_own_ray() -> None:
    columns, rows, depths = frustum_axes(VARIANT)
    scale = SIZE[1] / VARIANT.input_size[1]
    k, pose = RIG.intrinsics[1], RIG.base_from_camera[1]
    x, y = np.meshgrid((columns * scale - k[0, 2]) / k[0, 0], (rows * scale - k[1, 2]) / k[1, 1])
    angle, around = np.hypot(x, y), np.arctan2(y, x)
    ray = np.stack([np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle)], -1)
    points = (depths[:, None, None, None] * ray) @ pose[:3, :3].T + pose[:3, 3]
    place = (points - np.array([-40.0, -40, -1])) / (0.4, 0.4, 0.8)
    cell = np.trunc(place).astype(int)
    inside = (place > -1).all(-1) & (cell < (200, 200, 8)).all(-1)
    expected = np.where(inside, (cell[..., 2] * 200 + cell[..., 1]) * 200 + cell[..., 0], -1)
    assert (angle > np.pi / 2).any()
    assert (_lifted(RIG)[1] == expected).mean() > 0.9999  # float32 decides on the border of a cell


def test_pixels_outside_the_image_circle_are_not_lifted() -> None:
    bent = CameraModel("equidistant", (-0.25, 0, 0, 0))
    cells = _lifted(replace(RIG, models=(bent,) * 4))
    assert (cells[:, :, :, 0] == -1).all()
    assert (cells[:, :, :, cells.shape[3] // 2] >= 0).any()


def test_pinholes_beside_a_fisheye_are_lifted_as_without_it() -> None:
    straight = replace(RIG, models=())
    mixed = replace(RIG, models=(straight.models[0], RIG.models[1], *straight.models[2:]))
    cells = _lifted(mixed)
    np.testing.assert_array_equal(cells[[0, 2, 3]], _lifted(straight)[[0, 2, 3]])
    np.testing.assert_array_equal(cells[1], _lifted(RIG)[1])


def test_a_lens_without_distortion_is_lifted_as_a_pinhole() -> None:
    straight = replace(RIG, models=())
    polynomial = replace(RIG, models=(CameraModel("rational", (0.0,) * 8),) * 4)
    assert (_lifted(polynomial) == _lifted(straight)).mean() > 0.9999


def test_another_lens_is_another_geometry() -> None:
    one, other = (rig_geometry(rig, [SIZE] * 4, VARIANT) for rig in (RIG, replace(RIG, models=())))
    assert not one.lifts_like(other, 1e-6)
    assert one.lifts_like(one, 1e-6)


def test_stereo_says_that_it_needs_pinholes() -> None:
    variant = get_variant("synthetic-tiny-4d")
    geometry = rig_geometry(RIG, [SIZE] * 4, variant)
    with pytest.raises(InputError, match="pinhole cameras, one of these is equidistant: rectify"):
        stereo_grid(variant, geometry.with_past(geometry))
