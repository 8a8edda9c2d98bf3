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

"""Which topics of a recording are cameras."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flashocc_ros.bags.reader import BagReader
from flashocc_ros.cameras.images import is_depth
from flashocc_ros.cameras.video import VIDEO_TYPES
from flashocc_ros.errors import BagError, ConfigError, did_you_mean
from flashocc_ros.ranges import MAX_CAMERAS

_LOG = logging.getLogger(__name__)

IMAGE_TYPES = ("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image", *VIDEO_TYPES)
NUSCENES_ORDER = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")


UNNAMED = "camera"
"""Name of the camera of a driver without namespace, ``/image_raw`` beside ``/camera_info``."""


class CameraTopics(NamedTuple):
    """The two topics of one camera."""

    image: str
    info: str


def camera_topics(topics: Mapping[str, Any], prefix: str = "") -> dict[str, CameraTopics]:
    """Find cameras among recorded topics: an image topic and a ``camera_info`` beside it or above it.

    Args:
        topics: objects with ``type`` and ``count`` by topic name, as ``BagReader.topics``.
        prefix: namespace that is no part of the cameras' names, such as that of a robot.

    Returns:
        Topics by camera name, the namespace without slash and without a last part that begins with ``image``, `UNNAMED`
        where that leaves nothing; nuScenes cameras in their usual order, others sorted. Of several image topics of a
        camera those count first that hold messages, then ``image...`` right below the camera's namespace, as beside it
        there may be pictures drawn by others, then compressed ones. Depth images are no camera.
    """
    found: dict[str, CameraTopics] = {}
    candidates = []
    for name in _image_topics(topics):
        if (info := _info_topic(name, topics)) is not None:
            below = name.removeprefix(info.removesuffix("camera_info"))
            rank = (topics[name].count == 0, not below.startswith("image"), IMAGE_TYPES.index(topics[name].type), name)
            candidates.append((rank, CameraTopics(name, info)))
    for _, pair in sorted(candidates):
        found.setdefault(_camera_name(pair.info.rpartition("/")[0], prefix), pair)
    order = {name: rank for rank, name in enumerate(NUSCENES_ORDER)}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def _image_topics(topics: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, topic in topics.items()
        if topic.type in IMAGE_TYPES and name.rpartition("/")[2] != "compressedDepth"
    ]


def _info_topic(image: str, topics: Mapping[str, Any]) -> str | None:
    """The nearest ``camera_info`` beside or above an image topic."""
    namespace = image
    while "/" in namespace:
        namespace = namespace.rpartition("/")[0]
        if f"{namespace}/camera_info" in topics:
            return f"{namespace}/camera_info"
    return None


def _camera_name(namespace: str, prefix: str) -> str:
    name = namespace.strip("/").removeprefix(f"{prefix.strip('/')}/")
    above, _, last = name.rpartition("/")
    return (above if above and last.startswith("image") else name) or UNNAMED


def colour_cameras(bag: BagReader, prefix: str = "") -> dict[str, CameraTopics]:
    """The cameras of a recording without those whose first image says that it holds distances; may be empty."""
    known = camera_topics(bag.topics, prefix)
    depth = [name for name, pair in known.items() if _is_depth(bag, pair.image)]
    if depth:
        _LOG.warning("%s: %s: depth, no colour, so no camera", bag.path, ", ".join(depth))
    return {name: pair for name, pair in known.items() if name not in depth}


def find_cameras(bag: BagReader, wanted: Sequence[str] | None = None, prefix: str = "") -> dict[str, CameraTopics]:
    """The topics of the wanted cameras of a recording, or of all that it holds, in this order.

    Raises:
        BagError: there is none, one that is wanted is missing, there are too many, or a topic is empty.
        ConfigError: one is wanted twice.
    """
    known = camera_topics(bag.topics, prefix) if wanted is not None else colour_cameras(bag, prefix)
    alone = [name for name in _image_topics(bag.topics) if _info_topic(name, bag.topics) is None]
    if wanted is None and known and alone:
        _LOG.warning("%s: no camera_info beside or above %s, so no camera", bag.path, ", ".join(alone))
    names = tuple(known) if wanted is None else tuple(wanted)
    if len(set(names)) != len(names):
        raise ConfigError(f"cameras must be distinct names, got {', '.join(names)}")
    missing = [name for name in names if name not in known]
    if missing or not names:
        raise BagError(
            f"{bag.path} holds no camera {', '.join(missing) or 'at all'}; cameras there: {', '.join(known) or 'none'}"
            f"{did_you_mean(missing, known)}"
        )
    if len(names) > MAX_CAMERAS:
        raise BagError(
            f"{bag.path} holds {len(names)} cameras, a rig has at most {MAX_CAMERAS}; choose some of them by name "
            f"(--cameras of `flashocc predict`, cameras.names of the node): {', '.join(names)}"
        )
    topics = {name: known[name] for name in names}
    bag.require([topic for pair in topics.values() for topic in pair])
    return topics


def _is_depth(bag: BagReader, topic: str) -> bool:
    """Whether the first image says that it holds distances."""
    for kind, _, cdr in bag.messages([topic]) if bag.topics[topic].count else ():
        message = bag.deserialize(cdr, kind.type)
        return is_depth(str(getattr(message, "encoding", "") or getattr(message, "format", "")))
    return False
