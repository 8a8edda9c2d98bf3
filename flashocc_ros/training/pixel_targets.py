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

"""Depth and class of every feature cell, from truth of all pixels or of some; and the loss of soft depth bins."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from flashocc_ros.geometry.frustum import frustum_axes
from flashocc_ros.training.losses.cross_entropy import IGNORE
from flashocc_ros.training.sample import Sample
from flashocc_ros.variants import DepthBins, Variant

SMALL = ("bicycle", "motorcycle", "pedestrian", "traffic_cone")
"""Classes of Occ3D, and so those that are like them."""


def pixel_targets(samples: Sequence[Sample], variant: Variant) -> tuple[Tensor, Tensor]:
    """What the centre pixel of each feature cell shows, or the nearest small thing inside the cell if there is one.

    A cone is narrower than a cell; taking the centre pixel alone would lose most of them.

    Returns:
        Depth in metres (B * N, fH, fW) float32, ``inf`` where nothing is hit and NaN where nothing is known, and target
        (B * N, fH, fW) int64, 255 where nothing is known.
    """
    if samples[0].sparse:
        return _sparse_targets(samples, variant)
    columns, rows, _ = frustum_axes(variant)
    u, v = np.rint(columns).astype(np.int64), np.rint(rows).astype(np.int64)
    depth = torch.from_numpy(np.concatenate([_required(s.depth_m) for s in samples]))
    labels = torch.from_numpy(np.concatenate([_required(s.labels_2d) for s in samples]))
    depth = torch.where(depth > 0, depth, torch.full_like(depth, torch.inf))
    cell_depth, cell_label = depth[:, v][:, :, u], labels[:, v][:, :, u].long()
    # The window around each centre; at the border it repeats the last pixel, which changes no minimum.
    reach = np.arange(variant.stride - 1) - (variant.stride - 1) // 2
    rows_of = (v[:, None] + reach).clip(0, depth.shape[1] - 1)
    columns_of = (u[:, None] + reach).clip(0, depth.shape[2] - 1)
    window = (slice(None), rows_of[:, None, :, None], columns_of[None, :, None, :])
    labels_there = labels[window].flatten(-2)
    small = torch.isin(labels_there, torch.tensor(_small_classes(variant), dtype=labels.dtype))
    nearest, where = torch.where(small, depth[window].flatten(-2), torch.inf).min(-1)
    found = torch.isfinite(nearest)
    label_there = labels_there.gather(-1, where[..., None])[..., 0].long()
    return torch.where(found, nearest, cell_depth), torch.where(found, label_there, cell_label)


def _sparse_targets(samples: Sequence[Sample], variant: Variant) -> tuple[Tensor, Tensor]:
    """The same of single pixels: the nearest small thing in a cell, else what lies nearest to its centre."""
    depth = np.concatenate([_required(s.depth_m) for s in samples])
    labels = np.concatenate([_required(s.labels_2d) for s in samples])
    columns, rows, _ = frustum_axes(variant)
    picture, v, u = np.nonzero(depth > 0)
    cell_u, cell_v = (_nearest(axis, at) for axis, at in ((columns, u), (rows, v)))
    off = np.hypot(columns[cell_u] - u, rows[cell_v] - v)
    metres, target = depth[picture, v, u], labels[picture, v, u]
    small = np.isin(target, _small_classes(variant))
    order = np.lexsort((np.where(small, metres, off), ~small))[::-1]  # the best of a cell is written last
    shape = (len(depth), len(rows), len(columns))
    cell_depth, cell_label = np.full(shape, np.nan, np.float32), np.full(shape, IGNORE, np.int64)
    where = (picture[order], cell_v[order], cell_u[order])
    cell_depth[where], cell_label[where] = metres[order], target[order]
    return torch.from_numpy(cell_depth), torch.from_numpy(cell_label)


def _small_classes(variant: Variant) -> list[int]:
    return [i for i, c in enumerate(variant.classes.classes) if c.like in SMALL]


def _nearest(axis: npt.NDArray[np.float32], at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Index of the nearest of evenly spaced numbers."""
    step = (axis[-1] - axis[0]) / (len(axis) - 1)
    return np.clip(np.rint((at - axis[0]) / step), 0, len(axis) - 1).astype(np.int64)


def _required(value: np.ndarray | None) -> np.ndarray:
    if value is None:
        raise ValueError("the column recipe needs depth and 2D labels")
    return value


def soft_depth_loss(probability: Tensor, depth_m: Tensor, bins: DepthBins) -> Tensor:
    """Cross entropy against a target shared by the two neighbouring bins; beyond the last bin counts as the last.

    Args:
        probability: (N, D, fH, fW).
        depth_m: (N, fH, fW) metres, ``inf`` where nothing is hit, NaN where nothing is known, which does not count.
        bins: depth bins of the variant.
    """
    values = bins.values()
    known = ~depth_m.isnan()
    depth = depth_m.nan_to_num(values[0], values[-1]).clamp(values[0], values[-1])
    if bins.sid:
        position = torch.log(depth / values[0]) * ((bins.count - 1) / math.log(values[-1] / values[0]))
    else:
        position = (depth - values[0]) / bins.step_m
    lower = position.floor().clamp(0, bins.count - 2).long()
    share = position - lower
    chosen = probability.gather(1, torch.stack([lower, lower + 1], 1)).clamp(min=1e-6).log()
    loss = -(chosen[:, 0] * (1.0 - share) + chosen[:, 1] * share)
    return loss.mean() if bool(known.all()) else (loss * known).sum() / known.sum().clamp(min=1)
