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

"""The latest camera sets on the wire, for whoever shows results with the pictures they were made from."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo

from flashocc_ros.bags.cameras import CameraTopics, camera_topics
from flashocc_ros.bags.headers import header_frame, header_stamp_ns
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.decode import SetDecoder, is_rectified_topic
from flashocc_ros.cameras.road import CameraRoad, PosedSet
from flashocc_ros.cameras.sync import AnchorSynchronizer
from flashocc_ros.cameras.transforms import TransformIntake
from flashocc_ros.cameras.transports import MESSAGE_TYPES
from flashocc_ros.cameras.video import VIDEO_TYPES, VideoPicture, VideoStream
from flashocc_ros.ros.problems import Problems, guarded, nothing
from flashocc_ros.ros.transforms import TfListener, make_buffer
from flashocc_ros.ros.transports import message_class

MAX_SETS, MAX_BYTES = 64, 256 << 20
"""What is kept for results that are still being computed."""
DEPTH, VIDEO_DEPTH = 5, 50
"""Of queues: a packet of a video that is lost costs all pictures up to the next key picture."""
TRANSPORTS = {kind: transport for transport, kind in MESSAGE_TYPES.items()}


@dataclass(frozen=True)
class _Published:
    """A topic of the graph, as `camera_topics` asks for it."""

    type: str
    count: int


def cameras_of(node: Node) -> dict[str, CameraTopics]:
    """The cameras that somebody publishes now."""
    topics = {
        name: _Published(types[0], node.count_publishers(name))
        for name, types in node.get_topic_names_and_types()
        if types
    }
    found = camera_topics(topics)
    return {name: pair for name, pair in found.items() if topics[pair.image].count}


class LiveCameras:
    """Groups images as the node does and keeps the latest sets, images undecoded.

    Feed it by spinning ``node`` and call ``poll`` often.

    Args:
        node: subscribes.
        topics: of each camera, pictures or video.
        base_frame, fixed_frame: of the results, and of the vehicle's motion.
    """

    def __init__(
        self,
        node: Node,
        problems: Problems,
        topics: Mapping[str, CameraTopics],
        base_frame: str,
        fixed_frame: str = "odom",
    ) -> None:
        self.problems = problems
        self.topics = dict(topics)
        self._sets: OrderedDict[int, tuple[PosedSet, int]] = OrderedDict()
        self._bytes = 0
        names = tuple(topics)
        self._classes: dict[str, type] = {}
        self._videos: dict[str, VideoStream] = {}
        intake = TransformIntake(make_buffer(), say=lambda sentence: None)
        # what is implausible about them is for the node to say
        self._road = CameraRoad(
            AnchorSynchronizer(names, say=lambda sentence: None),
            intake,
            base_frame=base_frame,
            fixed_frame=fixed_frame,
            say=lambda sentence: None,
        )
        rectified = [is_rectified_topic(pair.image) for pair in topics.values()]
        self._decoder = SetDecoder(names, rectified, keep_jpeg=True, say=lambda sentence: None)
        known = dict(node.get_topic_names_and_types())
        with ExitStack() as undo:
            listener = TfListener(intake, node, problems, self._on_transform)
            undo.callback(listener.unregister)
            for name, pair in topics.items():
                kind = next((t for t in known.get(pair.image, []) if t in TRANSPORTS), MESSAGE_TYPES["compressed"])
                self._classes[name] = message_class(TRANSPORTS[kind])
                if kind in VIDEO_TYPES:
                    self._videos[name] = VideoStream()
                image_depth = VIDEO_DEPTH if name in self._videos else DEPTH
                for message_type, topic, depth, callback in (
                    (self._classes[name], pair.image, image_depth, self._on_image),
                    (CameraInfo, pair.info, DEPTH, self._on_info),
                ):
                    qos = QoSProfile(
                        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT
                    )
                    subscription = node.create_subscription(message_type, topic, partial(callback, name), qos, raw=True)
                    undo.callback(node.destroy_subscription, subscription)
            self._undo = undo.pop_all()

    @guarded("an image could not be taken", nothing, often=True)
    def _on_image(self, camera: str, cdr: bytes) -> None:
        image: bytes | VideoPicture | None = cdr
        stamp_ns, frame = header_stamp_ns(cdr), header_frame(cdr)  # of video packets too: they begin alike
        if camera in self._videos:
            image = self._videos[camera].add(deserialize_message(cdr, self._classes[camera]), stamp_ns)
        if image is not None:  # else headers, which belong to the next picture
            self._keep(self._road.add_image(camera, stamp_ns, image, time.monotonic_ns(), frame))

    @guarded("a CameraInfo could not be taken", nothing, often=True)
    def _on_info(self, camera: str, cdr: bytes) -> None:
        self._road.add_info(camera, deserialize_message(cdr, CameraInfo))

    @guarded("waiting sets could not be looked at", nothing, often=True)
    def _on_transform(self) -> None:
        self._keep(self._road.transforms_changed(time.monotonic_ns()))

    @guarded("waiting sets could not be looked at", nothing, often=True)
    def poll(self) -> None:
        """Let time pass."""
        if self._road.busy:
            self._keep(self._road.poll(time.monotonic_ns()))

    def _keep(self, outcomes: list[Any]) -> None:
        for posed in outcomes:
            if not isinstance(posed, PosedSet):
                continue
            size = sum(len(getattr(image, "data", image)) for image in posed.images if image is not None)
            self._sets[posed.stamp_ns] = (posed, size)
            self._bytes += size
            while len(self._sets) > 1 and (len(self._sets) > MAX_SETS or self._bytes > MAX_BYTES):
                _, (_, oldest) = self._sets.popitem(last=False)
                self._bytes -= oldest

    def at(self, stamp_ns: int) -> PosedSet | None:
        """The set with an image of this stamp: the node's anchor may be another camera."""
        if stamp_ns in self._sets:
            return self._sets[stamp_ns][0]
        return next((posed for posed, _ in self._sets.values() if stamp_ns in posed.stamps_ns), None)

    def decoded(self, posed: PosedSet) -> CameraSet:
        """Its pictures; call it from one thread.

        Raises:
            SetDropped: one cannot be decoded or does not fit to its calibration.
        """
        images = tuple(
            image if image is None or name in self._videos else deserialize_message(image, self._classes[name])
            for name, image in zip(posed.names, posed.images, strict=True)
        )
        return self._decoder(replace(posed, images=images))

    def destroy(self) -> None:
        """Unsubscribe."""
        self._undo.close()
