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

"""Every pooler against the plain sum it stands for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from engine_helpers import random_features

from flashocc_ros.engine.export.calibration import standing_table
from flashocc_ros.engine.export.tree16 import TreeSizes, tree_table
from flashocc_ros.engine.poolers import numba_pooler
from flashocc_ros.geometry.lift import LiftTable
from flashocc_ros.structures import CameraRig
from flashocc_ros.variants import get_variant

Float32 = npt.NDArray[np.float32]


def reference(depth: Float32, context: Float32, table: LiftTable, volumetric: bool) -> npt.NDArray[np.float64]:
    """index_add in float64."""
    channels = context.shape[1]
    by_pixel = context.transpose(0, 2, 3, 1).reshape(-1, channels).astype(np.float64)
    grid = np.zeros((table.num_cells, channels))
    cells = np.repeat(table.cell_index, np.diff(table.cell_start))
    np.add.at(grid, cells, by_pixel[table.pixel_index] * depth.reshape(-1)[table.point_index, None])
    slices, rows, columns = table.grid_shape
    grid = grid.reshape(slices, rows, columns, channels)
    if volumetric:
        return grid.transpose(3, 0, 1, 2)[None]
    return grid.transpose(0, 3, 1, 2).reshape(1, slices * channels, rows, columns)


def pool_with(name: str, depth: Float32, context: Float32, table: LiftTable, volumetric: bool) -> Float32:
    if name == "numba":
        return numba_pooler.pool(depth, context, table, volumetric=volumetric)
    torch = pytest.importorskip("torch")
    from flashocc_ros.engine.export import tree16
    from flashocc_ros.engine.poolers import torch_pooler

    tensors = torch.from_numpy(depth), torch.from_numpy(context)
    if name == "tree16":
        inputs = tree_table(table, TreeSizes.fitting(table)).as_inputs().values()
        indices = [torch.from_numpy(array).long() for array in inputs]
        return tree16.pool(*tensors, *indices, grid_shape=table.grid_shape, volumetric=volumetric).numpy()
    function = {"embedding_bag": torch_pooler.pool, "index_add": torch_pooler.pool_index_add}[name]
    return function(*tensors, torch_pooler.to_device(table), volumetric=volumetric).numpy()


POOLERS = ("numba", "embedding_bag", "index_add", "tree16")


@pytest.mark.parametrize("pooler", POOLERS)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("flashocc-r50-M0", id="one-slice"),
        pytest.param("flashocc-r50-4d-stereo", id="log-depth-cells-above-1000-points"),
        pytest.param("synthetic-tiny", id="four-slices-collapsed"),
        pytest.param("bevdet-occ-r50", id="sixteen-slices"),
    ],
)
def test_pooler_equals_index_add(pooler: str, name: str, rig: CameraRig) -> None:
    variant = get_variant(name)
    table = standing_table(variant, rig)
    depth, context = random_features(table, channels=8)
    result = pool_with(pooler, depth, context, table, variant.volumetric)
    expected = reference(depth, context, table, variant.volumetric)
    assert result.shape == expected.shape
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)


def one_row_table(counts: list[int], frustum_shape: tuple[int, int, int, int]) -> LiftTable:
    """Cells 0, 7, 14, ... of the grid with the given numbers of points."""
    start = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    points = np.random.default_rng(1).permutation(np.prod(frustum_shape))[: start[-1]].astype(np.int32)
    cells = (7 * np.arange(len(counts))).astype(np.int32)
    return LiftTable(points, cells, start, (1, 200, 200), frustum_shape)


@pytest.mark.parametrize("pooler", POOLERS)
def test_cells_of_one_and_of_many_points(pooler: str) -> None:
    table = one_row_table([1, 240, 16, 17, 1, 2], (2, 8, 4, 6))
    depth, context = random_features(table, channels=5)
    expected = reference(depth, context, table, False)
    np.testing.assert_allclose(pool_with(pooler, depth, context, table, False), expected, rtol=0, atol=1e-5)
    assert np.count_nonzero(expected.any(1)) == 6


@pytest.mark.parametrize("pooler", POOLERS)
def test_a_rig_that_sees_no_cell_gives_an_empty_map(pooler: str) -> None:
    table = one_row_table([], (2, 8, 4, 6))
    depth, context = random_features(table, channels=5)
    assert not pool_with(pooler, depth, context, table, False).any()


def test_channel_last_context_is_taken_as_it_is(table_m0: LiftTable) -> None:
    """OpenVINO hands out strided views; they must not be read as if they were contiguous."""
    depth, context = random_features(table_m0, channels=8)
    strided = np.ascontiguousarray(context.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(
        numba_pooler.pool(depth, strided, table_m0), numba_pooler.pool(depth, context, table_m0)
    )
