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

"""What is computed on the device beside the networks: pooling, pictures, lift tables and grids, against the CPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from flashocc_ros.checks.gpu import scenes
from flashocc_ros.checks.gpu.compare import array, equal
from flashocc_ros.checks.gpu.report import Result, outcome
from flashocc_ros.checks.gpu.setting import Setting
from flashocc_ros.geometry import Geometry, bev_warp_grid, lift_table, stereo_grid
from flashocc_ros.geometry.lift import LiftTable
from flashocc_ros.pipeline.set_geometry import geometry_of
from flashocc_ros.variants import Variant, get_variant

POOLED = ("flashocc-r50-M0", "flashocc-r50", "flashocc-r50-4d-stereo", "synthetic-tiny", "bevdet-occ-r50")
"""One height slice, finer depths, depths of even ratio, slices side by side, a volume."""
POOLING_LIMIT = 1e-5
"""Of the sum of all terms of a cell without their signs; hundreds of float32 terms are summed."""
GREY_LEVELS = 2.01
"""The CPU sums in fixed point, the device in float32: single numbers are rounded otherwise, in both passes."""
JPEG_LEVELS = 3.0
"""Mean difference of two JPEG decoders: neither inverse transform nor enlarging of colour is prescribed to the bit."""


def pictures(setting: Setting) -> Iterator[Result]:
    """Resizing and normalising, then decoding where the device decodes."""
    import torch

    from flashocc_ros.engine.tensorrt.device_preprocess import DevicePreprocessor
    from flashocc_ros.pipeline.preprocess import STD, image_transform, network_input

    frame = scenes.still(setting)
    arrays = frame.pictures
    device = DevicePreprocessor(torch.device(setting.device))
    for name in ("flashocc-r50-M0", "synthetic-tiny", "flashocc-stbase-4d-stereo-512x1408_4x4_2e-4"):
        transforms = [image_transform(size, get_variant(name)) for size in frame.image_sizes]
        levels = np.abs(array(device(arrays, transforms)) - network_input(arrays, transforms)) * STD[:, None, None]
        most, beyond = float(levels.max()), float(100 * (levels > 0.5).mean())
        size = "x".join(map(str, get_variant(name).input_size[::-1]))
        text = f"limits {GREY_LEVELS} and 1 %"
        numbers: dict[str, float | int | str] = {"max grey levels": most, "beyond 0.5 %": beyond}
        yield Result(f"to {size}", outcome(most < GREY_LEVELS and beyond < 1), text, numbers)
    if not setting.gpu:
        yield Result("JPEG on the device", "skipped", "no GPU: skipped")
    elif not device.decodes_jpeg:
        yield Result("JPEG on the device", "skipped", "torchvision is not installed: the CPU decodes")
    else:
        decoded = [array(planes.permute(1, 2, 0)) for planes in device.on_device(frame.images)]
        worst = max(float(np.abs(a.astype(int) - b).mean()) for a, b in zip(decoded, arrays, strict=True))
        yield Result(
            "JPEG on the device", outcome(worst < JPEG_LEVELS), f"limit {JPEG_LEVELS}", {"mean grey levels": worst}
        )


def pooling(setting: Setting) -> Iterator[Result]:
    """The kernels that run here against a float64 sum, twice."""
    triton = importlib.util.find_spec("triton") is not None
    if triton:
        # The interpreter takes milliseconds per cell, so without a GPU there are 400 of them.
        yield from _pooled(setting, "400 cells", _small_table(), 20, False, ("float32", "float16"), triton=True)
    frame = scenes.still(setting)
    for name in POOLED:
        variant = get_variant(name)
        table = lift_table(variant, geometry_of(frame, variant))
        shape = variant.lift_channels, variant.volumetric
        if triton and setting.gpu:
            yield from _pooled(setting, name, table, *shape, ("float32", "float16"), triton=True)
        yield from _pooled(setting, name, table, *shape, ("float32",), triton=False)


def _pooled(
    setting: Setting,
    name: str,
    table: LiftTable,
    channels: int,
    volumetric: bool,
    dtypes: tuple[str, ...],
    *,
    triton: bool,
) -> Iterator[Result]:
    import torch

    from flashocc_ros.engine.poolers import torch_pooler
    from flashocc_ros.engine.tensorrt import device_table

    pool = device_table.pool
    if triton:
        from flashocc_ros.engine.tensorrt import triton_pooler

        pool = triton_pooler.pool
    cameras, _, height, width = table.frustum_shape
    there = device_table.to_device(table, setting.device)
    exact_table = torch_pooler.to_device(table)
    for dtype in dtypes:
        generator = torch.Generator().manual_seed(0)
        depth = torch.randn(table.frustum_shape, generator=generator).softmax(1).to(getattr(torch, dtype))
        context = torch.randn((cameras, channels, height, width), generator=generator).to(getattr(torch, dtype))
        inputs = depth.to(setting.device), context.to(setting.device)
        got = pool(*inputs, there, volumetric=volumetric)
        label = f"{name}, {'Triton' if triton else 'torch'} {dtype}"
        exact, size = (
            array(torch_pooler.pool_index_add(d, c, exact_table, volumetric=volumetric))
            for d, c in ((depth.double(), context.double()), (depth.double(), context.double().abs()))
        )
        error = np.abs(array(got) - exact) / np.maximum(size, 1e-12)
        worst = float(error.max())
        yield Result(label, outcome(worst <= POOLING_LIMIT), f"limit {POOLING_LIMIT:g}", {"max error / terms": worst})
        if triton:
            yield equal(f"{label}, again", pool(*inputs, there, volumetric=volumetric), got)


def _small_table() -> LiftTable:
    """Cells of one to 240 points and empty ones, of four height slices."""
    rng = np.random.default_rng(0)
    counts = np.r_[1, 240, 1, 17, rng.integers(1, 6, 196)]
    shape = (2, 8, 6, 10)
    cells = np.sort(rng.choice(400, counts.size, replace=False)).astype(np.int32)
    start = np.r_[0, np.cumsum(counts)].astype(np.int32)
    points = rng.integers(0, np.prod(shape), start[-1]).astype(np.int32)
    return LiftTable(points, cells, start, (4, 10, 10), shape)


def tables(setting: Setting) -> Iterator[Result]:
    """Lift tables, warp grids and stereo grids of a moving vehicle, made on the device."""
    import torch

    from flashocc_ros.engine.tensorrt.device_geometry import DeviceGeometry
    from flashocc_ros.engine.tensorrt.stream import DeviceStream

    device = torch.device(setting.device)
    for name in (*POOLED, "panoptic-flashocc-r50-depth4d-longterm8f-pano"):
        variant = get_variant(name)
        stream = DeviceStream(device)
        made = DeviceGeometry(variant, device, stream)
        # The second table, of other mountings, comes from the replay of a graph.
        first, second = scenes.drive(setting, 2, "jpeg")
        for number, frame in enumerate((first, replace(second, rig=scenes.recalibrated(second.rig))), 1):
            geometry = geometry_of(frame, variant)
            with stream():
                table = made.lift_table(geometry)
            stream.synchronize()
            yield _same_table(
                f"lift table {number}, {name}", variant, geometry, array(table.point_index), array(table.cell_start)
            )
        if variant.num_history:
            motions = [scenes.pose_at(-0.5 * age) for age in range(1, variant.num_history + 1)]
            with stream():
                grids = made.warp_grids(motions)
            stream.synchronize()
            yield equal(f"warp grids, {name}", grids, np.stack([bev_warp_grid(motion) for motion in motions]))
        if variant.stereo:
            pair = geometry_of(second, variant).with_past(geometry_of(first, variant))
            with stream():
                grid = made.stereo_grid(pair)
            stream.synchronize()
            yield equal(f"stereo grid, {name}", grid, stereo_grid(variant, pair))


def _same_table(name: str, variant: Variant, geometry: Geometry, point: np.ndarray, start: np.ndarray) -> Result:
    expected = lift_table(variant, geometry)
    counts = np.zeros(expected.num_cells + 1, np.int64)
    counts[expected.cell_index + 1] = np.diff(expected.cell_start)
    return equal(
        name,
        np.concatenate([start, point[: start[-1]]]),
        np.concatenate([np.cumsum(counts), expected.point_index]),
    )
