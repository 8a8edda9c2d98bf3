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

"""A frame as bytes: little-endian length of the first part, that part gzipped, then the pictures' files one by one.

The first part is the length of a JSON text, the text, and the arrays that belong to it. `web/decode.ts` reads it.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.labels import ClassTable
from flashocc_ros.view.frame import Layer, ViewFrame
from flashocc_ros.view.objects import described, objects_of
from flashocc_ros.view.pictures import WIDTH, bounded_jpeg
from flashocc_ros.viz.palette import instance_row
from flashocc_ros.viz.same_object import same_objects

LEVEL = 6
"""Of gzip: higher ones cost twice the time for 2 % of the bytes."""


def encode(frame: ViewFrame, picture_width: int = WIDTH) -> bytes:
    """The frame for the page.

    Args:
        picture_width: pixels, wider pictures are made smaller.

    Raises:
        ImageError: a picture's file is damaged.
    """
    arrays: list[npt.NDArray[np.uint8]] = []
    layers: dict[str, Any] = {}
    if frame.prediction is not None:
        layers["prediction"] = _layer(frame.prediction, frame, {}, arrays)
    if frame.truth is not None:
        layers["truth"] = _layer(frame.truth, frame, _same_colors(frame), arrays)
    if frame.seen is not None:
        arrays.append(np.packbits(frame.seen != 0))
    head: dict[str, Any] = {
        "stamp_ns": str(frame.stamp_ns),
        "grid": {
            "resolution": frame.grid.resolution_m,
            "origin": list(frame.grid.origin_m),
            "size": list(frame.grid.size),
        },
        "odom_from_base": None if frame.odom_from_base is None else _numbers(frame.odom_from_base),
        "report": {
            "level": frame.report.level,
            "message": frame.report.message,
            "values": [[key, value] for key, value in frame.report.values.items()],
        },
        "layers": layers,
        "has_seen": frame.seen is not None,
        "cameras": [],
    }
    files = []
    for shot in frame.shots:
        file, resized = bounded_jpeg(shot.picture, picture_width)
        head["cameras"].append(
            {
                "name": shot.name,
                "bytes": len(file),
                "intrinsic": _numbers(resized @ shot.intrinsic),
                "base_from_camera": _numbers(shot.base_from_camera),
            }
        )
        files.append(file)
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    body = b"".join([struct.pack("<I", len(text)), text, *(a.tobytes() for a in arrays)])
    packed = gzip.compress(body, LEVEL, mtime=0)
    return b"".join([struct.pack("<I", len(packed)), packed, *files])


def _layer(
    layer: Layer, frame: ViewFrame, colors: Mapping[int, int], arrays: list[npt.NDArray[np.uint8]]
) -> dict[str, Any]:
    """Adds the layer's arrays and returns what describes them.

    A bit per voxel says whether something is there; class and object follow for those where there is. All occupied ones
    are sent, not only those on the surface: that takes less than half of the bytes of surface voxels with their indices
    and their free faces, and leaves no holes where the page hides a class.
    """
    occupied = frame.classes.occupied(layer.semantics)
    classes = layer.semantics[occupied].astype(np.uint8)
    arrays += [np.packbits(occupied), classes]
    objects = objects_of(layer, frame.grid, frame.classes)
    if objects:
        assert layer.instances is not None
        ids, inverse = np.unique(layer.instances[occupied], return_inverse=True)
        rows = {thing.id: row for row, thing in enumerate(objects, start=1)}
        index = np.array([rows.get(identity, 0) for identity in ids.tolist()], np.uint16)[inverse]
        arrays += [(index & 255).astype(np.uint8), (index >> 8).astype(np.uint8)]
    return {
        "occupied": len(classes),
        "objects": [described(thing, _row(colors.get(thing.id, thing.id), frame.classes)) for thing in objects],
    }


def _row(identity: int, classes: ClassTable) -> int:
    """Of the palette."""
    return int(instance_row(np.array(identity), classes))


def _same_colors(frame: ViewFrame) -> dict[int, int]:
    """The id whose colour an object of the truth takes: that of the same object in the prediction."""
    if frame.prediction is None or frame.truth is None:
        return {}
    if frame.prediction.instances is None or frame.truth.instances is None:
        return {}
    return same_objects(frame.prediction.instances, frame.truth.instances, frame.classes.first_instance_id)


def _numbers(matrix: npt.NDArray[np.float64]) -> list[float]:
    """Row by row, to a tenth of a millimetre."""
    return [round(v, 6) for v in np.asarray(matrix, np.float64).ravel().tolist()]
