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

"""One picture per key frame: cameras with voxels, the scene in 3D, a map, ground truth beside it, and a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.straighten import straightened
from flashocc_ros.errors import InputError
from flashocc_ros.structures import OCC3D_GRID, CameraRig, VoxelGrid
from flashocc_ros.viz import canvas
from flashocc_ros.viz.overlay import overlay
from flashocc_ros.viz.palette import paint_volume
from flashocc_ros.viz.raycast import free_distances
from flashocc_ros.viz.scene import oblique, top

UInt8 = npt.NDArray[np.uint8]

WIDTH = 1920
MARGIN = 14
GAP = 10


@dataclass(frozen=True, eq=False)
class Figure:
    """What one picture shows. Everything but ``semantics`` may be missing.

    Attributes:
        semantics: (X, Y, Z) uint8 predicted classes.
        instances: (X, Y, Z) integer ids or None.
        truth: (X, Y, Z) uint8 true classes or None.
        truth_instances: (X, Y, Z) integer ids or None.
        images: one uint8 (H, W, 3) RGB picture per camera of ``rig``.
        rig: calibration of ``images``, which are drawn straightened; ``base_from_camera`` leads to the base frame at
            the key stamp.
        title, note: texts of the head line; the note is set apart (for example that weights are untrained).
        details: short texts at the right of the head line.
    """

    semantics: UInt8
    instances: npt.NDArray[np.integer] | None = None
    truth: UInt8 | None = None
    truth_instances: npt.NDArray[np.integer] | None = None
    images: Sequence[UInt8] = ()
    rig: CameraRig | None = None
    title: str = ""
    note: str = ""
    details: Sequence[str] = ()
    grid: VoxelGrid = field(default=OCC3D_GRID)


def render_figure(figure: Figure, width: int = WIDTH) -> UInt8:
    """Compose the picture.

    Returns:
        (height, width, 3) uint8 RGB; the height follows from the cameras, and is even so that videos take it.

    Raises:
        InputError: images and rig do not belong together, or a volume is not of the grid's size.
    """
    _check(figure)
    paint = paint_volume(figure.semantics, figure.instances)
    distance = free_distances(paint)
    page = canvas.Page(width, MARGIN)
    page.headline(figure.title, figure.note, figure.details)
    _cameras(page, figure, paint, distance)
    high = round(width * (0.26 if figure.truth is None else 0.23))
    _voxels(page, figure.grid, paint, distance, high, "" if figure.truth is None else "prediction")
    shown = canvas.classes_in(figure.semantics)
    if figure.truth is not None:
        truth = paint_volume(figure.truth, figure.truth_instances)
        _voxels(page, figure.grid, truth, free_distances(truth), high, "ground truth")
        shown = shown | canvas.classes_in(figure.truth)
    page.legend(shown, has_instances=figure.instances is not None)
    return page.finish()


def camera_columns(count: int) -> int:
    """Pictures per row: 6 cameras in two rows of three."""
    return count if count <= 3 else math.ceil(count / 2) if count <= 8 else 4


def _cameras(page: canvas.Page, figure: Figure, paint: npt.NDArray[np.uint16], distance: UInt8) -> None:
    if figure.rig is None:
        return
    columns = camera_columns(len(figure.images))
    wide = (page.width - 2 * MARGIN - (columns - 1) * GAP) // columns
    shape = figure.images[0].shape
    high = round(wide * shape[0] / shape[1])
    for first in range(0, len(figure.images), columns):
        row = range(first, min(first + columns, len(figure.images)))
        flat = {k: straightened(figure.images[k], figure.rig.intrinsics[k], figure.rig.models[k]) for k in row}
        pictures = [
            overlay(
                *flat[k],
                figure.rig.base_from_camera[k],
                paint,
                figure.grid,
                (wide, high),
                distance,
            )
            for k in row
        ]
        page.row(pictures, [camera_label(figure.rig.names[k]) for k in row], GAP)


def camera_label(name: str) -> str:
    """``CAM_FRONT_LEFT`` as people say it."""
    return name.rsplit("/", 1)[-1].removeprefix("CAM_").replace("_", " ").lower()


def _voxels(
    page: canvas.Page, grid: VoxelGrid, paint: npt.NDArray[np.uint16], distance: UInt8, high: int, label: str
) -> None:
    map_size = (round(high * grid.size[1] / grid.size[0]), high)
    scene_size = (page.width - 2 * MARGIN - GAP - map_size[0], high)
    pictures = [oblique(paint, grid, scene_size, distance), top(paint, grid, map_size, distance)]
    page.row(pictures, [label, ""], GAP)


def _check(figure: Figure) -> None:
    for name in ("semantics", "instances", "truth", "truth_instances"):
        volume = getattr(figure, name)
        if volume is not None and volume.shape != figure.grid.size:
            raise InputError(f"{name} has shape {volume.shape}, the grid needs {figure.grid.size}")
    cameras = 0 if figure.rig is None else figure.rig.num_cameras
    if cameras != len(figure.images):
        raise InputError(f"{len(figure.images)} images need a rig of as many cameras, got one of {cameras}")
