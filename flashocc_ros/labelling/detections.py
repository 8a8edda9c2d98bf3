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

"""Boxes of a recording's messages and of a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.labelling.boxes import BoxFrame, poses_of
from flashocc_ros.labelling.class_ids import class_id
from flashocc_ros.labels import IGNORE, OCC3D, ClassTable

Float64 = npt.NDArray[np.float64]
DETECTIONS_TYPE = "vision_msgs/msg/Detection3DArray"
INSTANCES_TYPE = "flashocc_ros/msg/PanopticInstanceArray"
BOX_TYPES = (DETECTIONS_TYPE, INSTANCES_TYPE)


class BoxReader:
    """Numbers for ids and classes for names, the same over a whole drive.

    Args:
        class_map: class ids by names that are not of the table; 255 leaves such boxes out.
        classes: the table.

    Attributes:
        recorded: names that the class ids of instances have; at first those of ``classes``.
        unknown: names of classes that are none of the table, with how often they came; such boxes are left out.
        damaged: boxes that were left out because a number in them is not finite or a size is not above zero.
    """

    def __init__(self, class_map: dict[str, int] | None = None, classes: ClassTable = OCC3D) -> None:
        self._map, self._classes = class_map or {}, classes
        self.recorded = classes.names
        self._numbers: dict[str, int] = {}
        self._known: dict[str, int | None] = {}
        self.unknown: dict[str, int] = {}
        self.damaged = 0

    def number(self, identity: str) -> int:
        """Of an id, from 1 on."""
        return self._numbers.setdefault(identity, len(self._numbers) + 1)

    def class_of(self, name: str) -> int | None:
        """Id in the class table of a name or a number; None for another."""
        if name not in self._known:
            left_out = self._map.get(name) == IGNORE
            self._known[name] = IGNORE if left_out else self._map.get(name, class_id(name, self._classes))
        found = self._known[name]
        if found is None:
            self.unknown[name] = self.unknown.get(name, 0) + 1
        return None if found == IGNORE else found

    def detections(self, message: Any, stamp_ns: int, fixed_from_frame: Float64) -> BoxFrame:
        """Of a Detection3DArray; of several hypotheses the best one counts, boxes without id are left out."""
        rows = []
        for found in message.detections:
            best = max(found.results, key=lambda result: result.hypothesis.score, default=None)
            label = None if best is None or not found.id else self.class_of(str(best.hypothesis.class_id))
            if label is None:
                continue
            p, q, size = found.bbox.center.position, found.bbox.center.orientation, found.bbox.size
            rows.append(
                (self.number(str(found.id)), label, (p.x, p.y, p.z), (q.x, q.y, q.z, q.w), (size.x, size.y, size.z))
            )
        return self._frame(rows, stamp_ns, fixed_from_frame)

    def instances(self, message: Any, stamp_ns: int, fixed_from_frame: Float64) -> BoxFrame:
        """Of a PanopticInstanceArray, whose boxes lie along the axes of the vehicle."""
        rows = []
        for found in message.instances:
            number = int(found.class_id)
            label = self.class_of(self.recorded[number] if number < len(self.recorded) else str(number))
            if label is None:
                continue
            p, size = found.center, found.extent
            rows.append(
                (self.number(str(found.id)), label, (p.x, p.y, p.z), (0.0, 0.0, 0.0, 1.0), (size.x, size.y, size.z))
            )
        return self._frame(rows, stamp_ns, fixed_from_frame)

    def _frame(self, rows: list[Any], stamp_ns: int, fixed_from_frame: Float64) -> BoxFrame:
        values = np.array([(*row[2], *row[3], *row[4]) for row in rows], np.float64).reshape(-1, 10)
        norm = np.linalg.norm(values[:, 3:7], axis=1)
        good = np.isfinite(values).all(1) & (values[:, 7:] > 0).all(1) & (np.abs(norm - 1) < 0.01)
        self.damaged += int((~good).sum())
        values = values[good]
        poses = np.tile(np.eye(4), (len(values), 1, 1))
        if len(values):
            poses[:, :3, :3] = Rotation.from_quat(values[:, 3:7]).as_matrix()
            poses[:, :3, 3] = values[:, :3]
        ids = np.array([row[0] for row in rows], np.int64)[good]
        classes = np.array([row[1] for row in rows], np.uint8)[good]
        return BoxFrame(stamp_ns, ids, classes, np.asarray(fixed_from_frame @ poses), values[:, 7:])


COLUMNS = ("stamp_ns", "id", "class", "x", "y", "z", "length", "width", "height", "yaw")


@dataclass(frozen=True, eq=False)
class Moment:
    """Boxes of one time in some frame; ``numbers`` (B, 7) are x, y, z, length, width, height, yaw."""

    stamp_ns: int
    frame: str
    ids: npt.NDArray[np.int64]
    classes: npt.NDArray[np.uint8]
    numbers: Float64

    def placed(self, fixed_from_frame: Float64) -> BoxFrame:
        """In the fixed frame, with the pose (4, 4) of their frame at their time."""
        poses = poses_of(self.numbers[:, :3], self.numbers[:, 6], fixed_from_frame)
        return BoxFrame(self.stamp_ns, self.ids, self.classes, poses, self.numbers[:, 3:6])


def read_csv(path: Path, reader: BoxReader, base_frame: str) -> list[Moment]:
    """Boxes of a CSV file in the order of time.

    Its columns are ``stamp_ns, id, class, x, y, z, length, width, height, yaw`` and, where the boxes are not of the
    vehicle's frame, ``frame``; metres and radians, x y z of the middle.

    Raises:
        ConfigError: the file cannot be read or lacks a column.
        InputError: a line holds something that is no box.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"--boxes {path} cannot be read ({error}); give a CSV file or a topic") from error
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise ConfigError(f"--boxes {path} has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
    moments: dict[tuple[int, str], list[tuple[int, int, list[float]]]] = {}
    for line, row in enumerate(rows, 2):
        try:
            stamp_ns = int(row["stamp_ns"])
            values = [float(row[name]) for name in COLUMNS[3:]]
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}, line {line}: {error}; it needs numbers for {', '.join(COLUMNS[3:])}") from error
        if not np.isfinite(values).all() or min(values[3:6]) <= 0:
            raise InputError(f"{path}, line {line}: a box needs finite numbers and sizes above 0 m, got {values}")
        label = reader.class_of(row["class"])
        if label is not None:
            key = (stamp_ns, row.get("frame") or base_frame)
            moments.setdefault(key, []).append((reader.number(row["id"]), label, values))
    return [
        Moment(
            stamp_ns,
            frame,
            np.array([number for number, _, _ in found], np.int64),
            np.array([label for _, label, _ in found], np.uint8),
            np.array([values for _, _, values in found]),
        )
        for (stamp_ns, frame), found in sorted(moments.items())
    ]
