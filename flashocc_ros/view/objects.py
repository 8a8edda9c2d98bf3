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

"""The objects of a layer as the page lists them."""

from __future__ import annotations

from typing import Any

import numpy as np

from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.structures import Instance, VoxelGrid
from flashocc_ros.view.frame import Layer


def objects_of(layer: Layer, grid: VoxelGrid, classes: ClassTable = OCC3D) -> list[Instance]:
    """Objects that own voxels, the recorded ones first; for others class, box and place are those of their voxels."""
    if layer.instances is None:
        return []
    owned = np.flatnonzero((layer.instances >= classes.first_instance_id) & classes.occupied(layer.semantics))
    ids, inverse, counts = np.unique(layer.instances.ravel()[owned], return_inverse=True, return_counts=True)
    there = set(ids.tolist())
    known = [found for found in layer.objects if found.id in there]
    missing = there - {found.id for found in known}
    if not missing:
        return known
    where = np.stack(np.unravel_index(owned, layer.semantics.shape), axis=1)
    labels = layer.semantics.ravel()[owned]
    edge_m = grid.resolution_m
    for row, (identity, count) in enumerate(zip(ids.tolist(), counts.tolist(), strict=True)):
        if identity in missing:
            mine = inverse == row
            low, high = where[mine].min(axis=0), where[mine].max(axis=0)
            center = grid.centers_m(np.stack([low, high])).mean(axis=0)
            x, y, z = center.tolist()
            length, width, height = ((high - low + 1) * edge_m).tolist()
            kind = int(np.bincount(labels[mine]).argmax())
            known.append(Instance(identity, kind, 0.0, (x, y, z), (length, width, height), count))
    return known


def described(found: Instance, color: int) -> dict[str, Any]:
    """As JSON; ``color`` is a row of the palette, lengths are in metres with two digits.

    ``velocity`` in metres per second is told of what moves.
    """
    velocity = found.velocity_mps if found.moves else None
    return {
        "id": found.id,
        "class": found.class_id,
        "score": round(found.score, 3),
        "center": [round(v, 2) for v in found.center_m],
        "extent": [round(v, 2) for v in found.extent_m],
        "velocity": None if velocity is None else [round(v, 2) for v in velocity],
        "voxels": found.voxel_count,
        "color": color,
    }
