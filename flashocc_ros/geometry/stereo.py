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

"""Where each pixel, at each depth, appears in the previous picture of the same camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flashocc_ros.errors import InputError
from flashocc_ros.geometry.frames import Geometry
from flashocc_ros.geometry.frustum import frustum_axes
from flashocc_ros.variants import Variant

Float32 = npt.NDArray[np.float32]

STEREO_STRIDE = 4
MIN_DEPTH_M = 1e-3
OUTSIDE = np.float32(-2.0)


@dataclass(frozen=True, eq=False)
class StereoNumbers:
    """What decides a stereo grid, all float32.

    Attributes:
        undo, offset: (N, 3, 3) and (N, 3), network pixel to source pixel.
        ray_from_pixel, shift: (N, 3, 3) and (N, 3), source pixel times depth to metres in the previous camera.
        intrinsics, post_rot: (N, 3, 3), metres in the previous camera to its source pixel, and on to the network's.
    """

    undo: Float32
    offset: Float32
    ray_from_pixel: Float32
    shift: Float32
    intrinsics: Float32
    post_rot: Float32


def stereo_numbers(geometry: Geometry, frame: int = 0) -> StereoNumbers:
    """The motion is composed in float64 and used in float32, as in the reference; intrinsics and picture transform of
    ``frame`` serve both.

    Raises:
        InputError: a camera is no pinhole.
    """
    if not geometry.pinhole:
        kind = next(model.kind for model in geometry.models if model.kind != "pinhole")
        raise InputError(
            f"a stereo variant matches pictures of pinhole cameras, one of these is {kind}: rectify them "
            "(fisheye: rectify), or take a variant without stereo"
        )
    k, rot, tran = (a[frame].astype(np.float32) for a in (geometry.intrinsics, geometry.post_rot, geometry.post_tran))
    pose = geometry.previous_camera_from_camera(frame).astype(np.float32)
    return StereoNumbers(np.linalg.inv(rot), tran, pose[:, :3, :3] @ np.linalg.inv(k), pose[:, :3, 3], k, rot)


def stereo_grid(variant: Variant, geometry: Geometry, frame: int = 0) -> npt.NDArray[np.float32]:
    """Where the pixels of ``frame`` lie in the frame before it, ``frame + 1``, which ``geometry`` must hold.

    Returns:
        Sampling grid of the matching features, (N, D, H/4, W/4, 2) float32, last axis (x, y) normalised to [-1, 1].
        Points behind the previous camera lie at -2, outside the picture, where ``grid_sample`` returns zero.
    """
    columns, rows, depths = frustum_axes(variant, STEREO_STRIDE)
    numbers = stereo_numbers(geometry, frame)
    k, rot = numbers.intrinsics, numbers.post_rot
    grid = np.empty((len(k), depths.size, rows.size, columns.size, 2), np.float32)
    scale = pixel_scale(variant)
    for camera in range(len(k)):
        # Undoing the picture transform leaves depth alone, so a ray per pixel serves all depths.
        u = columns[None, :] - numbers.offset[camera, 0]
        v = rows[:, None] - numbers.offset[camera, 1]
        u, v = (numbers.undo[camera, row, 0] * u + numbers.undo[camera, row, 1] * v for row in range(2))
        ray = [r[0] * u + r[1] * v + r[2] for r in numbers.ray_from_pixel[camera]]
        for index, depth in enumerate(depths):
            x, y, z = (ray[row] * depth + numbers.shift[camera, row] for row in range(3))
            behind = z < MIN_DEPTH_M
            z = np.where(behind, np.float32(1), z)
            x, y = x / z, y / z
            x, y = k[camera, 0, 0] * x + k[camera, 0, 1] * y + k[camera, 0, 2], k[camera, 1, 1] * y + k[camera, 1, 2]
            for axis in range(2):
                pixel = rot[camera, axis, 0] * x + rot[camera, axis, 1] * y + numbers.offset[camera, axis]
                grid[camera, index, ..., axis] = np.where(behind, OUTSIDE, pixel * scale[axis] - 1)
    return grid


def pixel_scale(variant: Variant) -> Float32:
    """(2,) network pixels (x, y) to the range [0, 2]."""
    height, width = variant.input_size
    return np.array((2.0 / (width - 1), 2.0 / (height - 1)), np.float32)
