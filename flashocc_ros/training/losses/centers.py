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

"""Targets and losses of the centre head: Gaussian heat map, sub-cell offset, height and box terms (CenterPoint)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from flashocc_ros.labels import DETECTION_NAMES
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid

MAX_OBJECTS = 500
_MIN_OVERLAP = 0.1
_BOX_WEIGHT = 0.25
# Channel groups of the regression target and the factor of their loss; boxes are trained in position only.
_GROUPS = (("xy", 0, 2, 1.0), ("z", 2, 3, 1.0), ("whl", 3, 6, 0.0), ("yaw", 6, 8, 0.0), ("vel", 8, 10, 0.0))


@dataclass(frozen=True)
class CenterTargets:
    """Targets of one sample.

    Attributes:
        heatmap: (detections, Dy, Dx) float32, rows are y, columns x.
        boxes: (500, 10) float32: offset x, y in cells; z; log sizes; sin, cos of yaw; vx, vy.
        cell: (500,) int64 flat index row * Dx + column.
        valid: (500,) bool.
    """

    heatmap: Tensor
    boxes: Tensor
    cell: Tensor
    valid: Tensor


def gaussian_radius(length: float, width: float, min_overlap: float = _MIN_OVERLAP) -> float:
    """CornerNet's radius in cells, with the roots as first published (b + sqrt) / 2, for a box in cells."""
    b1 = length + width
    c1 = width * length * (1 - min_overlap) / (1 + min_overlap)
    b2 = 2 * (length + width)
    c2 = (1 - min_overlap) * width * length
    a3 = 4 * min_overlap
    b3 = -2 * min_overlap * (length + width)
    c3 = (min_overlap - 1) * width * length
    roots = (
        (b1 + math.sqrt(b1 * b1 - 4 * c1)) / 2,
        (b2 + math.sqrt(b2 * b2 - 16 * c2)) / 2,
        (b3 + math.sqrt(b3 * b3 - 4 * a3 * c3)) / 2,
    )
    return min(roots)


def _draw_gaussian(heatmap: npt.NDArray[np.float32], row: int, column: int, radius: int) -> None:
    sigma = (2 * radius + 1) / 6
    offset = np.arange(-radius, radius + 1, dtype=np.float64)
    kernel = np.exp(-(offset[:, None] ** 2 + offset[None] ** 2) / (2 * sigma * sigma))
    kernel[kernel < np.finfo(kernel.dtype).eps * kernel.max()] = 0
    top, bottom = min(row, radius), min(heatmap.shape[0] - row, radius + 1)
    left, right = min(column, radius), min(heatmap.shape[1] - column, radius + 1)
    view = heatmap[row - top : row + bottom, column - left : column + right]
    patch = kernel[radius - top : radius + bottom, radius - left : radius + right]
    np.maximum(view, patch.astype(np.float32), out=view)


def center_targets(
    boxes: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    grid: VoxelGrid = OCC3D_GRID,
    detections: int = len(DETECTION_NAMES),
) -> CenterTargets:
    """Targets of the centre head for one sample.

    Args:
        boxes: (M, 9) x, y, z of the box centre, dx, dy, dz in metres, yaw in radians, vx, vy in m/s; base frame.
        labels: (M,) channels of the heat map, see ``ClassTable.detections``.
        grid: gives the cells of the maps.
        detections: number of channels.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 9)
    rows, columns = grid.map_size
    cell_m, lower_m = np.float32(grid.resolution_m), np.array(grid.origin_m[:2], np.float32)
    heatmap = np.zeros((detections, rows, columns), np.float32)
    target = np.zeros((MAX_OBJECTS, 10), np.float32)
    cell = np.zeros(MAX_OBJECTS, np.int64)
    valid = np.zeros(MAX_OBJECTS, bool)
    for slot, (box, label) in enumerate(zip(boxes[:MAX_OBJECTS], labels[:MAX_OBJECTS], strict=True)):
        length, width = box[3] / cell_m, box[4] / cell_m
        if length <= 0 or width <= 0:
            continue
        position = (box[:2] - lower_m) / cell_m
        column, row = int(position[0]), int(position[1])
        if not (0 <= column < columns and 0 <= row < rows and (position > -1).all()):
            continue
        radius = max(2, int(gaussian_radius(float(width), float(length))))
        _draw_gaussian(heatmap[int(label)], row, column, radius)
        target[slot, 0:2] = position - (column, row)
        target[slot, 2] = box[2]
        target[slot, 3:6] = np.log(box[3:6])
        target[slot, 6:8] = np.sin(box[6]), np.cos(box[6])
        target[slot, 8:10] = box[7:9]
        cell[slot] = row * columns + column
        valid[slot] = True
    return CenterTargets(*(torch.from_numpy(a) for a in (heatmap, target, cell, valid)))


def gaussian_focal(logits: Tensor, target: Tensor, alpha: float = 2.0, gamma: float = 4.0) -> Tensor:
    """Gaussian focal loss of a heat map, summed over cells, over the number of centres; shapes alike."""
    probability = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    positive = target.eq(1)
    eps = 1e-12
    at_center = -(probability + eps).log() * (1 - probability).pow(alpha) * positive
    elsewhere = -(1 - probability + eps).log() * probability.pow(alpha) * (1 - target).pow(gamma)
    return (at_center + elsewhere).sum() / max(1.0, float(positive.sum()))


def center_losses(heads: dict[str, Tensor], targets: list[CenterTargets]) -> dict[str, Tensor]:
    """Losses of the centre head, already weighted.

    Args:
        heads: logits of ``heatmap`` (B, detections, Dy, Dx) and maps ``reg`` (B, 2, ..), ``height`` (B, 1, ..) and,
            where present, ``dim`` (3), ``rot`` (2), ``vel`` (2).
        targets: one per sample.

    Returns:
        ``heatmap``, ``xy``, ``z`` and, when their maps are given, ``whl``, ``yaw``, ``vel`` (weight 0, as published).
    """
    device = heads["heatmap"].device
    truth = torch.stack([t.heatmap for t in targets]).to(device)
    losses = {"heatmap": gaussian_focal(heads["heatmap"], truth)}
    maps = torch.cat([heads[k] for k in ("reg", "height", "dim", "rot", "vel") if k in heads], dim=1)
    cell = torch.stack([t.cell for t in targets]).to(device)
    boxes = torch.stack([t.boxes for t in targets]).to(maps)
    valid = torch.stack([t.valid for t in targets]).to(maps)
    channels = maps.shape[1]
    chosen = maps.flatten(2).gather(2, cell[:, None].expand(-1, channels, -1)).transpose(1, 2)
    count = max(float(valid.sum()), 1e-4)
    error = (chosen - boxes[..., :channels]).abs() * valid[..., None]
    for name, first, last, factor in _GROUPS:
        if last <= channels:
            code_weight = 0.2 if name == "vel" else 1.0
            total = error[..., first:last].sum() * code_weight
            losses[name] = factor * _BOX_WEIGHT * total / (count + 1e-4 + torch.finfo(torch.float32).eps)
    return losses
