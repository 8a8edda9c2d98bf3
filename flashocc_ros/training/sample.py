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

"""What one training sample is, whatever data set it comes from, and the order in which samples are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from flashocc_ros.geometry import Geometry, LiftTable, lift_table
from flashocc_ros.variants import Variant


@dataclass(frozen=True, eq=False)
class Sample:
    """One training sample: a key frame with its previous frames and its truth, after augmentation.

    Attributes:
        images: (F, N, H, W, 3) uint8 RGB at network size, frame 0 = key, then the previous ones, newest first.
        geometry: calibration and poses of these frames, augmentation included.
        semantics: (X, Y, Z) uint8 targets, axes x, y, z, flipped like the BEV grid: ids of the variant's classes, 255
            for what nobody knows, and with ``possible`` also groups of classes, see ``data.partial_labels``.
        mask_camera: (X, Y, Z) bool, voxels a camera sees.
        depth_m: (N, H, W) float32 z-depth of the key frame at network size, 0 = none; None without depth.
        labels_2d: (N, H, W) uint8 target per pixel of the key frame, None where the data set has none.
        boxes: (M, 9) float32 centre, size, yaw, velocity in the key ego frame, flipped like the BEV grid.
        box_labels: (M,) int64 channels of the heat map.
        possible: (C + 2, C) bool, classes of each target; None where all are known.
        sparse: depth and classes are known at single pixels; elsewhere depth is 0 and the class 255.
    """

    images: npt.NDArray[np.uint8]
    geometry: Geometry
    semantics: npt.NDArray[np.uint8]
    mask_camera: npt.NDArray[np.bool_]
    depth_m: npt.NDArray[np.float32] | None
    labels_2d: npt.NDArray[np.uint8] | None
    boxes: npt.NDArray[np.float32]
    box_labels: npt.NDArray[np.int64]
    possible: npt.NDArray[np.bool_] | None = None
    sparse: bool = False

    def lift_tables(self, variant: Variant) -> list[LiftTable]:
        """Per frame fed to the BEV encoder, the table that lifts it straight into the key ego frame."""
        return [lift_table(variant, self.geometry, frame) for frame in range(variant.num_frames)]


class SampleSource(Protocol):
    """A data set: samples by index, augmented with the generator that is given, as they are without one."""

    def __len__(self) -> int: ...

    def available(self, step: int) -> int: ...

    def sample(self, index: int, rng: np.random.Generator | None) -> Sample: ...


def draw_indices(step: int, slots: int, source: SampleSource, seed: int) -> npt.NDArray[np.int64]:
    """Sample numbers of one step: consecutive pieces of one shuffled pass over the data after the other.

    While ``source`` still grows, samples are drawn at random from those available instead. A pure function of its
    arguments, so a resumed run and one split over processes see the same samples.

    Args:
        step: number of the network step, counted over the whole run.
        slots: samples per step.
    """
    length, available = len(source), source.available(step)
    if available < length:
        return np.random.default_rng((seed, 4, step)).integers(0, available, slots)
    positions = np.arange(step * slots, (step + 1) * slots)
    passes, offsets = np.divmod(positions, length)
    orders = {p: np.random.default_rng((seed, 1, int(p))).permutation(length) for p in np.unique(passes)}
    return np.array([orders[p][o] for p, o in zip(passes, offsets, strict=True)], np.int64)


def sample_rng(step: int, slot: int, seed: int) -> np.random.Generator:
    """Generator of augmentation and column choice for one slot of one step."""
    return np.random.default_rng((seed, 2, step, slot))


def mirror_bev(
    semantics: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    boxes: npt.NDArray[np.float32],
    flip_x: bool,
    flip_y: bool,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Mirror truth along x and / or y and give the matching ``bda`` matrix (3, 3)."""
    bda = np.diag([-1.0 if flip_x else 1.0, -1.0 if flip_y else 1.0, 1.0])
    boxes = boxes.copy()
    if flip_x:
        semantics, mask = semantics[::-1], mask[::-1]
        boxes[:, 0] *= -1
        boxes[:, 6] = np.pi - boxes[:, 6]
        boxes[:, 7] *= -1
    if flip_y:
        semantics, mask = semantics[:, ::-1], mask[:, ::-1]
        boxes[:, 1] *= -1
        boxes[:, 6] *= -1
        boxes[:, 8] *= -1
    return np.ascontiguousarray(semantics), np.ascontiguousarray(mask), boxes, bda
