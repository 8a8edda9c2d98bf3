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

"""A small rig that publishes over DDS, and the node under test in the same process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from ros_domain import claim_domain

# Parallel test workers, other runs and other ROS users of this machine must not hear each other; set before any
# context exists, and held until this process ends.
_CLAIM = claim_domain()
os.environ["ROS_DOMAIN_ID"] = str(_CLAIM.number)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

DEADLINE_S = 120.0
ASK_AGAIN_S = 10.0
PERIOD_NS = 100_000_000
START_NS = 1_700_000_000_000_000_000
SIZE = (176, 352)
"""Height and width of the images: the input of the smallest network."""


class Feeder:
    """Publishes images, calibration and tf of a rig; keeps every message it hears on the topics it listens to."""

    def __init__(self, names: list[str], image_type: str = "compressed", size: tuple[int, int] = SIZE) -> None:
        import rclpy
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from sensor_msgs.msg import CameraInfo
        from tf2_msgs.msg import TFMessage

        from flashocc_ros.ros.parameters import DEFAULT_IMAGE_TOPIC
        from flashocc_ros.ros.transports import message_class

        self.names, self.size = names, size
        self.stamp_ns = START_NS
        self.heard: dict[str, list[Any]] = {}
        self.clients: dict[str, Any] = {}
        self.context = Context()
        self.context.init()
        self.node = rclpy.create_node("feeder", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.image_class = message_class(image_type)
        suffix = DEFAULT_IMAGE_TOPIC[image_type].removeprefix("{name}/")
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.images = {n: self.node.create_publisher(self.image_class, f"{n}/{suffix}", 10) for n in names}
        self.infos = {n: self.node.create_publisher(CameraInfo, f"{n}/camera_info", 10) for n in names}
        self.tf = self.node.create_publisher(TFMessage, "/tf", 100)
        self.tf_static = self.node.create_publisher(TFMessage, "/tf_static", latched)
        self.tf_static.publish(TFMessage(transforms=[self._extrinsics(i, n) for i, n in enumerate(names)]))
        self.jpeg = _jpeg(size)

    # ---------------------------------------------------------------- sending
    def send(
        self,
        stamp_ns: int | None = None,
        *,
        images: dict[str, Any] | None = None,
        infos: dict[str, Any] | None = None,
        tf: bool = True,
    ) -> int:
        """One set; entries of ``images`` and ``infos`` replace a camera's message, None leaves it out."""
        self.stamp_ns = self.stamp_ns + PERIOD_NS if stamp_ns is None else stamp_ns
        if tf:
            self.send_tf(self.stamp_ns)
        for name in self.names:
            info = (infos or {}).get(name, self.info(name, self.stamp_ns))
            if info is not None:
                self.infos[name].publish(info)
        for name in self.names:
            image = (images or {}).get(name, self.image(name, self.stamp_ns))
            if image is not None:
                self.images[name].publish(image)
        return self.stamp_ns

    def image(self, name: str, stamp_ns: int, data: bytes | None = None) -> Any:
        """JPEG of one camera."""
        from flashocc_ros.ros.stamps import make_header

        return self.image_class(
            header=make_header(f"{name}_optical", stamp_ns), format="jpeg", data=self.jpeg if data is None else data
        )

    def info(self, name: str, stamp_ns: int, focal: float = 250.0) -> Any:
        """Calibration of one camera."""
        from sensor_msgs.msg import CameraInfo

        from flashocc_ros.ros.stamps import make_header

        height, width = self.size
        k = [focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0]
        return CameraInfo(header=make_header(f"{name}_optical", stamp_ns), height=height, width=width, k=k)

    def send_tf(self, stamp_ns: int) -> None:
        """Vehicle pose at a stamp: 10 m/s straight ahead."""
        from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
        from tf2_msgs.msg import TFMessage

        from flashocc_ros.ros.stamps import make_header

        x = (stamp_ns - START_NS) / 1e9 * 10.0
        transform = Transform(translation=Vector3(x=x), rotation=Quaternion(w=1.0))
        stamped = TransformStamped(
            header=make_header("odom", stamp_ns), child_frame_id="base_link", transform=transform
        )
        self.tf.publish(TFMessage(transforms=[stamped]))

    def _extrinsics(self, index: int, name: str) -> Any:
        """Cameras at 1.5 m height, turned by equal angles."""
        from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
        from scipy.spatial.transform import Rotation

        from flashocc_ros.ros.stamps import make_header

        yaw = Rotation.from_euler("z", 2 * np.pi * index / len(self.names))
        base_from_optical = yaw * Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
        x, y, z, w = base_from_optical.as_quat()
        transform = Transform(translation=Vector3(z=1.5), rotation=Quaternion(x=x, y=y, z=z, w=w))
        return TransformStamped(
            header=make_header("base_link", START_NS), child_frame_id=f"{name}_optical", transform=transform
        )

    # ---------------------------------------------------------------- listening
    def listen(self, topic: str, message_type: type, qos: Any = 10) -> list[Any]:
        """Subscribe; the list grows as messages come."""
        heard = self.heard.setdefault(topic, [])
        self.node.create_subscription(message_type, topic, heard.append, qos)
        return heard

    def until(self, condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
        """Spin until the condition holds and return its value; fails the test after the deadline."""
        end = time.monotonic() + deadline_s
        while not (value := condition()):
            if time.monotonic() > end:
                pytest.fail(f"waited {deadline_s:.0f} s for {what}")
            self.executor.spin_once(timeout_sec=0.1)
        return value

    def spin_for(self, condition: Callable[[], Any], limit_s: float) -> None:
        """Spin until the condition holds or the time is up."""
        end = time.monotonic() + limit_s
        while not condition() and time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.1)

    def connect(self, node: NodeUnderTest) -> None:
        """Wait until both sides have matched every topic: a message sent earlier may be lost."""
        publishers = [*self.images.values(), *self.infos.values(), self.tf, self.tf_static]
        self.until(lambda: all(p.get_subscription_count() for p in publishers), "the node to find the rig")
        self.until(lambda: node.matched(len(publishers), set(self.heard)), "the rig to find the node")

    def client(self, service_type: type, name: str) -> Any:
        """The one client of a service; made before it is needed, the service knows it by then."""
        if name not in self.clients:
            self.clients[name] = self.node.create_client(service_type, name)
        return self.clients[name]

    def call(self, service_type: type, name: str, request: Any, repeat: bool = True) -> Any:
        """Call a service and wait for the answer.

        A service that does not know its client yet answers into the void, and a match may get lost altogether. So the
        question is asked again unless ``repeat`` is False, by a client that is announced afresh while none is found.
        """
        give_up = time.monotonic() + DEADLINE_S
        answers: list[Any] = []
        while not any(answer.done() for answer in answers):
            if time.monotonic() > give_up:
                pytest.fail(f"waited {DEADLINE_S:.0f} s for an answer of {name}")
            client = self.client(service_type, name)
            self.spin_for(client.service_is_ready, ASK_AGAIN_S)
            if not client.service_is_ready() and not answers:
                self.node.destroy_client(self.clients.pop(name))
                continue
            if repeat or not answers:
                answers.append(client.call_async(request))
            self.spin_for(lambda: any(answer.done() for answer in answers), ASK_AGAIN_S)
        return next(answer.result() for answer in answers if answer.done())

    def close(self) -> None:
        """Leave the graph."""
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.shutdown()


