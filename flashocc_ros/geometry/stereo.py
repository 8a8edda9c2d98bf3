"""Where each pixel, at each depth, appears in the previous picture of the same camera."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flashocc_ros.geometry.frames import Geometry
from flashocc_ros.geometry.frustum import frustum_axes
from flashocc_ros.variants import Variant

STEREO_STRIDE = 4
MIN_DEPTH_M = 1e-3
OUTSIDE = np.float32(-2.0)


def stereo_grid(variant: Variant, geometry: Geometry, frame: int = 0) -> npt.NDArray[np.float32]:
    """Where the pixels of ``frame`` lie in the frame before it, ``frame + 1``, which ``geometry`` must hold.

    The motion is composed in float64 and used in float32, as in the reference; intrinsics and picture transform of
    ``frame`` serve both.

    Returns:
        Sampling grid of the matching features, (N, D, H/4, W/4, 2) float32, last axis (x, y) normalised to [-1, 1].
        Points behind the previous camera lie at -2, outside the picture, where ``grid_sample`` returns zero.
    """
    columns, rows, depths = frustum_axes(variant, STEREO_STRIDE)
    height, width = variant.input_size
    k, rot, tran = (a[frame].astype(np.float32) for a in (geometry.intrinsics, geometry.post_rot, geometry.post_tran))
    pose = geometry.previous_camera_from_camera(frame).astype(np.float32)
    undo = np.linalg.inv(rot)
    ray_from_pixel = pose[:, :3, :3] @ np.linalg.inv(k)
    grid = np.empty((len(pose), depths.size, rows.size, columns.size, 2), np.float32)
    scale = np.array((2.0 / (width - 1), 2.0 / (height - 1)), np.float32)
    for camera in range(len(pose)):
        # Undoing the picture transform leaves depth alone, so a ray per pixel serves all depths.
        u = columns[None, :] - tran[camera, 0]
        v = rows[:, None] - tran[camera, 1]
        u, v = (undo[camera, row, 0] * u + undo[camera, row, 1] * v for row in range(2))
        ray = [r[0] * u + r[1] * v + r[2] for r in ray_from_pixel[camera]]
        for index, depth in enumerate(depths):
            x, y, z = (ray[row] * depth + pose[camera, row, 3] for row in range(3))
            behind = z < MIN_DEPTH_M
            z = np.where(behind, np.float32(1), z)
            x, y = x / z, y / z
            x, y = k[camera, 0, 0] * x + k[camera, 0, 1] * y + k[camera, 0, 2], k[camera, 1, 1] * y + k[camera, 1, 2]
            for axis in range(2):
                pixel = rot[camera, axis, 0] * x + rot[camera, axis, 1] * y + tran[camera, axis]
                grid[camera, index, ..., axis] = np.where(behind, OUTSIDE, pixel * scale[axis] - 1)
    return grid
