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

"""``flashocc_node``: a lifecycle node that turns camera topics and tf into occupancy.

configure loads the network and creates the result topics, activate subscribes and starts the inference thread,
deactivate stops both, cleanup frees the network. Callbacks only move messages; the thread decodes and infers.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from flashocc_ros.cameras.decode import SetDropped
from flashocc_ros.cameras.road import PosedSet
from flashocc_ros.ros.clock_check import OTHER_TIME_S, clock_fault
from flashocc_ros.ros.declare import Rejected, declare, on_set, read
from flashocc_ros.ros.diagnostics import Health, no_result, to_diagnostics
from flashocc_ros.ros.faults import CameraFaults
from flashocc_ros.ros.inference import Inference
from flashocc_ros.ros.inputs import CameraInputs, make_synchronizer
from flashocc_ros.ros.logs import RosLogHandler, SeldomLogger, kind_of
from flashocc_ros.ros.memory import forget_destroyed, give_back
from flashocc_ros.ros.parameters import DiagnosticsParameters, NodeParameters
from flashocc_ros.ros.problems import Problems, describe, guarded, nothing
from flashocc_ros.ros.publishers import Publishers
from flashocc_ros.ros.silence import Silence
from flashocc_ros.ros.stamps import make_header
from flashocc_ros.ros.statistics import Statistics
from flashocc_ros.ros.worker import NewestWorker

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR


class FlashOccNode(LifecycleNode):
    """See the module's docstring; topics, parameters and services are listed in ``docs/node.md``."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("flashocc_node", **node_options)
        self._closed = False
        self._seldom = SeldomLogger(self.get_logger())
        self.problems = Problems(self.get_logger(), self._seldom, self.context.ok)
        self._rejected: Rejected = {}
        declare(self, self._rejected)
        self._check_parameters = on_set(lambda: self._inference is not None, self._rejected)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._log_handler = RosLogHandler(self._seldom)
        package_log = logging.getLogger("flashocc_ros")
        package_log.addHandler(self._log_handler)
        package_log.setLevel(logging.INFO)
        self._statistics = Statistics()
        self._settings: NodeParameters | None = None
        self._inference: Inference | None = None
        self._results: Publishers | None = None
        self._inputs: CameraInputs | None = None
        self._worker: NewestWorker[PosedSet] | None = None
        self._faults = CameraFaults()
        self._silence = Silence(self.get_logger())
        self._masked: tuple[str, ...] = ()
        self._clock_fault = ""
        self._memory_events: dict[str, int] = {}

        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._health_limits = DiagnosticsParameters()
        self._report_timer = self.create_timer(self._health_limits.period_s, self._report, clock=self._steady)
        self._reset_service = self.create_service(Trigger, "~/reset", self._on_reset)
        backward = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False)
        self._jump_handle = self.get_clock().create_jump_callback(backward, post_callback=self._on_clock_jump)

    # ---------------------------------------------------------------- lifecycle
    @guarded("cannot be configured", lambda _: FAILURE)
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters, load the network, create the result topics; all of it or nothing."""
        self.problems.clear()
        with ExitStack() as undo:
            undo.callback(self._release)
            self._settings = read(self, self._rejected)
            make_synchronizer(self._settings)  # what it refuses is refused now, while parameters can be changed
            self._inference = Inference(self._settings, self._seldom.finding)
            self._results = Publishers(self, self._settings, self._inference.predictor.variant)
            self._set_report_period(self._settings.diagnostics)
            self.get_logger().info(f"configured: {self._inference.predictor.description}")
            undo.pop_all()
        return SUCCESS

    @guarded("cannot be activated", lambda _: FAILURE)
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the inference thread and subscribe; both or nothing."""
        assert self._settings is not None
        assert self._results is not None
        self.problems.clear()
        forget_destroyed(self)
        with ExitStack() as undo:
            undo.callback(self._stop_running, None)
            self._faults.clear()
            self._silence.begin()
            self._statistics.last_drop, self._masked, self._clock_fault = "", (), ""
            self._worker = NewestWorker(self._process, self._on_skipped)
            self._inputs = CameraInputs(
                self,
                self._settings,
                self._statistics,
                self._seldom,
                self.problems,
                self._faults,
                self._worker,
                self._steady,
            )
            self._results.announce()
            self.get_logger().info(f"active: waiting for {', '.join(self._settings.cameras.names)}")
            undo.pop_all()
        return SUCCESS

    @guarded("cannot be deactivated", lambda _: ERROR)
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop the inference thread."""
        self._stop_running(None)
        return SUCCESS

    @guarded("cannot be cleaned up", lambda _: ERROR)
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the network and take the result topics away."""
        self._release()
        return SUCCESS

    @guarded("cannot be shut down", lambda _: ERROR)
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop everything."""
        self._release()
        return SUCCESS

    @guarded("cannot recover", lambda _: ERROR)
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured, after a transition that is neither done nor undone."""
        self._release()
        return SUCCESS

    @property
    def state_label(self) -> str:
        """Name of the lifecycle state."""
        return "finalized" if self._closed else str(self._state_machine.current_state[1])

    def autostart(self) -> None:
        """Configure and activate, if the parameter says so; what fails is logged and can be tried again."""
        if self.get_parameter("autostart").value and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def close(self, timeout_s: float) -> bool:
        """Stop and leave the graph, once nobody spins the node; False when an inference still runs after the time."""
        if not self._stop_running(timeout_s):
            return False
        self._release()
        logging.getLogger("flashocc_ros").removeHandler(self._log_handler)
        self._jump_handle.unregister()
        self.destroy_node()
        # rclpy leaves the state machine to the garbage collector, and with it the node and its services: until then a
        # client may find them and ask a node that nobody spins. Not in destroy_node: a context that is shut down calls
        # that from any thread, while a callback may still ask for the state.
        self._closed = True
        self._state_machine.destroy_when_not_in_use()
        return True

    def _stop_running(self, timeout_s: float | None) -> bool:
        inputs, self._inputs = self._inputs, None
        try:
            if inputs is not None:
                inputs.destroy()
        finally:
            ended = self._worker is None or self._worker.close(timeout_s)
            if ended:
                self._worker = None
        return ended

    def _release(self) -> None:
        with ExitStack() as steps:  # from the last to the first, each even when another fails
            steps.callback(self._free_network)
            steps.callback(self._destroy_results)
            steps.callback(self._stop_running, None)

    def _destroy_results(self) -> None:
        results, self._results = self._results, None
        if results is not None:
            results.destroy()

    def _free_network(self) -> None:
        inference, self._inference = self._inference, None
        if inference is not None:
            inference.predictor.close()
            del inference
            give_back()

    # ---------------------------------------------------------------- inference thread
    @guarded("set dropped", nothing, often=True)
    def _process(self, posed: PosedSet) -> None:
        assert self._inference is not None
        assert self._results is not None
        try:
            occupancy = self._inference.run(posed)
        except SetDropped as error:
            self._drop(error, posed)
            return
        except Exception as error:  # an engine may raise anything
            self._statistics.drop("inference", describe(error))
            raise
        started = time.perf_counter()
        try:
            self._results.publish(occupancy)
        except Exception as error:
            self._statistics.drop("publish", describe(error))
            raise
        ended = time.perf_counter()
        statistics = self._statistics
        statistics.published()
        self._silence.result()
        for name in posed.names:
            self._faults.fine(name, "picture")
        self._masked = posed.masked
        if self._masked:
            without = ", ".join(self._masked)
            self._seldom.warning(f"masked {without}", f"a set lacks {without}, which is masked with black pixels")
        stages = dict(occupancy.timings) | {"publish": (ended - started) * 1e3}
        stages["total"] = stages.get("total", 0.0) + stages["images"] + stages["publish"]
        statistics.times("stage_", stages)
        statistics.time("processing", (time.monotonic_ns() - posed.completed_ns) / 1e6)
        statistics.time("sync_spread", posed.spread_ns / 1e6)
        self._time_latency(occupancy.stamp_ns)
        self._tell_memory_events()

    def _time_latency(self, stamp_ns: int) -> None:
        now_ns = self.get_clock().now().nanoseconds
        latency_s = (now_ns - stamp_ns) / 1e9
        if abs(latency_s) < OTHER_TIME_S:
            self._statistics.time("latency", latency_s * 1e3)
        self._clock_fault = clock_fault(latency_s, now_ns, bool(self.get_parameter("use_sim_time").value))
        if self._clock_fault:
            self._seldom.once(kind_of(self._clock_fault), self._clock_fault)

    def _drop(self, error: SetDropped, posed: PosedSet) -> None:
        self._statistics.drop(error.reason, str(error))
        self._seldom.warning(f"drop {error.reason} {error.camera}", f"set dropped: {error}")
        if not error.camera:
            return
        if error.reason == "image":
            self._statistics.count(f"corrupt_{error.camera}")
        for name in posed.names[: posed.names.index(error.camera)]:  # they were read before it
            self._faults.fine(name, "picture")
        self._faults.failed(error.camera, "picture", str(error))

    def _tell_memory_events(self) -> None:
        assert self._inference is not None
        variant, events = self._inference.predictor.variant, self._inference.predictor.memory_events
        lost = "the past was forgotten" if variant.temporal else "objects get new ids" if variant.panoptic else ""
        for event, count in events.items():
            if lost and event != "reset" and count > self._memory_events.get(event, 0):
                self._seldom.warning(f"memory {event}", f"{lost}: {event.replace('_', ' ')}")
        self._memory_events = events

    def _on_skipped(self, posed: PosedSet) -> None:
        self._statistics.count("sets_skipped")

    # ---------------------------------------------------------------- parameters, services, clock, health
    @guarded("parameters cannot be set", lambda why: SetParametersResult(successful=False, reason=why))
    def _on_set_parameters(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        return self._check_parameters(parameters)

    @guarded("cannot be reset", lambda why: Trigger.Response(success=False, message=why))
    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._inputs is None:
            response.message = "the node is not active: there is nothing to forget"
            return response
        self._inputs.reset("service")
        response.success, response.message = True, "queues and temporal memory are empty"
        return response

    @guarded("the clock went back and nothing could be reset", nothing, often=True)
    def _on_clock_jump(self, jump: TimeJump) -> None:
        if self._inputs is not None:
            self._inputs.reset("clock")

    def _set_report_period(self, limits: DiagnosticsParameters) -> None:
        before, self._health_limits = self._report_timer, limits
        self._report_timer = self.create_timer(limits.period_s, self._report, clock=self._steady)
        self.destroy_timer(before)

    @guarded("no diagnostics", nothing, often=True)
    def _report(self) -> None:
        counters, times_ms = self._statistics.summary()
        inputs, limits = self._inputs, self._health_limits
        if self._inference is not None:
            events = self._inference.predictor.memory_events
            counters |= {f"memory_{event}": count for event, count in events.items()}
        health = Health(
            state=self.state_label,
            problem=str(self.problems),
            network=self._inference.facts() if self._inference else {},
            sync=inputs.describe() if inputs else "",
            rig="; ".join(f.text for f in self._inference.predictor.rig_findings) if self._inference else "",
            masked=self._masked,
            clock=self._clock_fault,
            last_drop=self._statistics.last_drop,
            idle_s=self._silence.idle_s if inputs else None,
            counters=counters,
            times_ms=times_ms,
            subscribers=self._results.subscribers() if self._results else {},
            cameras=inputs.health() if inputs else (),
        )
        if inputs is not None:
            self._silence.explain(no_result(health, limits.warn_after_s))
        header = make_header("", self.get_clock().now().nanoseconds)
        name = self.get_fully_qualified_name().lstrip("/")
        self._diagnostics.publish(to_diagnostics(name, health, header, limits.warn_after_s, limits.error_after_s))
