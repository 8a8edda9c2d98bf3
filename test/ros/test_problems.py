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

"""What fails in a callback is said, shown and left behind clean."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("rclpy")
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from flashocc_ros.errors import ConfigError
from flashocc_ros.msg import Occupancy3D
from flashocc_ros.ros.inputs import CameraInputs
from flashocc_ros.ros.logs import SeldomLogger
from flashocc_ros.ros.node import FAILURE, SUCCESS, FlashOccNode
from flashocc_ros.ros.problems import Problems, guarded, nothing

Make = Callable[..., Any]


class Lines:
    """A logger that keeps what it is told; rclpy's can only be read from outside of the process."""

    def __init__(self) -> None:
        self.error_lines: list[str] = []
        self.debug_lines: list[str] = []
        self.error, self.debug = self.error_lines.append, self.debug_lines.append


class Thing:
    """Owner of a guarded callback that does what it is told."""

    def __init__(self, running: bool = True) -> None:
        self.lines = Lines()
        self.problems = Problems(self.lines, SeldomLogger(self.lines), lambda: running)  # type: ignore[arg-type]

    @guarded("cannot be done", lambda sentence: sentence)
    def do(self, error: Exception | None) -> str:
        if error:
            raise error
        return "done"

    @guarded("cannot be done often", nothing, often=True)
    def do_often(self) -> None:
        raise ValueError


def test_a_failure_is_one_line_the_traceback_at_debug_and_a_result():
    thing = Thing()
    sentence = thing.do(RuntimeError("compile\n  failed"))
    assert sentence.startswith("cannot be done: RuntimeError: compile failed (")
    assert thing.lines.error_lines == [sentence]
    assert "Traceback" in thing.lines.debug_lines[0]
    assert str(thing.problems) == sentence


def test_an_error_of_ours_is_its_own_sentence():
    assert Thing().do(ConfigError("x is 3; use 2")) == "cannot be done: x is 3; use 2"


def test_a_problem_is_over_when_the_callback_succeeds():
    thing = Thing()
    thing.do(ValueError("no"))
    assert thing.do(None) == "done"
    assert str(thing.problems) == ""


def test_what_runs_often_is_said_once_in_a_while():
    thing = Thing()
    for _ in range(5):
        thing.do_often()
    assert len(thing.lines.error_lines) == 1


def test_a_sentence_that_cannot_be_logged_for_lack_of_memory_goes_to_stderr(capfd: pytest.CaptureFixture[str]):
    def full(line: str) -> None:
        raise MemoryError

    thing = Thing()
    thing.lines.error = full
    sentence = thing.do(MemoryError())
    assert capfd.readouterr().err == f"{sentence}\n"


def test_a_process_that_stops_has_no_problems():
    thing = Thing(running=False)
    thing.do(RuntimeError("the publisher is gone"))
    assert not thing.lines.error_lines
    assert str(thing.problems) == ""


# ---------------------------------------------------------------- the node


def things_of(node: FlashOccNode) -> dict[str, int]:
    """Counts what a node holds."""
    threads = [t for t in threading.enumerate() if t.name == "flashocc inference"]
    kinds = {"publishers": node.publishers, "subscriptions": node.subscriptions, "timers": node.timers}
    return {kind: len(list(some)) for kind, some in kinds.items()} | {"threads": len(threads)}


def fail(*_: Any, **__: Any) -> Any:
    raise RuntimeError("out\nof memory")


