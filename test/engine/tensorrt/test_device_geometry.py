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

"""Tables and grids made on a device, against those of the host: equal to the bit. Here the device is torch's CPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_helpers import random_features
from scipy.spatial.transform import Rotation

from flashocc_ros.cameras.nominal_rig import SOURCE_HW, nominal_rig
from flashocc_ros.data.synthetic.rig import surround_rig
from flashocc_ros.engine.poolers import numba_pooler
from flashocc_ros.engine.tensorrt import device_table
from flashocc_ros.engine.tensorrt.device_geometry import DeviceGeometry
from flashocc_ros.engine.tensorrt.stream import DeviceStream
from flashocc_ros.geometry import Geometry, bev_warp_grid, lift_table, stereo_grid
from flashocc_ros.pipeline.set_geometry import rig_geometry
from flashocc_ros.variants import get_variant

CPU = torch.device("cpu")


def on_device(name: str) -> DeviceGeometry:
    return DeviceGeometry(get_variant(name), CPU, DeviceStream(CPU))


def moving(name: str, seed: int) -> Geometry:
    """Six cameras whose shutters are spread over a bend, far from the origin of odometry."""
    rng = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (6, 1, 1))
    for index, pose in enumerate(poses):
        pose[:3, :3] = Rotation.from_euler("zyx", (1.1 + 0.01 * index, 0.02, -0.01)).as_matrix()
        pose[:3, 3] = (3e5, -4e5, 12.0) + 0.4 * index * rng.random(3)
    return rig_geometry(nominal_rig(6), [SOURCE_HW] * 6, get_variant(name), poses, poses[3])


@pytest.mark.parametrize("name", ["flashocc-r50-M0", "flashocc-r50-4d-stereo", "synthetic-tiny", "bevdet-occ-r50"])
def test_a_lift_table_is_the_host_s_to_the_bit(name: str) -> None:
    device = on_device(name)
    for seed in range(2):
        geometry = moving(name, seed)
        expected, made = lift_table(get_variant(name), geometry), device.lift_table(geometry)
        start = made.cell_start.numpy()
        np.testing.assert_array_equal(made.point_index.numpy()[: start[-1]], expected.point_index)
        np.testing.assert_array_equal(np.flatnonzero(np.diff(start)), expected.cell_index)
        np.testing.assert_array_equal(start[:-1][np.diff(start) > 0], expected.cell_start[:-1])
        assert start[-1] == expected.cell_start[-1]


def test_an_augmented_lift_table_is_the_host_s_too() -> None:
    bda = Rotation.from_euler("z", 20, degrees=True).as_matrix() @ np.diag([1, -1, 1])
    geometry = replace(moving("flashocc-r50-M0", 0), bda=bda)
    made = on_device("flashocc-r50-M0").lift_table(geometry)
    expected = lift_table(get_variant("flashocc-r50-M0"), geometry)
    np.testing.assert_array_equal(made.point_index.numpy()[: len(expected.point_index)], expected.point_index)


def test_a_table_survives_the_next() -> None:
    device = on_device("flashocc-r50-M0")
    first = device.lift_table(moving("flashocc-r50-M0", 0))
    before = first.point_index.clone()
    device.lift_table(moving("flashocc-r50-M0", 1))
    assert torch.equal(first.point_index, before)


@pytest.mark.parametrize("name", ["flashocc-r50-M0", "synthetic-tiny", "bevdet-occ-r50"])
@pytest.mark.parametrize("made_there", [True, False])
def test_pooling_with_it_gives_the_host_s_map(name: str, made_there: bool) -> None:
    variant, geometry = get_variant(name), moving(name, 0)
    host = lift_table(variant, geometry)
    depth, context = random_features(host, channels=8)
    table = on_device(name).lift_table(geometry) if made_there else device_table.to_device(host, CPU)
    made = device_table.pool(torch.from_numpy(depth), torch.from_numpy(context), table, volumetric=variant.volumetric)
    expected = numba_pooler.pool(depth, context, host, volumetric=variant.volumetric)
    assert made.shape == expected.shape
    np.testing.assert_allclose(made.numpy(), expected, rtol=0, atol=1e-5)


def test_a_rig_that_sees_no_cell_gives_an_empty_map() -> None:
    name = "flashocc-r50-M0"
    geometry = moving(name, 0)
    away = geometry.sensor2ego.copy()
    away[..., 2, 3] += 500
    table = on_device(name).lift_table(replace(geometry, sensor2ego=away))
    depth, context = random_features(lift_table(get_variant(name), geometry), channels=8)
    assert not device_table.pool(torch.from_numpy(depth), torch.from_numpy(context), table).any()


def test_warp_grids_are_the_host_s_to_the_bit() -> None:
    motions = []
    for index in range(3):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("zyx", (0.3 * index, 0.01, 0.02)).as_matrix()
        pose[:3, 3] = (4.2 * index, -1.3, 0.1)
        motions.append(pose)
    made = on_device("panoptic-flashocc-r50-depth4d-pano").warp_grids(motions)
    np.testing.assert_array_equal(made.numpy(), np.stack([bev_warp_grid(pose) for pose in motions]))
    assert made.is_contiguous()


@pytest.mark.parametrize("name", ["flashocc-r50-4d-stereo", "synthetic-tiny-4d"])
def test_a_stereo_grid_is_the_host_s_to_the_bit(name: str) -> None:
    geometry = moving(name, 0).with_past(moving(name, 1))
    made = on_device(name).stereo_grid(geometry)
    np.testing.assert_array_equal(made.numpy(), stereo_grid(get_variant(name), geometry))


def test_lenses_are_lifted_with_the_hosts_table() -> None:
    variant, rig = get_variant("synthetic-tiny"), surround_rig().cameras
    geometry = rig_geometry(rig, [(800, 1600)] * 4, variant)
    found, expected = on_device(variant.name).lift_table(geometry), lift_table(variant, geometry)
    assert found.frustum_shape == expected.frustum_shape
    np.testing.assert_array_equal(found.point_index.numpy(), expected.point_index)
