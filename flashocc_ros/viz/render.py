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
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.structures import OCC3D_GRID, CameraRig, VoxelGrid
from flashocc_ros.viz import canvas
from flashocc_ros.viz.canvas import WIDTH
from flashocc_ros.viz.overlay import overlay
from flashocc_ros.viz.palette import paint_volume
from flashocc_ros.viz.raycast import free_distances
from flashocc_ros.viz.same_object import matched
from flashocc_ros.viz.scene import oblique, top

UInt8 = npt.NDArray[np.uint8]

MARGIN = 14
GAP = 10
CAMERAS_HIGH = 0.32
"""Of the picture's height, at most."""
MAP_WIDE = 0.4
"""Of the picture's width, at most: the map beside the scene."""
MAP_HIGH = 0.34
"""Of the height of a scene that has its map in a corner."""
WIDEST_CORNER = 1.6
"""Width of such a map by that height, at most."""


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
        by_object: each object has a colour of its own, the same in prediction and truth, instead of that of its class.
        title, note: texts of the head line; the note is set apart (for example that weights are untrained).
        details: short texts at the right of the head line.
        grid, classes: where the voxels lie and what their ids mean.
    """

    semantics: UInt8
    instances: npt.NDArray[np.integer] | None = None
    truth: UInt8 | None = None
    truth_instances: npt.NDArray[np.integer] | None = None
    images: Sequence[UInt8] = ()
    rig: CameraRig | None = None
    by_object: bool = False
    title: str = ""
    note: str = ""
    details: Sequence[str] = ()
    grid: VoxelGrid = field(default=OCC3D_GRID)
    classes: ClassTable = OCC3D


def render_figure(figure: Figure, width: int = WIDTH) -> UInt8:
    """Compose the picture.

    Returns:
        (height, width, 3) uint8 RGB, 16:9, both even, so that videos take it.

    Raises:
        InputError: images and rig do not belong together, or a volume is not of the grid's size.
    """
    _check(figure)
    width += width % 2
    height = round(width * 9 / 32) * 2
    instances, truth_instances = (figure.instances, figure.truth_instances) if figure.by_object else (None, None)
    if instances is not None and truth_instances is not None:
        truth_instances = matched(instances, truth_instances, figure.classes.first_instance_id)
    paint = paint_volume(figure.semantics, instances, classes=figure.classes)
    distance = free_distances(paint)
    shown = canvas.classes_in(figure.semantics)
    page = canvas.Page(width, MARGIN)
    page.headline(figure.title, figure.note, figure.details)
    _cameras(page, figure, paint, distance, height)
    if figure.truth is not None:
        shown = shown | canvas.classes_in(figure.truth)
    legend = page.legend(shown, "each object has its own colour" if instances is not None else "", figure.classes)
    room = height - page.height - legend.shape[0] - GAP
    if figure.truth is None:
        size = _map_size(figure.grid, round(MAP_WIDE * width), room)
        wide = width - 2 * MARGIN - GAP - size[0]
        scene = oblique(paint, figure.grid, (wide, room), distance, classes=figure.classes)
        page.row([scene, _padded(top(paint, figure.grid, size, distance, figure.classes), room)], ["", ""], GAP)
    else:
        truth = paint_volume(figure.truth, truth_instances, classes=figure.classes)
        size = ((width - 2 * MARGIN - GAP) // 2, room)
        both = [_scene(figure, paint, size, distance), _scene(figure, truth, size, free_distances(truth))]
        page.row(both, ["prediction", "ground truth"], GAP)
    page.add(legend)
    return page.finish(height)


def camera_grid(count: int) -> tuple[int, int]:
    """Rows and columns of the cameras: up to 6 in one row."""
    rows = 1 if count <= 6 else 2
    return rows, math.ceil(count / rows)


def _cameras(page: canvas.Page, figure: Figure, paint: npt.NDArray[np.uint16], distance: UInt8, height: int) -> None:
    if figure.rig is None:
        return
    rows, columns = camera_grid(len(figure.images))
    shape = figure.images[0].shape
    wide = (page.width - 2 * MARGIN - (columns - 1) * GAP) // columns
    high = min(round(wide * shape[0] / shape[1]), round(CAMERAS_HIGH * height / rows))
    wide = min(wide, round(high * shape[1] / shape[0]))
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
                classes=figure.classes,
            )
            for k in row
        ]
        page.row(pictures, [camera_label(figure.rig.names[k]) for k in row], GAP)


def camera_label(name: str) -> str:
    """``CAM_FRONT_LEFT`` as people say it."""
    return name.rsplit("/", 1)[-1].removeprefix("CAM_").replace("_", " ").lower()


def _scene(figure: Figure, paint: npt.NDArray[np.uint16], size: tuple[int, int], distance: UInt8) -> UInt8:
    """The scene with the map in its upper right corner."""
    picture = oblique(paint, figure.grid, size, distance, classes=figure.classes).copy()
    high = round(MAP_HIGH * size[1])
    wide, high = _map_size(figure.grid, round(high * WIDEST_CORNER), high)
    small = canvas.card(top(paint, figure.grid, (wide, high), distance, figure.classes), "")
    picture[GAP : GAP + high, size[0] - GAP - wide : size[0] - GAP] = small
    return picture


def _map_size(grid: VoxelGrid, width: int, height: int) -> tuple[int, int]:
    """(width, height) of the largest map of the grid, forward up, in that room."""
    scale = min(height / grid.size[0], width / grid.size[1])
    return max(1, round(scale * grid.size[1])), max(1, round(scale * grid.size[0]))


def _padded(picture: UInt8, high: int) -> UInt8:
    above = (high - picture.shape[0]) // 2
    below = high - picture.shape[0] - above
    return np.asarray(np.pad(picture, ((above, below), (0, 0), (0, 0)), constant_values=canvas.PAPER[0]), np.uint8)


def _check(figure: Figure) -> None:
    for name in ("semantics", "instances", "truth", "truth_instances"):
        volume = getattr(figure, name)
        if volume is not None and volume.shape != figure.grid.size:
            raise InputError(f"{name} has shape {volume.shape}, the grid needs {figure.grid.size}")
    cameras = 0 if figure.rig is None else figure.rig.num_cameras
    if cameras != len(figure.images):
        raise InputError(f"{len(figure.images)} images need a rig of as many cameras, got one of {cameras}")
