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

"""One scene several times side by side, as different networks, or the truth, have it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid
from flashocc_ros.viz import canvas
from flashocc_ros.viz.canvas import WIDTH
from flashocc_ros.viz.palette import paint_volume
from flashocc_ros.viz.raycast import free_distances
from flashocc_ros.viz.render import GAP, MARGIN, camera_label
from flashocc_ros.viz.scene import oblique, top

UInt8 = npt.NDArray[np.uint8]


def render_comparison(
    volumes: Sequence[tuple[str, UInt8]],
    images: Sequence[tuple[str, UInt8]] = (),
    title: str = "",
    details: Sequence[str] = (),
    grid: VoxelGrid = OCC3D_GRID,
    classes: ClassTable = OCC3D,
) -> UInt8:
    """Pictures of the cameras in one row, below them each volume from behind and from above.

    Args:
        volumes: label and (X, Y, Z) uint8 classes of each column.
        images: camera name and (H, W, 3) uint8 RGB, of equal shapes.
        title, details: of the head line.
        grid, classes: where the voxels lie and what their ids mean.

    Returns:
        (height, 1920, 3) uint8 RGB.
    """
    page = canvas.Page(WIDTH, MARGIN)
    page.headline(title, "", details)
    if images:
        wide = _column(len(images))
        high = round(wide * images[0][1].shape[0] / images[0][1].shape[1])
        small = [cv2.resize(image, (wide, high), interpolation=cv2.INTER_AREA).astype(np.uint8) for _, image in images]
        page.row(small, [camera_label(name) for name, _ in images], GAP)
    wide = _column(len(volumes))
    paints = [paint_volume(volume, classes=classes) for _, volume in volumes]
    distances = [free_distances(paint) for paint in paints]
    labels = [label for label, _ in volumes]
    drawn = list(zip(paints, distances, strict=True))
    page.row([oblique(paint, grid, (wide, wide // 2), near, classes=classes) for paint, near in drawn], labels, GAP)
    map_size = (wide, round(wide * grid.size[0] / grid.size[1]))
    page.row([top(paint, grid, map_size, near, classes) for paint, near in drawn], [""] * len(drawn), GAP)
    shown = np.any([canvas.classes_in(volume) for _, volume in volumes], axis=0)
    page.add(page.legend(shown, classes=classes))
    return page.finish()


def _column(count: int) -> int:
    return (WIDTH - 2 * MARGIN - (count - 1) * GAP) // count