class NodeUnderTest:
    """``flashocc_node`` spun by a thread of its own."""

    def __init__(self, **parameters: Any) -> None:
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.parameter import Parameter

        from flashocc_ros.ros.node import FlashOccNode

        self.context = Context()
        self.context.init()
        overrides = [Parameter(name.replace("__", "."), value=value) for name, value in parameters.items()]
        self.node = FlashOccNode(context=self.context, parameter_overrides=overrides)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.node.autostart()

        def spin() -> None:
            try:
                self.executor.spin()
            except Exception:
                if self.context.ok():
                    raise

        self.thread = threading.Thread(target=spin, name="node under test", daemon=True)
        self.thread.start()

    def matched(self, inputs: int, heard: set[str]) -> bool:
        """The node's subscriptions have a publisher each, its publishers of the topics heard a subscriber each."""
        subscriptions = [s for s in self.node.subscriptions if s.topic_name != "/clock"]
        listened = [p for p in self.node.publishers if p.topic_name.lstrip("/") in {t.lstrip("/") for t in heard}]
        return (
            len(subscriptions) == inputs
            and all(s.get_publisher_count() for s in subscriptions)
            and len(listened) == len(heard)
            and all(p.get_subscription_count() for p in listened)
        )

    @property
    def state(self) -> str:
        return str(self.node.state_label)

    def close(self) -> None:
        """Stop spinning and destroy the node; once is enough."""
        if not self.context.ok():
            return
        self.context.shutdown()
        self.thread.join()
        assert self.node.close(DEADLINE_S)


def _jpeg(size: tuple[int, int]) -> bytes:
    """Something to see, with the detail of a street scene: 200 kB at 1600x900."""
    import simplejpeg

    height, width = size
    y, x = np.mgrid[:height, :width]
    picture = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2)
    grain = np.random.default_rng(0).integers(-12, 12, picture.shape)
    picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=75))


@pytest.fixture
def make_feeder() -> Iterator[Callable[..., Feeder]]:
    """Make feeders that are closed after the test."""
    made: list[Feeder] = []

    def make(names: list[str] | None = None, **options: Any) -> Feeder:
        made.append(Feeder(names or ["front", "back"], **options))
        return made[-1]

    yield make
    for feeder in made:
        feeder.close()


@pytest.fixture
def start_node() -> Iterator[Callable[..., NodeUnderTest]]:
    """Start nodes with small, fast defaults; they are stopped after the test."""
    made: list[NodeUnderTest] = []

    def start(**parameters: Any) -> NodeUnderTest:
        defaults = {
            "variant": "synthetic-tiny",
            "engine": "torch",
            "cameras.names": ["front", "back"],
            "sync.timeout_s": 0.1,
        }
        given = {name.replace("__", "."): value for name, value in parameters.items()}
        made.append(NodeUnderTest(**(defaults | given)))
        return made[-1]

    yield start
    for node in made:
        node.close()
