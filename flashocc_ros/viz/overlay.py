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

"""Camera pictures with the voxels that the camera sees laid over them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.structures import VoxelGrid
from flashocc_ros.viz.palette import palette
from flashocc_ros.viz.raycast import View, render

UInt8 = npt.NDArray[np.uint8]

OPACITY = 0.50
FLAT_OPACITY = 0.28
"""The ground is drawn fainter, so that the road stays visible below it."""
NEAR_M = 0.6
FAINT_M, FAINT = 14.0, 0.35
"""What is nearer than the first is drawn fainter, in front of the lens by the second: it fills the picture."""


def overlay(
    image: UInt8,
    intrinsic: npt.NDArray[np.float64],
    base_from_camera: npt.NDArray[np.float64],
    paint: npt.NDArray[np.uint16],
    grid: VoxelGrid,
    size: tuple[int, int],
    free_distance: UInt8 | None = None,
    opacity: float = OPACITY,
    classes: ClassTable = OCC3D,
) -> UInt8:
    """Scale ``image`` to ``size`` and blend in the voxels in front of the camera; nearer ones hide farther ones.

    Args:
        image: (H, W, 3) uint8 RGB.
        intrinsic: (3, 3) in pixels of ``image``.
        base_from_camera: (4, 4), camera optical frame to the frame of the voxels at the time of the picture.
        paint: (X, Y, Z) uint16 rows of ``palette(classes)``.
        size: (width, height) of the result.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    width, height = size
    shrunk = cv2.resize(image, size, interpolation=cv2.INTER_AREA if image.shape[1] > width else cv2.INTER_LINEAR)
    if opacity <= 0:
        return np.asarray(shrunk, np.uint8)
    # pixel centres are whole numbers, so scaling moves them by half a pixel
    x_scale, y_scale = width / image.shape[1], height / image.shape[0]
    resize = np.array([[x_scale, 0, x_scale / 2 - 0.5], [0, y_scale, y_scale / 2 - 0.5], [0, 0, 1.0]])
    view = View.pinhole(resize @ intrinsic, base_from_camera, size, near_m=NEAR_M)
    picture = render(paint, palette(classes), grid, view, shadows=False, edges=0.45, free_distance=free_distance)
    alpha = np.full(len(palette(classes)), opacity, np.float32)
    alpha[[1 + c for c in classes.flat]] = FLAT_OPACITY * opacity / OPACITY
    nearness = np.clip(picture.distance_m / FAINT_M, FAINT, 1.0)
    weight = (alpha[picture.paint] * picture.coverage * nearness)[..., None]
    mixed = shrunk * (1 - weight) + picture.rgb * (255 * weight)
    return mixed.astype(np.uint8)
