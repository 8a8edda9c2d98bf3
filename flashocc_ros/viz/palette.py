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

"""Colours as drawn: classes, instances, and the paint volume the ray caster reads."""

from __future__ import annotations

import colorsys
import functools

import numpy as np
import numpy.typing as npt

from flashocc_ros.labels import OCC3D, ClassTable

UInt16 = npt.NDArray[np.uint16]

OTHERS_RGB = (96, 96, 100)
"""A black class, as `others` of the reference's table, would be invisible in shadow, so it is drawn in grey."""
EGO_RGB = (236, 239, 243)
SOFTEN = np.float32(0.18)
"""How far class colours are moved towards their own grey: the table is made for points, not for large lit areas."""
INSTANCE_COLORS = 509
"""Number of different instance colours; a prime, so that neighbouring ids never meet by rotation."""


@functools.lru_cache(maxsize=8)
def palette(table: ClassTable = OCC3D) -> npt.NDArray[np.float32]:
    """(1 + classes + 509, 3) float32 RGB in [0, 1]: the vehicle, one per class, one per instance."""
    classes = np.array(table.colors_rgb, np.float32) / 255
    classes[(classes == 0).all(axis=1)] = np.array(OTHERS_RGB, np.float32) / 255
    grey = (classes @ np.array([0.3, 0.59, 0.11], np.float32))[:, None]
    classes += SOFTEN * (grey - classes)
    classes += np.clip(0.35 - grey, 0.0, 0.3) * (1 - classes)  # dark colours would lose their shading
    rows = [np.array([EGO_RGB], np.float32) / 255, classes]
    golden = 0.618033988749895
    instances = [
        colorsys.hsv_to_rgb(_hue((0.05 + k * golden) % 1.0), 0.6 + 0.3 * (k * 7 % 5) / 4, 1.0 - 0.25 * (k * 3 % 4) / 3)
        for k in range(INSTANCE_COLORS)
    ]
    rows.append(np.array(instances, np.float32))
    colors = np.concatenate(rows).astype(np.float32)
    colors.setflags(write=False)
    return colors


def _hue(part: float) -> float:
    """Spread [0, 1) over all hues but green to teal, which the ground and the trees have."""
    hue = part * 0.72
    return hue if hue < 0.26 else hue + 0.28


def paint_volume(
    semantics: npt.NDArray[np.uint8],
    instances: npt.NDArray[np.integer] | None = None,
    mask: npt.NDArray | None = None,
    classes: ClassTable = OCC3D,
) -> UInt16:
    """Row of ``palette()`` for every voxel, 0 where nothing is drawn.

    Args:
        semantics: (X, Y, Z) uint8 class ids; free and unknown ids, past the classes, are not drawn.
        instances: same shape; thing voxels with an id past those of the classes take the colour of their instance.
        mask: same shape; voxels where it is zero are not drawn.
        classes: what the ids mean.
    """
    rows = np.zeros(256, np.uint16)
    rows[list(classes.solid)] = 1 + np.array(classes.solid)
    paint = rows[semantics]
    if instances is not None and instances.size:
        owned = (instances >= classes.first_instance_id) & np.isin(semantics, classes.things)
        paint[owned] = instance_row(instances[owned], classes)
    if mask is not None:
        paint[~np.asarray(mask, bool)] = 0
    return paint


def instance_row(ids: npt.NDArray[np.integer], classes: ClassTable = OCC3D) -> UInt16:
    """Row of ``palette()`` for instance ids."""
    return (1 + len(classes) + np.asarray(ids, np.int64) % INSTANCE_COLORS).astype(np.uint16)
