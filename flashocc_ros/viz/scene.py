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

"""Views of the voxels themselves: from behind and above, with sunlight, and straight from above as a map."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid
from flashocc_ros.viz.canvas import font
from flashocc_ros.viz.palette import palette
from flashocc_ros.viz.raycast import View, render
from flashocc_ros.viz.vehicle import EGO_BOXES_M

UInt8 = npt.NDArray[np.uint8]

CHASE_EYE_M = (-34.0, 2.0, 26.0)
CHASE_TARGET_M = (2.0, 2.0, -3.0)
CHASE_FIELD_OF_VIEW_DEG = 54.0
HORIZON_RGB = (250, 251, 253)
GROUND_RGB = (206, 214, 224)
LABEL_HIGH = 0.04
DIAGONAL = 0.7071
MAP_RGB = (232, 236, 241)


def oblique(
    paint: npt.NDArray[np.uint16],
    grid: VoxelGrid,
    size: tuple[int, int],
    free_distance: UInt8 | None = None,
    eye_m: tuple[float, float, float] = CHASE_EYE_M,
    target_m: tuple[float, float, float] = CHASE_TARGET_M,
    classes: ClassTable = OCC3D,
) -> UInt8:
    """The scene from behind and above the vehicle, lit by the sun; (height, width, 3) uint8 RGB.

    ``eye_m`` and ``target_m`` are for the grid of Occ3D; other grids are looked at from as many of their lengths away.
    """
    view = View.look_at(_placed(eye_m, grid), _placed(target_m, grid), CHASE_FIELD_OF_VIEW_DEG, size)
    picture = render(paint, palette(classes), grid, view, boxes_m=EGO_BOXES_M, free_distance=free_distance)
    down = np.linspace(0, 1, size[1], dtype=np.float32)[:, None, None]
    sky = (np.array(HORIZON_RGB, np.float32) * (1 - down) + np.array(GROUND_RGB, np.float32) * down) / 255
    cover = picture.coverage[..., None]
    return (255 * (picture.rgb * cover + sky * (1 - cover))).astype(np.uint8)


def _placed(point_m: tuple[float, float, float], grid: VoxelGrid) -> tuple[float, float, float]:
    """A point around the grid of Occ3D, moved to lie so around another one."""
    usual = OCC3D_GRID
    scale = max(grid.extent_m[:2]) / max(usual.extent_m[:2])
    x, y, z = (
        low + length / 2 + scale * (value - usual_low - usual_length / 2)
        for value, low, length, usual_low, usual_length in zip(
            point_m, grid.origin_m, grid.extent_m, usual.origin_m, usual.extent_m, strict=True
        )
    )
    return x, y, z


def top(
    paint: npt.NDArray[np.uint16],
    grid: VoxelGrid,
    size: tuple[int, int],
    free_distance: UInt8 | None = None,
    classes: ClassTable = OCC3D,
) -> UInt8:
    """Map of the whole grid, forward up, with range rings every 10 m; (height, width, 3) uint8 RGB."""
    picture = render(
        paint,
        palette(classes),
        grid,
        View.from_above(grid, size),
        edges=0.12,
        boxes_m=EGO_BOXES_M,
        free_distance=free_distance,
    )
    cover = picture.coverage[..., None]
    drawn = (255 * picture.rgb * cover + np.array(MAP_RGB, np.float32) * (1 - cover)).astype(np.uint8)
    return _rings(drawn, grid)


def _rings(picture: UInt8, grid: VoxelGrid) -> UInt8:
    height, width = picture.shape[:2]
    span = np.array(grid.size[:2]) * grid.resolution_m
    upper = np.asarray(grid.origin_m[:2]) + span
    scale = height / span[0]
    centre = (round(upper[1] * width / span[1]), round(upper[0] * scale))
    rings = picture.copy()
    for radius_m in range(10, int(max(span)), 10):
        cv2.circle(rings, centre, round(radius_m * scale), (255, 255, 255), 1, cv2.LINE_AA)
    labelled = Image.fromarray(cv2.addWeighted(picture, 0.55, rings, 0.45, 0).astype(np.uint8))
    draw, size = ImageDraw.Draw(labelled), max(9, round(LABEL_HIGH * height))
    for radius_m in range(10, int(min(span) / 2), 10):
        # to the front right, where a ring crosses no street
        place = (centre[0] + radius_m * scale * DIAGONAL, centre[1] - radius_m * scale * DIAGONAL)
        draw.text(place, f"{radius_m} m", (255, 255, 255), font(size), "mm", stroke_width=2, stroke_fill=(31, 41, 55))
    return np.asarray(labelled)
