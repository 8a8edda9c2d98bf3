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

"""Camera topics to complete sets with calibration and poses. Runs in the executor thread, only moves messages."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind
from sensor_msgs.msg import CameraInfo

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # its name until ROS 2 Iron
    from rclpy.qos_event import SubscriptionEventCallbacks

from flashocc_ros.cameras.road import CameraRoad, PosedSet, Refusal
from flashocc_ros.cameras.sync import AnchorSynchronizer
from flashocc_ros.cameras.transforms import TransformIntake
from flashocc_ros.cameras.transports import MESSAGE_TYPES
from flashocc_ros.cameras.video import VIDEO_TYPES, VideoStream
from flashocc_ros.ros.approximate import ApproximateSynchronizer
from flashocc_ros.ros.diagnostics import CameraHealth
from flashocc_ros.ros.faults import CameraFaults
from flashocc_ros.ros.latched import LatchedTopics
from flashocc_ros.ros.logs import SeldomLogger
from flashocc_ros.ros.parameters import NodeParameters
from flashocc_ros.ros.problems import Problems, guarded, nothing
from flashocc_ros.ros.statistics import Statistics
from flashocc_ros.ros.transforms import TfListener, make_buffer
from flashocc_ros.ros.transports import message_class, stamp_and_frame
from flashocc_ros.ros.worker import NewestWorker
from flashocc_ros.variants import get_variant

POLL_S = 0.01
LEAST_POLLS = 5
"""Before its time is up a set is looked at so often: on a starved machine transforms may lie unread in the queue."""
CLOCK_AFTER_STAMPS_S = 1.0
"""A clock that jumps back so soon after the stamps did belongs to the same restart."""


class CameraInputs:
    """Subscriptions, synchroniser and transforms of an active node; hands each complete set to the worker."""

    def __init__(
        self,
        node: Node,
        parameters: NodeParameters,
        statistics: Statistics,
        seldom: SeldomLogger,
        problems: Problems,
        faults: CameraFaults,
        worker: NewestWorker[PosedSet],
        steady: Clock,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._node = node
        self._parameters = parameters
        self._statistics = statistics
        self._seldom = seldom
        self.problems = problems
        self._faults = faults
        self._worker = worker
        self._now_ns = now_ns
        self._names = parameters.cameras.names
        video = MESSAGE_TYPES[parameters.cameras.transport] in VIDEO_TYPES
        self._videos = {name: VideoStream() for name in self._names} if video else {}
        self._arrived_s: dict[str, float] = {}
        self._reset_s = float("-inf")
        self._counted = self._incomplete = 0
        self._intake = TransformIntake(make_buffer(), seldom.finding, parameters.memory.max_speed_mps)
        self._road = CameraRoad(
            make_synchronizer(parameters, seldom.finding),
            self._intake,
            base_frame=parameters.base_frame,
            fixed_frame=parameters.odom_frame,
            frames={name: parameters.frame(name) for name in self._names},
            max_wait_s=parameters.tf.max_wait_s,
            allow_static=not get_variant(parameters.variant).temporal,
            least_polls=LEAST_POLLS,
            say=seldom.finding,
        )
        with ExitStack() as undo:
            self._listener = TfListener(self._intake, node, problems, self._on_transform)
            undo.callback(self._listener.unregister)
            self._timer = node.create_timer(POLL_S, self._poll, clock=steady)
            self._timer.cancel()
            undo.callback(node.destroy_timer, self._timer)
            self._latched = LatchedTopics(node, problems, steady)
            undo.callback(self._latched.destroy)
            for name in self._names:
                self._subscribe(name, undo)
            self._undo = undo.pop_all()
        statistics.sync.begin(self._road.sync)

    def _subscribe(self, camera: str, undo: ExitStack) -> None:
        cameras = self._parameters.cameras
        reliable = cameras.reliability == "reliable"
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=cameras.depth,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        message_type = message_class(cameras.transport)
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
        info = partial(self._on_info, camera)
        self._latched.watch(CameraInfo, info_topic, info, needed=lambda: camera not in self._road.infos)

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
        self._road.add_info(camera, message)

    @guarded("an image could not be taken", nothing, often=True)
    def _on_image(self, camera: str, message: Any) -> None:
        self._arrived_s[camera] = time.monotonic()
        stamp_ns, frame = stamp_and_frame(message)
        image = self._videos[camera].add(message, stamp_ns) if camera in self._videos else message
        if image is None:  # headers of a video, which belong to its next picture
            return
        epoch, counted = self._road.sync.epoch, self._road.sync.counters[camera]
        repeated = counted.duplicate
        outcomes = self._road.add_image(camera, stamp_ns, image, self._now_ns(), frame)
        if stamp_ns <= 0:
            self._stamp_fault(camera, "an image has the stamp zero and is not used; fix its driver")
        elif counted.duplicate > repeated:
            self._stamp_fault(camera, "an image repeats an earlier stamp and is not used; two publishers?")
        else:
            self._faults.fine(camera, "stamp")
        if self._road.sync.epoch != epoch:
            self._forgotten("stamps")
        self._take(outcomes)

    def _stamp_fault(self, camera: str, sentence: str) -> None:
        self._faults.failed(camera, "stamp", sentence)
        self._seldom.warning(f"{camera} {sentence}", f"camera {camera}: {sentence}")

    @guarded("waiting sets could not be looked at", nothing, often=True)
    def _on_transform(self) -> None:
        self._take(self._road.transforms_changed(self._now_ns()))

    @guarded("waiting sets could not be looked at", nothing, often=True)
    def _poll(self) -> None:
        self._take(self._road.poll(self._now_ns()))

    def _take(self, outcomes: list[PosedSet | Refusal]) -> None:
        self._statistics.count("sets_received", self._road.completed - self._counted)
        self._counted = self._road.completed
        self._tell_incomplete()
        for outcome in outcomes:
            if isinstance(outcome, PosedSet):
                self._worker.submit(outcome)
            else:
                said = "" if outcome.reason == "reset" else outcome.sentence
                self._statistics.drop(outcome.reason, said)
                if said:
                    self._seldom.warning(f"drop {outcome.reason}", f"set dropped: {outcome.sentence}")
        if not self._road.busy:
            self._timer.cancel()
        elif self._timer.is_canceled():
            self._timer.reset()

    def _tell_incomplete(self) -> None:
        sets = self._road.sync.sets
        incomplete = sets.incomplete + sets.skipped
        if incomplete > self._incomplete:
            last = min(self._names, key=lambda name: self._arrived_s.get(name, 0.0))
            age_s = time.monotonic() - self._arrived_s.get(last, 0.0)
            came = (
                f"the latest of {last} came {age_s:.1f} s ago" if last in self._arrived_s else f"{last} sent none yet"
            )
            known = filter(None, (came, self._road.sync.problem))
            sentence = f"an image was missing when the time of a set was up; {'; '.join(known)}"
            self._statistics.last_drop = sentence
            self._seldom.warning("drop incomplete", f"set dropped: {sentence}")
        self._incomplete = incomplete

    # ---------------------------------------------------------------- reset
    def reset(self, cause: str) -> None:
        """Forget images, offsets and, with the next set, the temporal memory; ``cause`` is service, clock or stamps.

        A clock that went back takes the transforms with it: they belong to a time that is yet to come.
        """
        if cause == "clock":
            self._intake.clear()
        if cause == "clock" and time.monotonic() - self._reset_s < CLOCK_AFTER_STAMPS_S:
            return
        outcomes: list[PosedSet | Refusal] = [*self._road.reset()]
        self._forgotten(cause)
        self._take(outcomes)

    def _forgotten(self, cause: str) -> None:
        self._reset_s = time.monotonic()
        self._statistics.count(f"resets_{cause}")
        if self._worker.discard() is not None:
            self._statistics.drop("reset")
        why = {
            "service": "reset on request",
            "clock": "the clock went back",
            "stamps": "image stamps went back, as when a recording starts again",
        }[cause]
        self._seldom.info(f"reset {cause}", f"{why}: queues and temporal memory are empty")

    def destroy(self) -> None:
        """Unsubscribe; what still waits is dropped."""
        try:
            self._undo.close()
        finally:
            waiting = len(self._road.reset()) + (self._worker.discard() is not None)
            for _ in range(waiting):
                self._statistics.drop("reset")
            self._statistics.sync.end()

    # ---------------------------------------------------------------- health
    def describe(self) -> str:
        """One line on the synchroniser."""
        return self._road.sync.describe()

    def health(self) -> list[CameraHealth]:
        """What came from each camera."""
        now_s = time.monotonic()
        return [
            CameraHealth(
                name=name,
                age_s=now_s - self._arrived_s[name] if name in self._arrived_s else None,
                images=self._statistics.sync.images(name),
                corrupt=self._statistics.counters[f"corrupt_{name}"],
                has_info=name in self._road.infos,
                fault=self._faults.of(name),
            )
            for name in self._names
        ]


def make_synchronizer(
    parameters: NodeParameters, say: Callable[[str], object] | None = None
) -> AnchorSynchronizer[Any] | ApproximateSynchronizer[Any]:
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
        say=say,
    )
