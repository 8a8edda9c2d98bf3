"""Camera topics to complete sets with calibration and poses. Runs in the executor thread, only moves messages."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # its name until ROS 2 Iron
    from rclpy.qos_event import SubscriptionEventCallbacks

from flashocc_ros.cameras.sync import AnchorSynchronizer, ImageSet
from flashocc_ros.ros.approximate import ApproximateSynchronizer
from flashocc_ros.ros.diagnostics import CameraHealth
from flashocc_ros.ros.fallback import Buffer
from flashocc_ros.ros.inference import CameraSet
from flashocc_ros.ros.logs import SeldomLogger
from flashocc_ros.ros.parameters import NodeParameters
from flashocc_ros.ros.problems import Problems, guarded, nothing
from flashocc_ros.ros.stamps import ns_from_stamp
from flashocc_ros.ros.statistics import Statistics
from flashocc_ros.ros.transforms import PoseSource, TfListener, Unavailable
from flashocc_ros.ros.worker import NewestWorker
from flashocc_ros.variants import VARIANTS

POLL_S = 0.01
LEAST_POLLS = 5
"""Before its time is up a set is looked at so often: on a starved machine transforms may lie unread in the queue."""
CLOCK_AFTER_STAMPS_S = 1.0
"""A clock that jumps back so soon after the stamps did belongs to the same restart."""


@dataclass
class _Waiting:
    """A complete set that waits for its calibration and transforms; ``polls`` counts how often it was looked at."""

    images: ImageSet[Any]
    completed_s: float
    polls: int = 0


class CameraInputs:
    """Subscriptions, synchroniser and transforms of an active node; hands each complete set to the worker."""

    def __init__(
        self,
        node: Node,
        parameters: NodeParameters,
        statistics: Statistics,
        seldom: SeldomLogger,
        problems: Problems,
        worker: NewestWorker[CameraSet],
        steady: Clock,
    ) -> None:
        self._node = node
        self._parameters = parameters
        self._statistics = statistics
        self._seldom = seldom
        self.problems = problems
        self._worker = worker
        self._names = parameters.cameras.names
        self._sync = make_synchronizer(parameters)
        self._infos: dict[str, CameraInfo] = {}
        self._arrived_s: dict[str, float] = {}
        self._waiting: deque[_Waiting] = deque()
        self._reset_s = float("-inf")
        # Not of the node: tf2_ros would register a service and a jump callback on it that nothing takes back, and the
        # clock would call into a buffer that is gone. `reset` clears it instead.
        self._buffer = Buffer()
        self._poses: PoseSource | None = None
        with ExitStack() as undo:
            self._listener = TfListener(self._buffer, node, problems, on_data=self._on_transform)
            undo.callback(self._listener.unregister)
            self._timer = node.create_timer(POLL_S, self._poll, clock=steady)
            self._timer.cancel()
            undo.callback(node.destroy_timer, self._timer)
            for name in self._names:
                self._subscribe(name, undo)
            self._undo = undo.pop_all()

    def _subscribe(self, camera: str, undo: ExitStack) -> None:
        cameras = self._parameters.cameras
        reliable = cameras.reliability == "reliable"
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=cameras.depth,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        message_type = CompressedImage if cameras.transport == "compressed" else Image
        image_topic, info_topic = self._parameters.image_topic(camera), self._parameters.info_topic(camera)
        for kind, topic, callback in (
            (message_type, image_topic, self._on_image),
            (CameraInfo, info_topic, self._on_info),
        ):
            events = SubscriptionEventCallbacks(incompatible_qos=partial(self._on_incompatible, topic))
            subscription = self._node.create_subscription(
                kind, topic, partial(callback, camera), qos, event_callbacks=events
            )
            undo.callback(self._node.destroy_subscription, subscription)

    @guarded("an event of a subscription could not be read", nothing)
    def _on_incompatible(self, topic: str, event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        self._statistics.count("qos_incompatible")
        self._seldom.warning(
            f"qos {topic}",
            f"{topic}: a publisher offers a {policy} that this node does not accept, nothing comes from it; "
            "set cameras.reliability to best_effort or change the publisher",
        )

    # ---------------------------------------------------------------- images
    @guarded("a CameraInfo could not be taken", nothing, often=True)
    def _on_info(self, camera: str, message: CameraInfo) -> None:
        self._infos[camera] = message

    @guarded("an image could not be taken", nothing, often=True)
    def _on_image(self, camera: str, message: CompressedImage | Image) -> None:
        self._arrived_s[camera] = time.monotonic()
        stamp_ns = ns_from_stamp(message.header.stamp)
        if stamp_ns <= 0:
            self._seldom.warning(
                f"stamp {camera}", f"camera {camera}: an image has the stamp zero and is not used; fix its driver"
            )
        epoch = self._sync.epoch
        finished = self._sync.add(camera, stamp_ns, message, time.monotonic_ns())
        if self._sync.epoch != epoch:
            self._forget("stamps")
        self._take(finished)

    @guarded("waiting sets could not be looked at", nothing, often=True)
    def _on_transform(self) -> None:
        if self._waiting:
            self._take([])

    @guarded("waiting sets could not be looked at", nothing, often=True)
    def _poll(self) -> None:
        for waiting in self._waiting:
            waiting.polls += 1
        self._take(self._sync.poll(time.monotonic_ns()))

    def _take(self, finished: list[ImageSet[Any]]) -> None:
        for images in finished:
            self._statistics.count("sets_received")
            self._waiting.append(_Waiting(images, time.perf_counter()))
        while self._waiting and self._settle(self._waiting[0]):
            self._waiting.popleft()
        if self._waiting or self._sync.next_deadline_ns() is not None:
            if self._timer.is_canceled():
                self._timer.reset()
        else:
            self._timer.cancel()

    def _settle(self, waiting: _Waiting) -> bool:
        """Hand the set on or drop it; False while it has to wait."""
        images = waiting.images
        waited_s = time.perf_counter() - waiting.completed_s if waiting.polls >= LEAST_POLLS else 0.0
        unknown = [name for name in self._names if name not in self._infos]
        if unknown:
            if waited_s < self._parameters.tf.max_wait_s:
                return False
            topics = ", ".join(self._parameters.info_topic(name) for name in unknown)
            return self._drop("camera_info", f"no CameraInfo on {topics}")
        answer = self._pose_source().lookup(images.stamps_ns, images.key_stamp_ns, waited_s)
        if isinstance(answer, Unavailable):
            return answer.final and self._drop("transform", answer.reason)
        infos = tuple(self._infos[name] for name in self._names)
        self._worker.submit(CameraSet(images, infos, answer, self._sync.epoch, waiting.completed_s))
        return True

    def _drop(self, reason: str, sentence: str) -> bool:
        self._statistics.drop(reason)
        self._seldom.warning(f"drop {reason}", f"set dropped: {sentence}")
        return True

    def _pose_source(self) -> PoseSource:
        """Looks up the frames that the latest CameraInfos name."""
        frames = tuple(
            self._parameters.frame(name) or self._infos[name].header.frame_id or name for name in self._names
        )
        if self._poses is None or self._poses.camera_frames != frames:
            variant = VARIANTS[self._parameters.variant]
            self._poses = PoseSource(
                self._buffer,
                frames,
                self._parameters.base_frame,
                self._parameters.odom_frame,
                wait_s=self._parameters.tf.max_wait_s,
                allow_static=variant.num_frames == 1 and not variant.stereo,
                say=self._node.get_logger().warning,
            )
        return self._poses

    # ---------------------------------------------------------------- reset
    def reset(self, cause: str) -> None:
        """Forget images, offsets and, with the next set, the temporal memory; ``cause`` is service, clock or stamps.

        A clock that went back takes the transforms with it: they belong to a time that is yet to come.
        """
        if cause == "clock":
            self._listener.clear()
        if cause == "clock" and time.monotonic() - self._reset_s < CLOCK_AFTER_STAMPS_S:
            return
        self._sync.reset()
        self._forget(cause)

    def _forget(self, cause: str) -> None:
        self._reset_s = time.monotonic()
        self._statistics.count(f"resets_{cause}")
        for _ in self._waiting:
            self._statistics.drop("reset")
        self._waiting.clear()
        if self._worker.discard() is not None:
            self._statistics.drop("reset")
        why = {
            "service": "reset on request",
            "clock": "the clock went back",
            "stamps": "image stamps went back, as when a recording starts again",
        }[cause]
        self._node.get_logger().info(f"{why}: queues and temporal memory are empty")

    def destroy(self) -> None:
        """Unsubscribe."""
        self._undo.close()

    # ---------------------------------------------------------------- health
    def describe(self) -> str:
        """One line on the synchroniser."""
        return self._sync.describe()

    def counters(self, counters: Mapping[str, int]) -> dict[str, int]:
        """Counters with what the synchroniser knows added."""
        sets = self._sync.sets
        incomplete = sets.incomplete + sets.skipped
        return dict(counters) | {
            "sets_dropped_incomplete": incomplete,
            "sets_dropped": counters.get("sets_dropped", 0) + incomplete,
            "sets_masked": sets.masked,
            "images_rejected": sum(camera.rejected for camera in self._sync.counters.values()),
        }

    def health(self, counters: Mapping[str, int]) -> list[CameraHealth]:
        """What came from each camera."""
        now_s = time.monotonic()
        return [
            CameraHealth(
                name=name,
                age_s=now_s - self._arrived_s[name] if name in self._arrived_s else None,
                received=camera.received,
                used=camera.used,
                late=camera.late,
                dropped=camera.dropped,
                rejected=camera.rejected,
                corrupt=counters.get(f"corrupt_{name}", 0),
                has_info=name in self._infos,
            )
            for name, camera in self._sync.counters.items()
        ]


def make_synchronizer(parameters: NodeParameters) -> AnchorSynchronizer[Any] | ApproximateSynchronizer[Any]:
    """The synchroniser that ``sync.policy`` asks for."""
    sync, names = parameters.sync, parameters.cameras.names
    if sync.policy == "approximate_time":
        return ApproximateSynchronizer(
            names,
            parameters.anchor,
            slop_s=sync.slop_s,
            queue_size=sync.queue_size,
            max_backward_s=sync.max_backward_s,
        )
    return AnchorSynchronizer(
        names,
        parameters.anchor,
        timeout_s=sync.timeout_s,
        missing="mask" if sync.missing == "mask" else "drop",
        offsets_s=dict(zip(names, sync.offsets_s, strict=True)) if sync.offsets_s else None,
        queue_size=sync.queue_size,
        max_backward_s=sync.max_backward_s,
    )
