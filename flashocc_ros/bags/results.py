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

"""The frames of a result recording: occupancy messages with the pictures and the truth of the same moment."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from flashocc_ros import weights
from flashocc_ros.bags.camera_sets import Frames, cameras_at, read_sets
from flashocc_ros.bags.cameras import camera_topics
from flashocc_ros.bags.headers import header_frame, header_stamp_ns
from flashocc_ros.bags.reader import BagReader
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.errors import BagError, ConfigError
from flashocc_ros.instance import known_velocity
from flashocc_ros.labels import IGNORE, OCC3D, ClassTable, SemanticClass
from flashocc_ros.remote import Location
from flashocc_ros.structures import CameraRig, Instance, VoxelGrid

logger = logging.getLogger(__name__)

OCCUPANCY_TYPE = "flashocc_ros/msg/Occupancy3D"
TRUTH_TYPE = "flashocc_ros/msg/OccupancyTruth"
DRAWN_TRUTH_TOPIC = "/ground_truth/occupancy"
"""Of the drives of the synthetic world, and of the results on them."""
CLASS_TABLE_TYPE = "flashocc_ros/msg/ClassTable"
OBJECTS_TYPE = "flashocc_ros/msg/PanopticInstanceArray"
DIAGNOSTICS_TYPE = "diagnostic_msgs/msg/DiagnosticArray"

Volume = npt.NDArray[Any]
Tables = Mapping[tuple[str, int], ClassTable]
"""Class tables by name and version."""
Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Truth:
    """Ground truth of one moment.

    All volumes are (X, Y, Z): uint8 classes, uint16 ids or None, uint8 masks that are 1 where seen. The lidar's
    position is in metres, base frame.
    """

    semantics: Volume
    instances: Volume | None
    mask_camera: Volume
    mask_lidar: Volume
    lidar_origin_m: tuple[float, float, float]
    grid: VoxelGrid
    classes: ClassTable


@dataclass(frozen=True, eq=False)
class ResultFrame:
    """One prediction of a result recording.

    Attributes:
        stamp_ns: key stamp.
        semantics: (X, Y, Z) uint8 classes; ``instances`` the same shape, uint16, or None.
        cameras: the pictures it was made from, if recorded.
        truth: if recorded on the same grid with the same classes.
        objects: best score first, if recorded.
        classes: what the ids mean.
    """

    stamp_ns: int
    semantics: Volume
    instances: Volume | None
    grid: VoxelGrid
    cameras: CameraSet | None
    truth: Truth | None
    objects: tuple[Instance, ...] = ()
    classes: ClassTable = OCC3D


def read_results(path: str | Location, pictures: bool = True, *, keep_jpeg: bool = False) -> Iterator[ResultFrame]:
    """Every occupancy message of a recording in time order, with what else is known of its moment.

    Args:
        pictures: read the camera images too.
        keep_jpeg: leave JPEG files as they are where there is no distortion; others are decoded.

    Raises:
        BagError: the recording is unreadable or holds no occupancy, or not what its class ids mean.
    """
    with BagReader(path) as bag:
        tables = class_tables(bag)
        topics = [t.name for t in bag.topics.values() if t.type == OCCUPANCY_TYPE and t.count]
        truths = [t.name for t in bag.topics.values() if t.type == TRUTH_TYPE and t.count]
        objects = [t.name for t in bag.topics.values() if t.type == OBJECTS_TYPE and t.count]
        if not topics:
            raise BagError(
                f"{path} holds no {OCCUPANCY_TYPE}; record the node's occupancy topic, or run `flashocc demo`"
            )
        has_cameras = pictures and bool(camera_topics(bag.topics))
        recorded = _sets(path, bag, topics[0], keep_jpeg) if has_cameras else iter(())
        sets = Follower(recorded, lambda s: s.stamp_ns)
        truth = Follower(_truths(bag, truths, tables), lambda pair: pair[0])
        found = Follower(_objects(bag, objects), lambda pair: pair[0])
        told = False
        for topic, _, cdr in bag.messages(topics[:1]):
            stamp_ns = header_stamp_ns(cdr)
            semantics, instances, grid, classes = to_volumes(bag.deserialize(cdr, topic.type), tables)
            true, things = truth.at(stamp_ns), found.at(stamp_ns)
            if true is not None and (true[1].grid != grid or not true[1].classes.same_ids(classes)):
                if not told:
                    logger.warning("%s: its ground truth has another grid or other classes, so it is left out", path)
                true, told = None, True
            yield ResultFrame(
                stamp_ns,
                semantics,
                instances,
                grid,
                sets.at(stamp_ns),
                None if true is None else true[1],
                () if things is None else things[1],
                classes,
            )


def _sets(path: str | Location, bag: BagReader, topic: str, keep_jpeg: bool) -> Iterator[CameraSet]:
    """The camera sets of results: in the frame of the vehicle, by the camera that gave stamps."""
    for _, _, cdr in bag.messages([topic]):
        frames = Frames.of(header_frame(cdr), "")
        order = cameras_at(path, {header_stamp_ns(cdr)}, frames=frames)
        return read_sets(path, order, frames=frames, keep_jpeg=keep_jpeg)
    return read_sets(path, keep_jpeg=keep_jpeg)


def read_truths(path: str | Location, pictures: bool = True) -> Iterator[tuple[int, Truth, CameraSet | None]]:
    """Stamp, ground truth and pictures, as JPEG files where there is no distortion, of a recording.

    Raises:
        BagError: the recording is unreadable or holds no truth.
    """
    with BagReader(path) as bag:
        tables = class_tables(bag)
        topics = [t.name for t in bag.topics.values() if t.type == TRUTH_TYPE and t.count]
        if not topics:
            raise BagError(f"{path} holds no {OCCUPANCY_TYPE} and no {TRUTH_TYPE}; run `flashocc demo --bag {path}`")
        has_cameras = pictures and bool(camera_topics(bag.topics))
        recorded = _sets(path, bag, topics[0], True) if has_cameras else iter(())
        sets = Follower(recorded, lambda s: s.stamp_ns)
        for topic, _, cdr in bag.messages(topics[:1]):
            stamp_ns = header_stamp_ns(cdr)
            yield stamp_ns, to_truth(bag.deserialize(cdr, topic.type), tables), sets.at(stamp_ns)


def count_results(path: str | Location, message_type: str = OCCUPANCY_TYPE) -> int:
    """Number of occupancy messages, or of those of another type, in a recording."""
    with BagReader(path) as bag:
        return next((t.count for t in bag.topics.values() if t.type == message_type and t.count), 0)


def is_drawn(path: str | Location) -> bool:
    """Whether the pictures of a recording are of the synthetic world."""
    with BagReader(path) as bag:
        topic = bag.topics.get(DRAWN_TRUTH_TOPIC)
        return topic is not None and topic.type == TRUTH_TYPE


def weights_note(path: str | Location, facts: Mapping[str, str]) -> str:
    """The warning that belongs to the results in a recording, see `weights.note`; ``facts`` are its `network_facts`.

    Results that stand apart from their pictures say with ``drawn`` whether those are of the synthetic world.
    """
    return weights.note_of(facts, facts.get("drawn") == "true" or is_drawn(path))


def network_facts(path: str | Location) -> dict[str, str]:
    """What the node last told of itself in the recorded diagnostics, by key: ``variant``, ``runs_on``, ``trained`` and
    others (`ros.diagnostics`); empty when there are none."""
    facts: dict[str, str] = {}
    with BagReader(path) as bag:
        topics = [t.name for t in bag.topics.values() if t.type == DIAGNOSTICS_TYPE and t.count]
        for topic, _, cdr in bag.messages(topics) if topics else ():
            for status in bag.deserialize(cdr, topic.type).status:
                values = {value.key: value.value for value in status.values}
                facts = values if values.get("variant") else facts
    return facts


def rig_at_key(cameras: CameraSet) -> CameraRig:
    """The rig with each camera where it was at its own shutter, in the base frame at the key stamp."""
    key_from_odom = np.linalg.inv(cameras.odom_from_base[0])
    moved = key_from_odom @ cameras.odom_from_base @ cameras.rig.base_from_camera
    return replace(cameras.rig, base_from_camera=moved)


def class_tables(bag: BagReader) -> dict[tuple[str, int], ClassTable]:
    """The class tables that a recording holds, and that of Occ3D, which need not be recorded.

    Raises:
        BagError: one cannot be what a table is.
    """
    topics = [t.name for t in bag.topics.values() if t.type == CLASS_TABLE_TYPE and t.count]
    tables = {(OCC3D.name, OCC3D.version): OCC3D}
    for topic, _, cdr in bag.messages(topics) if topics else ():
        if to_name(cdr) != OCC3D.name:  # earlier releases said less of it
            table = to_table(bag.deserialize(cdr, topic.type))
            tables[table.name, table.version] = table
    return tables


def recorded_classes(path: str | Location) -> ClassTable:
    """What the class ids of the first result, or else the first truth, of a recording mean.

    Raises:
        BagError: see ``read_results``.
    """
    with BagReader(path) as bag:
        tables = class_tables(bag)
        if len(tables) == 1:
            return OCC3D
        for kind in (OCCUPANCY_TYPE, TRUTH_TYPE):
            topics = [t.name for t in bag.topics.values() if t.type == kind and t.count]
            for topic, _, cdr in bag.messages(topics[:1]) if topics else ():
                message = bag.deserialize(cdr, topic.type)
                return to_volumes(message if kind == OCCUPANCY_TYPE else message.occupancy, tables)[3]
    return OCC3D


def to_name(cdr: bytes) -> str:
    """Name of a serialised ClassTable: the text at the beginning."""
    length = int.from_bytes(cdr[4:8], "little" if cdr[1] & 1 else "big")
    return bytes(cdr[8 : 8 + length]).rstrip(b"\0").decode(errors="replace")


def to_table(message: Any) -> ClassTable:
    """A ClassTable message.

    Raises:
        BagError: it cannot be what a table is.
    """
    if (message.name, message.version) == (OCC3D.name, OCC3D.version):
        return OCC3D
    count = len(message.names)
    if list(message.ids) != list(range(count)) or len(message.colors_rgb) != 3 * count:
        raise BagError(
            f"the class table {message.name:.80} needs ids from 0 on and three colours each; record it again"
        )
    colors = np.asarray(message.colors_rgb, np.uint8).reshape(-1, 3).tolist()
    things, flat = set(map(int, message.things)), set(map(int, message.flat))
    try:
        rows = tuple(
            SemanticClass(name, (red, green, blue), i in things, i in flat)
            for i, (name, (red, green, blue)) in enumerate(zip(message.names, colors, strict=True))
        )
        return ClassTable(str(message.name), int(message.version), rows, int(message.free))
    except ConfigError as error:
        raise BagError(f"the class table {message.name:.80}: {error}") from error


def to_volumes(message: Any, tables: Tables) -> tuple[Volume, Volume | None, VoxelGrid, ClassTable]:
    """Classes, instance ids (or None), grid and class table of an Occupancy3D message.

    Args:
        tables: those known, see ``class_tables``.

    Raises:
        BagError: its arrays do not have the announced size, its table is not known, or it holds a class that does not
            exist.
    """
    named = (str(message.class_table) or OCC3D.name, int(message.class_table_version) or OCC3D.version)
    if (classes := tables.get(named)) is None:
        raise BagError(
            f"an Occupancy3D message has the class table {named[0]:.80}, version {named[1]}, which is nowhere told; "
            "record the node's topic class_table, too"
        )
    shape = (message.size_x, message.size_y, message.size_z)
    origin = (message.origin.x, message.origin.y, message.origin.z)
    grid = VoxelGrid(round(float(message.resolution), 6), origin, shape)
    semantics = _volume(message.labels, np.uint8, shape, "labels")
    unknown = semantics[(semantics >= len(classes)) & (semantics != IGNORE)]
    if unknown.size:
        raise BagError(
            f"an Occupancy3D message holds class {unknown.max()}, the highest is {len(classes) - 1}; map its "
            "classes to ours"
        )
    instances = _volume(message.instances, np.uint16, shape, "instances") if len(message.instances) else None
    return semantics, instances, grid, classes


def to_truth(message: Any, tables: Tables) -> Truth:
    """An OccupancyTruth message.

    Raises:
        BagError: see ``to_volumes``.
    """
    semantics, instances, grid, classes = to_volumes(message.occupancy, tables)
    seen = [_volume(getattr(message, name), np.uint8, grid.size, name) for name in ("mask_camera", "mask_lidar")]
    lidar = message.lidar_origin
    return Truth(semantics, instances, seen[0], seen[1], (lidar.x, lidar.y, lidar.z), grid, classes)


def _volume(values: Any, dtype: type, shape: tuple[int, int, int], name: str) -> Volume:
    if len(values) != math.prod(shape):
        raise BagError(
            f"an Occupancy3D message announces {' x '.join(map(str, shape))} voxels but holds {len(values)} {name}; "
            "record it again"
        )
    return np.asarray(values, dtype).reshape(shape)


def _truths(bag: BagReader, topics: list[str], tables: Tables) -> Iterator[tuple[int, Truth]]:
    for topic, _, cdr in bag.messages(topics) if topics else ():
        yield header_stamp_ns(cdr), to_truth(bag.deserialize(cdr, topic.type), tables)


def _objects(bag: BagReader, topics: list[str]) -> Iterator[tuple[int, tuple[Instance, ...]]]:
    for topic, _, cdr in bag.messages(topics[:1]) if topics else ():
        yield header_stamp_ns(cdr), to_objects(bag.deserialize(cdr, topic.type))


def to_objects(message: Any) -> tuple[Instance, ...]:
    """The objects of a PanopticInstanceArray message; those of earlier releases tell no velocity."""
    return tuple(
        Instance(
            int(entry.id),
            int(entry.class_id),
            float(entry.score),
            (entry.center.x, entry.center.y, entry.center.z),
            (entry.extent.x, entry.extent.y, entry.extent.z),
            int(entry.voxel_count),
            *_velocity(entry),
        )
        for entry in message.instances
    )


def _velocity(entry: Any) -> tuple[tuple[float, float, float], float] | tuple[None, None]:
    if not hasattr(entry, "velocity"):
        return None, None
    return known_velocity(entry.velocity.x, entry.velocity.y, entry.velocity.z, float(entry.velocity_std))


class Follower(Generic[Item]):
    """Walks along a stream in time order and gives the item of a moment, holding one item at a time."""

    def __init__(self, items: Iterator[Item], stamp_ns: Callable[[Item], int]) -> None:
        self._items, self._stamp_ns = items, stamp_ns
        self._current: Item | None = next(items, None)

    def at(self, stamp_ns: int) -> Item | None:
        """The item of this stamp, None where there is none; stamps must not go back."""
        while self._current is not None and self._stamp_ns(self._current) < stamp_ns:
            self._current = next(self._items, None)
        if self._current is not None and self._stamp_ns(self._current) == stamp_ns:
            return self._current
        return None