def fail_at(call: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """The function, but its so-manieth call fails."""
    calls = itertools.count()
    return lambda *args, **kwargs: (fail if next(calls) == call else real)(*args, **kwargs)


@pytest.mark.parametrize("after", range(7))
def test_an_activation_that_fails_anywhere_leaves_nothing_and_the_next_one_works(
    start_node: Make, monkeypatch: pytest.MonkeyPatch, after: int
):
    node = start_node(autostart=False).node
    assert node.trigger_configure() == SUCCESS
    before = things_of(node)
    with monkeypatch.context() as patch:
        if after < 6:  # of tf and two cameras
            patch.setattr(node, "create_subscription", fail_at(after, node.create_subscription))
        else:
            patch.setattr(node._results, "announce", fail)
        assert node.trigger_activate() == FAILURE
    assert node.state_label == "inactive"
    assert str(node.problems).startswith("cannot be activated: RuntimeError: out of memory")
    assert things_of(node) == before
    assert node.trigger_activate() == SUCCESS
    assert str(node.problems) == ""


@pytest.mark.parametrize("after", range(6))
def test_a_configuration_that_fails_anywhere_leaves_nothing_and_the_next_one_works(
    start_node: Make, monkeypatch: pytest.MonkeyPatch, after: int
):
    node = start_node(autostart=False).node
    before = things_of(node)
    closed: list[bool] = []
    with monkeypatch.context() as patch:
        if after < 5:
            patch.setattr(node, "create_publisher", fail_at(after, node.create_publisher))
        else:
            patch.setattr("flashocc_ros.predictor.Predictor.prepare", fail)
        patch.setattr("flashocc_ros.predictor.Predictor.close", lambda self: closed.append(True))
        assert node.trigger_configure() == FAILURE
    assert node.state_label == "unconfigured"
    assert str(node.problems).startswith("cannot be configured: RuntimeError: out of memory")
    assert things_of(node) == before
    assert closed == [True]
    assert node._inference is None
    assert node.trigger_configure() == SUCCESS


MISTAKES = {
    "anchor offset": ({"sync__offsets_s": [0.1, 0.1]}, "anchor front is 0.1; use 0"),
    "offset not a number": ({"sync__offsets_s": [0.0, float("nan")]}, "camera back is nan"),
    "image topic": ({"cameras__image_topic": "bad topic {name}"}, "cameras.front.image_topic: 'bad topic front'"),
    "info topic": ({"cameras__info_topic": "/9/{name}/x"}, "cameras.front.info_topic: '/9/front/x'"),
}


@pytest.mark.parametrize(("parameters", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_value_that_cannot_be_activated_is_refused_by_configure(start_node: Make, parameters: Any, words: str):
    node = start_node(**parameters).node
    assert node.state_label == "unconfigured"
    assert words in str(node.problems)
    for name in parameters:
        default = "{name}/camera_info" if "info" in name else "" if "topic" in name else [0.0, 0.0]
        assert node.set_parameters([Parameter(name.replace("__", "."), value=default)])[0].successful
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS


def test_a_transition_down_that_fails_ends_unconfigured_with_nothing_left(
    start_node: Make, monkeypatch: pytest.MonkeyPatch
):
    node = start_node(autostart=False).node
    before = things_of(node)
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    real = CameraInputs.destroy
    monkeypatch.setattr(CameraInputs, "destroy", lambda self: (real(self), fail()))
    node.trigger_deactivate()
    assert node.state_label == "unconfigured"
    assert str(node.problems).startswith("cannot be deactivated")
    assert things_of(node) == before


def test_diagnostics_turn_to_error_and_back_when_inference_does(
    make_feeder: Make, start_node: Make, monkeypatch: pytest.MonkeyPatch
):
    feeder = make_feeder()
    reports = feeder.listen("/diagnostics", DiagnosticArray)
    occupancy = feeder.listen("occupancy", Occupancy3D)
    node = start_node()
    feeder.connect(node)
    with monkeypatch.context() as patch:
        patch.setattr("flashocc_ros.predictor.Predictor.predict", fail)
        feeder.send()
        feeder.until(lambda: str(node.node.problems), "the failure")
        reports.clear()
        feeder.until(lambda: reports, "a report")
        status = reports[0].status[0]
        assert status.level == status.ERROR
        assert "set dropped: RuntimeError: out of memory" in status.message
        assert {entry.key: entry.value for entry in status.values}["sets_dropped_inference"] == "1"
    feeder.send()
    feeder.until(lambda: occupancy, "an occupancy")
    feeder.until(lambda: not str(node.node.problems), "the end of the problem")


@pytest.mark.parametrize("owner", ["image", "transform", "timer", "jump"])
def test_the_node_outlives_a_callback_that_fails(
    make_feeder: Make, start_node: Make, monkeypatch: pytest.MonkeyPatch, owner: str
):
    feeder = make_feeder()
    node = start_node()
    feeder.connect(node)
    target, name = {
        "image": (node.node._inputs._road.sync, "add"),
        "transform": (node.node._inputs._intake, "take"),
        "timer": (node.node._diagnostics, "publish"),
        "jump": (node.node._inputs, "reset"),
    }[owner]
    with monkeypatch.context() as patch:
        patch.setattr(target, name, fail)
        if owner == "jump":
            node.node._on_clock_jump(None)
        else:
            feeder.send()
        feeder.until(lambda: "out of memory" in str(node.node.problems), "the failure")
    assert node.thread.is_alive()
    assert node.state == "active"


def test_a_service_that_fails_answers_why(make_feeder: Make, start_node: Make, monkeypatch: pytest.MonkeyPatch):
    feeder = make_feeder()
    node = start_node()
    monkeypatch.setattr(node.node._inputs, "reset", fail)
    answer = feeder.call(Trigger, "flashocc_node/reset", Trigger.Request())
    assert not answer.success
    assert "cannot be reset: RuntimeError: out of memory" in answer.message
