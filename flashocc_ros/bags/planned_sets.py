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

"""The camera sets of a recording decided once, so that several processes read some of them each.

Which images make a set, its poses and calibrations depend on all that was recorded before: learned delays of the
shutters, odometry, messages that were sent once. So one pass over the recording, in which nothing is decoded, decides
all sets as `read_sets` does; afterwards each of them needs nothing but its own images.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from flashocc_ros.bags.camera_sets import Frames, conclude, deserialized, outcomes, road_of
from flashocc_ros.bags.cameras import find_cameras
from flashocc_ros.bags.headers import header_stamp_ns
from flashocc_ros.bags.reader import BagReader, Topic
from flashocc_ros.bags.types import CAMERA_INFO_TYPE
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.decode import SetDecoder, SetDropped, is_rectified_topic
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.cameras.road import PosedSet, Refusal
from flashocc_ros.cameras.video import VIDEO_TYPES
from flashocc_ros.errors import BagError, ConfigError
from flashocc_ros.remote import Location, location

_LOG = logging.getLogger(__name__)


class CannotCut(ConfigError):
    """A recording that is read from its start only."""


class ImagePlace(NamedTuple):
    """Where an image is in a recording."""

    topic: str
    recorded_ns: int
    stamp_ns: int


@dataclass(frozen=True, eq=False)
class PlannedSets:
    """Sets of a recording in their order, without their images. Goes to other processes.

    Attributes:
        path: of the recording.
        names: of the cameras; ``topics`` of their images.
        sets: with an `ImagePlace` instead of each image and a number in ``infos`` instead of each calibration.
        infos: ``CameraInfo`` messages, serialised, without headers of their own.
    """

    path: Location
    names: tuple[str, ...]
    topics: tuple[str, ...]
    sets: tuple[PosedSet, ...]
    infos: tuple[bytes, ...]

    def some(self, first: int, stop: int) -> PlannedSets:
        """Those from ``first`` to before ``stop``."""
        return replace(self, sets=self.sets[first:stop])


def plan_sets(
    path: str | Location,
    cameras: Sequence[str] | None = None,
    frames: Frames = Frames(),  # noqa: B008 - frozen
    needs_odometry: bool = False,
) -> PlannedSets:
    """All sets that `read_sets` gives, but for those whose images turn out to be damaged; arguments as there.

    Raises:
        BagError: the recording is unreadable, lacks a camera or its calibration, or gives no set.
        ConfigError: a camera is named twice.
        CannotCut: a camera is a video, whose pictures are of use only one after the other.
    """
    with BagReader(path) as bag:
        topics = find_cameras(bag, cameras, frames.tf_prefix)
        if videos := [name for name, pair in topics.items() if bag.topics[pair.image].type in VIDEO_TYPES]:
            raise CannotCut(
                f"{bag.path}: {', '.join(videos)} is a video, whose pictures need those before them, so the recording "
                "cannot be cut; leave --chunk-s out for it"
            )
        road = road_of(bag, tuple(topics), frames, needs_odometry)
        calibrations = _Calibrations(bag)
        sets = []
        refused: Counter[str] = Counter()
        last = ""
        for outcome in outcomes(bag, road, topics, frames, _place):
            if isinstance(outcome, Refusal):
                refused[outcome.reason] += 1
                last = outcome.sentence
                continue
            infos = tuple(calibrations.number(*named) for named in zip(outcome.names, outcome.infos, strict=True))
            sets.append(replace(outcome, infos=infos))
        conclude(bag.path, road.sync, len(sets), refused, last)
        images = tuple(pair.image for pair in topics.values())
        return PlannedSets(bag.path, tuple(topics), images, tuple(sets), tuple(calibrations.contents))


class _Calibrations:
    """Numbers of different calibrations, whose messages differ by their stamps at least."""

    def __init__(self, bag: BagReader) -> None:
        self._bag = bag
        self._last: dict[str, tuple[Any, int]] = {}
        self._header: Any = None
        self.contents: dict[bytes, int] = {}

    def number(self, camera: str, info: Any) -> int:
        known, number = self._last.get(camera, (None, -1))
        if known is not info:
            self._header = self._header or info.header
            content = self._bag.types.serialize_cdr(replace(info, header=self._header), CAMERA_INFO_TYPE)
            number = self.contents.setdefault(bytes(content), len(self.contents))
            self._last[camera] = info, number
        return number


def _place(topic: Topic, recorded_ns: int, stamp_ns: int, cdr: bytes) -> ImagePlace:
    return ImagePlace(topic.name, recorded_ns, stamp_ns)


def read_planned(
    planned: PlannedSets, bit_depth: int = 0, fisheye: Fisheye = "rectify"
) -> Iterator[CameraSet | SetDropped]:
    """The sets with their images, decoded, in their order; what cannot be decoded is left out, with the reason instead.

    Raises:
        BagError: the recording cannot be read, or is not the one that was planned.
    """
    if not planned.sets:
        return
    wanted = {place for posed in planned.sets for place in posed.images}
    first_ns, last_ns = (choose(place.recorded_ns for place in wanted) for choose in (min, max))
    decoder = SetDecoder(
        planned.names, [is_rectified_topic(topic) for topic in planned.topics], bit_depth, fisheye=fisheye
    )
    waiting = list(reversed(planned.sets))
    with BagReader(location(planned.path)) as bag:
        infos = [bag.deserialize(content, CAMERA_INFO_TYPE) for content in planned.infos]
        bag.require(planned.topics)
        held: dict[ImagePlace, tuple[str, bytes]] = {}
        for topic, recorded_ns, cdr in bag.messages(planned.topics, first_ns):
            if recorded_ns > last_ns:
                break
            place = ImagePlace(topic.name, recorded_ns, _stamp_ns(cdr))
            if place in wanted:
                held.setdefault(place, (topic.type, bytes(cdr)))  # of two alike the road took the first
            while waiting and all(place in held for place in waiting[-1].images):
                posed = waiting.pop()
                images = tuple(held.pop(place) for place in posed.images)
                complete = replace(posed, images=images, infos=tuple(infos[number] for number in posed.infos))
                try:
                    yield decoder(deserialized(bag, complete))
                except SetDropped as error:
                    _LOG.warning("%s: the set at %d ns is left out: %s", planned.path, posed.stamp_ns, error)
                    yield error
    if waiting:
        raise BagError(
            f"{planned.path} has changed since it was looked at: {len(waiting)} sets lack images; start again"
        )


def _stamp_ns(cdr: bytes) -> int:
    try:
        return header_stamp_ns(cdr)
    except BagError:
        return -1  # a message that is cut off is nobody's image
