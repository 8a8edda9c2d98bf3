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

"""Results as a recording, written without ROS; the node's own messages, so that every tool of ours reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.bags.ids import message_ids
from flashocc_ros.bags.results import CLASS_TABLE_TYPE, DIAGNOSTICS_TYPE, OBJECTS_TYPE, OCCUPANCY_TYPE
from flashocc_ros.bags.types import LATCHED
from flashocc_ros.bags.writer import BagWriter
from flashocc_ros.labels import ClassTable
from flashocc_ros.structures import Instance, Occupancy, VoxelGrid

OCCUPANCY, INSTANCES, CLASS_TABLE, DIAGNOSTICS = "/occupancy", "/instances", "/class_table", "/diagnostics"


def class_table_message(bag: BagWriter, classes: ClassTable) -> Any:
    """A ClassTable message for a recording."""
    return bag.message(
        CLASS_TABLE_TYPE,
        name=classes.name,
        version=classes.version,
        ids=np.arange(len(classes), dtype=np.uint8),
        names=list(classes.names),
        colors_rgb=np.array(classes.colors_rgb, np.uint8).ravel(),
        free=classes.free,
        things=np.array(classes.things, np.uint8),
        flat=np.array(classes.flat, np.uint8),
    )


def occupancy_message(
    bag: BagWriter,
    header: Any,
    grid: VoxelGrid,
    classes: ClassTable,
    semantics: npt.NDArray[np.uint8],
    ids: npt.NDArray[Any] | None,
    masked_cameras: Sequence[str] = (),
) -> Any:
    """An Occupancy3D message for a recording; ``ids`` as messages have them, see `ids.message_ids`."""
    return bag.message(
        OCCUPANCY_TYPE,
        header=header,
        resolution=grid.resolution_m,
        origin=_triple(bag, "Point", grid.origin_m),
        size_x=grid.size[0],
        size_y=grid.size[1],
        size_z=grid.size[2],
        labels=np.ascontiguousarray(semantics, np.uint8).ravel(),
        instances=np.array([], np.uint16) if ids is None else ids.astype(np.uint16, copy=False).ravel(),
        class_table=classes.name,
        class_table_version=classes.version,
        masked_cameras=list(masked_cameras),
    )


def _triple(bag: BagWriter, kind: str, values: Sequence[float]) -> Any:
    return bag.message(f"geometry_msgs/msg/{kind}", **dict(zip("xyz", map(float, values), strict=True)))


class ResultWriter:
    """A new recording of results. Use as a context manager; leaving it with an error leaves no index.

    Holds nothing but what follows from the results: no time of day, no time taken. The same results give the same
    bytes.

    Args:
        path: folder to create.
        facts: what is known of the network, see `results.network_facts`.
        frame: of the vehicle, in which the results are.

    Raises:
        BagError: the folder exists.
    """

    def __init__(self, path: Path, facts: Mapping[str, str], frame: str) -> None:
        self._bag = BagWriter(path, compress=True)
        self._facts, self._frame = facts, frame
        self._begun = False

    def write(self, result: Occupancy) -> None:
        """Append a result, at its key stamp."""
        stamp_ns = result.stamp_ns
        header = self._bag.header(stamp_ns, self._frame)
        if not self._begun:
            self._begin(stamp_ns, result.instances is not None, header, result.classes)
        ids = None if result.instances is None else message_ids(result.instances, result.classes)
        message = occupancy_message(
            self._bag, header, result.grid, result.classes, result.semantics, ids, result.masked_cameras
        )
        self._bag.write(OCCUPANCY, stamp_ns, message)
        if result.instances is not None:
            objects = [self._object(instance, result.classes) for instance in result.centers]
            self._bag.write(INSTANCES, stamp_ns, self._bag.message(OBJECTS_TYPE, header=header, instances=objects))

    def _begin(self, stamp_ns: int, has_instances: bool, header: Any, classes: ClassTable) -> None:
        bag, self._begun = self._bag, True
        bag.add_topic(OCCUPANCY, OCCUPANCY_TYPE)
        if has_instances:
            bag.add_topic(INSTANCES, OBJECTS_TYPE)
        bag.add_topic(CLASS_TABLE, CLASS_TABLE_TYPE, LATCHED)
        bag.add_topic(DIAGNOSTICS, DIAGNOSTICS_TYPE)
        bag.write(CLASS_TABLE, stamp_ns, class_table_message(bag, classes))
        values = [
            bag.message("diagnostic_msgs/msg/KeyValue", key=key, value=value) for key, value in self._facts.items()
        ]
        status = bag.message(
            "diagnostic_msgs/msg/DiagnosticStatus",
            level=0,
            name="flashocc_ros: pipeline",
            message="",
            hardware_id="",
            values=values,
        )
        bag.write(DIAGNOSTICS, stamp_ns, bag.message(DIAGNOSTICS_TYPE, header=header, status=[status]))

    def _object(self, instance: Instance, classes: ClassTable) -> Any:
        *velocity, deviation = instance.velocity_numbers
        return self._bag.message(
            "flashocc_ros/msg/PanopticInstance",
            id=message_ids(int(instance.id), classes),
            class_id=int(instance.class_id),
            score=float(instance.score),
            center=_triple(self._bag, "Point", instance.center_m),
            extent=_triple(self._bag, "Vector3", instance.extent_m),
            voxel_count=int(instance.voxel_count),
            velocity=_triple(self._bag, "Vector3", velocity),
            velocity_std=deviation,
        )

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bag.__exit__(kind, error, trace)
