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

"""Camera sets of a recording, for prediction, evaluation and calibration without ROS.

The messages go down the node's own road (`cameras/road.py`) in the order of recording.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, overload

from flashocc_ros.bags.cameras import CameraTopics, find_cameras
from flashocc_ros.bags.headers import header_frame, header_stamp_ns
from flashocc_ros.bags.reader import BagReader, Topic
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.decode import SetDecoder, SetDropped, is_rectified_topic
from flashocc_ros.cameras.playback import due, why_no_set
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.cameras.road import CameraRoad, PosedSet, Refusal
from flashocc_ros.cameras.sync import AnchorSynchronizer
from flashocc_ros.cameras.transforms import TransformIntake, TransformTree
from flashocc_ros.cameras.video import VIDEO_TYPES, VideoStream
from flashocc_ros.errors import BagError
from flashocc_ros.remote import Location

_LOG = logging.getLogger(__name__)

BASE_FRAME = "base_link"
ODOM_FRAME = "odom"  # of REP 105, and the node's default


@dataclass(frozen=True)
class Frames:
    """How a recording names its frames.

    Attributes:
        base: frame of the vehicle and of the results.
        odom: fixed frame of the ego motion; None takes the one that ``base`` moves in, or ``odom`` where that moves in
            ``base``; empty is none.
        tf_prefix: namespace of the transform topics, as in ``/robot1/tf``; it is no part of the cameras' names.
    """

    base: str = BASE_FRAME
    odom: str | None = None
    tf_prefix: str = ""

    @classmethod
    def of(cls, base: str, tf_prefix: str) -> Frames:
        """From the command line, where empty means the usual."""
        return cls(base or BASE_FRAME, None, tf_prefix)

    @property
    def topics(self) -> tuple[str, str]:
        """Of the moving and of the static transforms."""
        prefix = self.tf_prefix.strip("/")
        return (f"/{prefix}/tf", f"/{prefix}/tf_static") if prefix else ("/tf", "/tf_static")


@overload
def read_sets(
    path: str | Location,
    cameras: Sequence[str] | None = ...,
    *,
    decode: Literal[True] = ...,
    frames: Frames = ...,
    needs_odometry: bool = ...,
    bit_depth: int = ...,
    keep_jpeg: bool = ...,
    fisheye: Fisheye = ...,
) -> Iterator[CameraSet]: ...


@overload
def read_sets(
    path: str | Location,
    cameras: Sequence[str] | None = ...,
    *,
    decode: Literal[False],
    frames: Frames = ...,
    needs_odometry: bool = ...,
    bit_depth: int = ...,
) -> Iterator[PosedSet]: ...


def read_sets(
    path: str | Location,
    cameras: Sequence[str] | None = None,
    *,
    decode: bool = True,
    frames: Frames = Frames(),
    needs_odometry: bool = False,
    bit_depth: int = 0,
    keep_jpeg: bool = False,
    fisheye: Fisheye = "rectify",
) -> Iterator[CameraSet] | Iterator[PosedSet]:
    """The camera sets that the node with its default parameters makes of a recording, in its order.

    Sets that the node would drop are left out; the first of each fault of a camera is logged, and at the end how many
    there were and why.

    Args:
        path: rosbag2 folder or file, or the URL of one.
        cameras: camera names in the wanted order; None means all that `find_cameras` finds. The first is the anchor
            that gives the key stamp.
        decode: False leaves images as recorded messages (cheap; not rectified) in a `PosedSet`.
        frames: how the recording names its frames.
        needs_odometry: refuse a recording without ego motion, for networks that look at more than one frame.
        bit_depth: bits that the sensors use of 16 bit images, 8 to 16; 0 means all of them.
        keep_jpeg: leave JPEG files as they are where there is nothing to rectify.
        fisheye: what becomes of wide lenses, see `cameras.rectify`.

    Raises:
        BagError: the recording is unreadable, lacks a camera or its calibration, or gives no set.
        ConfigError: a camera is named twice.
    """
    with BagReader(path) as bag:
        topics = find_cameras(bag, cameras, frames.tf_prefix)
        names = tuple(topics)
        road = road_of(bag, names, frames, needs_odometry)
        rectified = [is_rectified_topic(pair.image) for pair in topics.values()]
        decoder = SetDecoder(names, rectified, bit_depth, keep_jpeg=keep_jpeg, fisheye=fisheye) if decode else None
        refused: Counter[str] = Counter()
        said: set[tuple[str, str | None]] = set()
        usable, last = 0, ""
        for outcome in outcomes(bag, road, topics, frames):
            if isinstance(outcome, Refusal):
                refused[outcome.reason] += 1
                last = outcome.sentence
                continue
            try:
                posed = deserialized(bag, outcome)
                result = posed if decoder is None else decoder(posed)
            except SetDropped as error:
                refused[error.reason] += 1
                last = str(error)
                if (error.reason, error.camera) not in said:  # a fault of all images would be said as often
                    said.add((error.reason, error.camera))
                    _LOG.warning("%s: the set at %d ns is left out: %s", path, outcome.stamp_ns, error)
                continue
            usable += 1
            yield result
        conclude(path, road.sync, usable, refused, last)


def cameras_at(
    recording: str | Location,
    stamps_ns: Container[int],
    cameras: Sequence[str] | None = None,
    frames: Frames = Frames(),
) -> list[str] | None:
    """The cameras in an order whose first has its pictures at ``stamps_ns``, as the key stamp of a set is its first's.

    Args:
        cameras: in the wanted order, which is kept but for the first; None for all.
    """
    for posed in read_sets(recording, cameras, decode=False, frames=frames):
        there = [name for name, stamp in zip(posed.names, posed.stamps_ns, strict=True) if int(stamp) in stamps_ns]
        if there:
            return [there[0], *(name for name in posed.names if name != there[0])]
    return None if cameras is None else list(cameras)


def conclude(path: str | Location, sync: Any, usable: int, refused: Counter[str], last: str) -> None:
    """Say what was left out.

    Raises:
        BagError: all was.
    """
    complete = usable + refused.total()
    if not complete:
        raise BagError(f"{path} holds no complete set of {len(sync.cameras)} cameras: {why_no_set(sync)}")
    if not usable:
        raise BagError(f"{path}: none of its {complete} complete sets can be used; the last one: {last}")
    triggers = sync.counters[sync.anchor].received
    if triggers > usable:
        causes = [f"{triggers - complete} gave no complete set"] * (triggers > complete)
        causes += [f"{count} because of {reason}" for reason, count in refused.items()]
        tail = f"; the last one: {last}" if last else ""
        _LOG.warning(
            "%s: %d of %d triggers are left out: %s%s", path, triggers - usable, triggers, ", ".join(causes), tail
        )


def road_of(bag: BagReader, names: Sequence[str], frames: Frames, needs_odometry: bool = False) -> CameraRoad:
    """The road of these cameras of a recording, with the node's default parameters.

    Raises:
        BagError: ``needs_odometry``, and there is none.
    """
    if not _recorded(bag, *frames.topics) and (others := transform_namespaces(bag)):
        _LOG.warning(
            "%s: no transforms on %s, but below %s; name it with --tf-prefix",
            bag.path,
            " or ".join(frames.topics),
            ", ".join(others),
        )
    odom = odom_frame(bag, frames) if frames.odom is None else frames.odom
    if needs_odometry and not odom:
        raise BagError(
            f"{bag.path} has no transform that {frames.base} moves in, which a network with a memory needs; record "
            f"{frames.topics[0]} with odometry, or use a network of a single frame"
        )

    def say(sentence: str) -> None:
        _LOG.warning("%s: %s", bag.path, sentence)

    return CameraRoad(
        AnchorSynchronizer(names, say=say),
        TransformIntake(TransformTree(), say),
        base_frame=frames.base,
        fixed_frame=odom,
        allow_static=not needs_odometry,
        say=say,
    )


def serialised(topic: Topic, recorded_ns: int, stamp_ns: int, cdr: bytes) -> Any:
    """An image as a pair of type and bytes."""
    return topic.type, bytes(cdr)


def outcomes(
    bag: BagReader,
    road: CameraRoad,
    topics: dict[str, CameraTopics],
    frames: Frames,
    hold: Callable[[Topic, int, int, bytes], Any] = serialised,
) -> Iterator[PosedSet | Refusal]:
    """A recording down the road.

    Args:
        hold: what of an image travels, of its topic, time of recording, stamp and content; pictures of a video travel
            themselves.
    """
    moving, static = frames.topics
    image_cameras = {pair.image: name for name, pair in topics.items()}
    videos = {name: VideoStream() for name, pair in topics.items() if bag.topics[pair.image].type in VIDEO_TYPES}
    info_cameras: dict[str, list[str]] = {}
    for name, pair in topics.items():
        info_cameras.setdefault(pair.info, []).append(name)
    wanted = [*image_cameras, *info_cameras, *_recorded(bag, moving, static)]
    damaged: set[str] = set()
    for topic, recorded_ns, cdr in bag.messages(wanted):
        yield from due(road, recorded_ns)
        try:
            if topic.name in image_cameras:
                camera = image_cameras[topic.name]
                stamp_ns, frame = header_stamp_ns(cdr), header_frame(cdr)
                image: Any = hold(topic, recorded_ns, stamp_ns, cdr)
                if camera in videos:
                    image = videos[camera].add(bag.deserialize(cdr, topic.type), stamp_ns)
                if image is not None:
                    yield from road.add_image(camera, stamp_ns, image, recorded_ns, frame)
            elif topic.name in info_cameras:
                info = bag.deserialize(cdr, topic.type)
                for camera in info_cameras[topic.name]:
                    road.add_info(camera, info)
            else:
                road.intake.take(bag.deserialize(cdr, topic.type), static=topic.name == static)
                yield from road.transforms_changed(recorded_ns)
        except BagError as error:
            if topic.name not in damaged:  # a fault of all messages would be said as often
                damaged.add(topic.name)
                _LOG.warning("a message on %s is left out: %s", topic.name, error)
    yield from due(road, None)


def deserialized(bag: BagReader, posed: PosedSet) -> PosedSet:
    """The set with its images as messages; pictures of a video are pictures already.

    Raises:
        SetDropped: one of them cannot be read.
    """
    images = []
    for name, held in zip(posed.names, posed.images, strict=True):
        try:
            images.append(bag.deserialize(held[1], held[0]) if isinstance(held, tuple) else held)
        except BagError as error:
            raise SetDropped("image", f"camera {name}: {error}", name) from error
    return replace(posed, images=tuple(images))


def odom_frame(bag: BagReader, frames: Frames = Frames()) -> str:
    """The fixed frame that the vehicle moves in, as the recorded transforms say; empty when it does not move.

    Some robots publish their odometry below the vehicle; the frame is the same. Reads no further than to where it is
    seen to move.
    """
    moving, static = frames.topics
    intake = TransformIntake(TransformTree(), lambda sentence: None)
    topics = _recorded(bag, moving, static)
    for topic, _, cdr in bag.messages(topics) if topics else ():
        with suppress(BagError):  # said when the sets are read
            intake.take(bag.deserialize(cdr, topic.type), static=topic.name == static)
        if found := intake.moving_parent(frames.base):
            return found
    return ODOM_FRAME if intake.moves_below(ODOM_FRAME, frames.base) else ""


def transform_namespaces(bag: BagReader) -> tuple[str, ...]:
    """Namespaces of transform topics in a recording, without slash, such as ``robot1``; not that of ``/tf``."""
    names = {t.name.rpartition("/")[0].strip("/") for t in bag.topics.values() if t.type == "tf2_msgs/msg/TFMessage"}
    return tuple(sorted(names - {""}))


def _recorded(bag: BagReader, *topics: str) -> list[str]:
    """Those of ``topics`` that hold messages."""
    return [topic for topic in topics if topic in bag.topics and bag.topics[topic].count]
