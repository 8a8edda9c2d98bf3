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

"""Sweeps, boxes and key frames of a recording in the order of time, each placed in the fixed frame."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.bags.camera_sets import odom_frame
from flashocc_ros.bags.cameras import colour_cameras
from flashocc_ros.bags.headers import header_stamp_ns
from flashocc_ros.bags.reader import BagReader
from flashocc_ros.bags.results import recorded_classes
from flashocc_ros.cameras.transforms import TransformIntake, TransformTree
from flashocc_ros.engine.store.cache import file_sha256
from flashocc_ros.errors import BagError, ConfigError, InputError, did_you_mean
from flashocc_ros.labelling.clouds import UNKNOWN_CLASS, read_cloud
from flashocc_ros.labelling.detections import BOX_TYPES, INSTANCES_TYPE, BoxReader, Moment, read_csv
from flashocc_ros.labelling.key_frames import KeyFrames
from flashocc_ros.labelling.placer import WAITING, Placer, Scan
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.sources import Sources
from flashocc_ros.labelling.stream import Event, Key
from flashocc_ros.labelling.sweeps import Sweep
from flashocc_ros.labels import ClassTable
from flashocc_ros.remote import Location

_LOG = logging.getLogger(__name__)

CLOUD_TYPE = "sensor_msgs/msg/PointCloud2"
CLOCKS_APART_S = 0.3


class Recording:
    """A recording to label.

    Args:
        path: rosbag2 folder or file.
        say: called once per finding a user should know.

    Raises:
        BagError: it lacks points, poses or a named topic.
        ConfigError: several lidars and none is named.

    Attributes:
        remarks: what was said.
        sweeps: how many could be used; left_out: causes of the others, with how often.
    """

    def __init__(
        self, path: Location, sources: Sources, settings: Settings, say: Callable[[str], object] | None = None
    ) -> None:
        self.path, self.sources, self.settings = path, sources, settings
        self.remarks: list[str] = []
        self._say = say or _LOG.warning
        self.box_reader = BoxReader(sources.class_map, settings.classes)
        self.sweeps = 0
        self.left_out: Counter[str] = Counter()
        with BagReader(path) as bag:
            self.seconds = (bag.end_ns - bag.start_ns) / 1e9
            self.start_ns = bag.start_ns
            self.lidars = self._find_lidars(bag)
            self.box_topic = self._find_boxes(bag)
            fixed = sources.frames.odom if sources.frames.odom is not None else odom_frame(bag, sources.frames)
            if self.box_topic and bag.topics[self.box_topic].type == INSTANCES_TYPE:
                self.box_reader.recorded = recorded_classes(path).names
            self.has_cameras = sources.cameras != () and bool(colour_cameras(bag, sources.frames.tf_prefix))
        if not fixed:
            raise BagError(
                f"{path} has no transform that {sources.frames.base} moves in, by which the points of a drive are laid "
                f"together; record {sources.frames.topics[0]} with odometry"
            )
        self.fixed = fixed
        self.by_class, self.has_boxes = bool(sources.class_field), bool(sources.boxes)
        if not self.has_cameras:
            self.say("no camera: key frames are times of the lidar, and mask_camera is empty")

    def described(self) -> dict[str, Any]:
        """What decides the labels beside the settings, for a manifest."""
        sources = self.sources
        files = [self.path] if self.path.is_file() else sorted(file for file in self.path.iterdir() if file.is_file())
        return {
            "recording": {file.name: file.stat().st_size for file in files},
            "lidars": list(self.lidars),
            "boxes": sources.boxes,
            "boxes_sha256": file_sha256(Path(sources.boxes)) if self.has_boxes and not self.box_topic else "",
            "point_class": sources.class_field,
            "class_map": sources.class_map,
            "cameras": None if sources.cameras is None else list(sources.cameras),
            "base_frame": sources.frames.base,
            "fixed_frame": self.fixed,
            **({"fisheye": sources.fisheye} if sources.fisheye != "rectify" else {}),
        }

    def say(self, sentence: str) -> None:
        """Tell the user once."""
        if sentence not in self.remarks and len(self.remarks) < 50:
            self.remarks.append(sentence)
            self._say(f"{self.path}: {sentence}")

    def _find_lidars(self, bag: BagReader) -> tuple[str, ...]:
        known = sorted(t.name for t in bag.topics.values() if t.type == CLOUD_TYPE and t.count)
        if not known:
            raise BagError(f"{self.path} holds no {CLOUD_TYPE}; labels need points of a lidar: record its topic")
        if not self.sources.lidars:
            if len(known) > 1:
                raise ConfigError(f"{self.path} holds several clouds: {', '.join(known)}; name lidars with --lidar")
            return tuple(known)
        missing = [name for name in self.sources.lidars if name not in known]
        if missing:
            near = did_you_mean(missing, known)
            raise BagError(f"{self.path} holds no cloud {', '.join(missing)}; clouds there: {', '.join(known)}{near}")
        return self.sources.lidars

    def _find_boxes(self, bag: BagReader) -> str:
        wanted = self.sources.boxes
        if not wanted or Path(wanted).is_file():
            return ""
        if not wanted.startswith("/") or wanted.endswith(".csv"):
            raise ConfigError(f"--boxes {wanted} is no topic, which begins with a slash, and no file that exists")
        known = {t.name: t.type for t in bag.topics.values() if t.type in BOX_TYPES and t.count}
        if wanted not in known:
            raise BagError(
                f"{self.path} holds no boxes {wanted}; topics of {' or '.join(BOX_TYPES)}: {', '.join(known) or 'none'}"
                f"{did_you_mean(wanted, known)}"
            )
        return wanted

    def events(self) -> Iterator[Event]:
        """Everything in the order of time.

        Raises:
            BagError: nothing can be placed, or a message is damaged.
            InputError: a cloud lacks a field.
        """
        with BagReader(self.path) as bag:
            keys = KeyFrames(self.path, self.sources, self.settings.key_rate_hz, self.say) if self.has_cameras else None
            yield from self._events(bag, keys)
        if not self.sweeps:
            causes = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items()) or "no message"
            raise BagError(f"{self.path}: no sweep of {', '.join(self.lidars)} can be used: {causes}")
        for reason, count in self.left_out.items():
            self.say(f"{count} of {count + self.sweeps} sweeps and boxes are left out: {reason}")
        self._conclude_boxes()

    def _conclude_boxes(self) -> None:
        reader = self.box_reader
        if reader.unknown:
            names = ", ".join(f"{name} ({count})" for name, count in list(reader.unknown.items())[:8])
            self.say(f"boxes of classes outside the table are left out: {names}")
        if reader.damaged:
            self.say(f"{reader.damaged} boxes are left out: not finite, a size that is not above 0, or no rotation")

    def _events(self, bag: BagReader, keys: KeyFrames | None) -> Iterator[Event]:
        frames = self.sources.frames
        moving, static = frames.topics
        tree = TransformTree(cache_s=4 * WAITING / 10)
        intake = TransformIntake(tree, self.say)
        placer = Placer(self, tree, intake)
        topics = [t for t in (moving, static, *self.lidars, self.box_topic) if t in bag.topics and bag.topics[t].count]
        moments: deque[Moment] = deque()
        if self.has_boxes and not self.box_topic:
            moments.extend(read_csv(Path(self.sources.boxes), self.box_reader, frames.base))
        last_key_ns = -(1 << 62)
        for topic, recorded_ns, cdr in bag.messages(topics):
            if topic.name in (moving, static):
                intake.take(bag.deserialize(cdr, topic.type), static=topic.name == static)
            else:
                stamp_ns = header_stamp_ns(cdr)
                if topic.name != self.box_topic:
                    placer.lag(recorded_ns - stamp_ns)
                message = bag.deserialize(cdr, topic.type)
                placer.wait(stamp_ns, message if topic.name == self.box_topic else self._scan(message, stamp_ns))
            while moments and moments[0].stamp_ns <= recorded_ns:
                placer.wait(moments[0].stamp_ns, moments.popleft())
            if keys is not None:
                yield from keys.until(recorded_ns)
            for event in placer.ready():
                if keys is None and isinstance(event, Sweep):
                    due_ns = last_key_ns + round(0.9e9 / self.settings.key_rate_hz)
                    if event.start_ns >= due_ns:
                        last_key_ns = event.start_ns
                        yield Key(event.start_ns, tree.lookup(self.fixed, frames.base, event.start_ns))
                yield event
        yield from placer.rest()
        if keys is not None:
            yield from keys.until(1 << 62)
            self._compare_clocks(placer, keys)

    def _scan(self, message: Any, stamp_ns: int) -> Scan:
        try:
            cloud = read_cloud(message, stamp_ns, self.sources.class_field)
        except InputError as error:
            raise BagError(f"{self.path}: {error}") from error
        if cloud.remark:
            self.say(cloud.remark)
        if cloud.classes is not None:
            cloud = replace(
                cloud, classes=_classes(self.path, cloud.classes, self.sources.class_map, self.settings.classes)
            )
        return Scan(message.header.frame_id, cloud)

    def _compare_clocks(self, placer: Placer, keys: KeyFrames) -> None:
        if not placer.lags or not keys.lags:
            return
        apart_s = (min(placer.lags) - min(keys.lags)) / 1e9  # the quickest: what waits on the way is no clock
        if abs(apart_s) > CLOCKS_APART_S:
            self.say(
                f"stamps of lidar and cameras are of clocks {abs(apart_s):.2f} s apart (recorded less stamped), "
                f"limit {CLOCKS_APART_S} s; synchronise them, else labels do not lie on the pictures"
            )


def _classes(
    path: Location, classes: npt.NDArray[np.uint8], class_map: dict[str, int], table: ClassTable
) -> npt.NDArray[np.uint8]:
    """Of the class table."""
    ids = np.arange(256)
    for own, number in class_map.items():
        if own.isdecimal() and int(own) < 256:
            ids[int(own)] = number
    found = ids[classes].astype(np.uint8)
    wrong = classes[(found >= len(table)) & (found != UNKNOWN_CLASS)]
    if wrong.size:
        raise InputError(
            f"{path}: a point has class {int(wrong[0])}, needs 0 to {len(table) - 1} of the class table or "
            f"{UNKNOWN_CLASS} for none; map your own classes with --class-map"
        )
    return found
