"""Where each pixel, at each depth, appears in the previous picture of the same camera."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flashocc_ros.geometry.frustum import frustum_axes
from flashocc_ros.variants import Variant

STEREO_STRIDE = 4
MIN_DEPTH_M = 1e-3
OUTSIDE = np.float32(-2.0)


def stereo_grid(
    variant: Variant,
    previous_from_camera: npt.ArrayLike,
    intrinsics: npt.ArrayLike,
    post_rot: npt.ArrayLike,
    post_tran: npt.ArrayLike,
) -> npt.NDArray[np.float32]:
    """Sampling grid of the matching features, (N, D, H/4, W/4, 2) float32, last axis (x, y) normalised to [-1, 1].

    Args:
        previous_from_camera: (N, 4, 4) float64, each camera now to the same camera at the previous frame, metres.
        intrinsics: (N, 3, 3) source pixels; post_rot: (N, 3, 3); post_tran: (N, 3): same for both frames.

    Points behind the previous camera lie at -2, outside the picture, where ``grid_sample`` returns zero.
    """
    columns, rows, depths = frustum_axes(variant, STEREO_STRIDE)
    height, width = variant.input_size
    k, rot, tran = (np.asarray(a, np.float32) for a in (intrinsics, post_rot, post_tran))
    pose = np.asarray(previous_from_camera, np.float64).astype(np.float32)
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
