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

"""What the node says of itself is true: on the console, in the levels and reasons of /diagnostics, in its counters."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("rclpy")
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import Log
from rclpy.qos import DurabilityPolicy, QoSProfile

from flashocc_ros.msg import Occupancy3D
from flashocc_ros.ros.node import SUCCESS
from flashocc_ros.ros.publishers import Publishers

Make = Callable[..., Any]
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
TAI_NS = 37_500_000_000  # less half a second until the result
PERIOD_NS = 100_000_000
PARTS = ("used", "late", "dropped", "duplicate", "rejected", "waiting")


class Rig:
    """A feeder, an active node, its results, its reports and its lines on the console."""

    def __init__(self, feeder: Any, node: Any) -> None:
        self.feeder, self.node = feeder, node
        self.occupancy = feeder.listen("occupancy", Occupancy3D)
        self.reports = feeder.listen("/diagnostics", DiagnosticArray)
        self.lines: list[str] = []
        rosout = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        feeder.node.create_subscription(Log, "/rosout", self._on_line, rosout)
        feeder.connect(node)

    def _on_line(self, line: Log) -> None:
        if line.name == "flashocc_node":
            self.lines.append(line.msg)

    def lockstep(self, sets: int, **options: Any) -> None:
        """Send sets, each when the last was answered."""
        for _ in range(sets):
            before = len(self.occupancy)
            self.feeder.send(**options)
            self.feeder.until(lambda n=before: len(self.occupancy) > n, "an occupancy")

    def status(self, name: str = "pipeline") -> tuple[bytes, str, dict[str, str]]:
        """Level, message and values of a report that is made from now on."""
        self.reports.clear()
        self.feeder.until(lambda: len(self.reports) > 1, "a report")
        status = next(s for s in self.reports[-1].status if s.name == f"flashocc_node: {name}")
        return status.level, status.message, {value.key: value.value for value in status.values}

    def until_said(self, words: str) -> str:
        """The first line with these words."""
        return self.feeder.until(lambda: next((line for line in self.lines if words in line), ""), f"{words!r}")

    def counters(self) -> dict[str, int]:
        """All of the node's, now."""
        return dict(self.node.node._statistics.summary()[0])


@pytest.fixture
def rig(make_feeder: Make, start_node: Make) -> Callable[..., Rig]:
    """Connected, with reports ten times a second and levels that do not depend on how fast the machine is."""

    def start(cameras: tuple[str, ...] = ("front", "back"), **parameters: Any) -> Rig:
        defaults = {
            "diagnostics__period_s": 0.1,
            "diagnostics__warn_after_s": 100.0,
            "diagnostics__error_after_s": 200.0,
        }
        feeder = make_feeder(list(cameras))
        return Rig(feeder, start_node(**(defaults | parameters), cameras__names=list(cameras)))

    return start


def one_at_now(rig: Rig, ahead_ns: int = 0) -> None:
    """A set stamped by the wall clock, without odometry, which the feeder has for its own time alone."""
    rig.feeder.stamp_ns = time.time_ns() - PERIOD_NS + ahead_ns
    rig.lockstep(1, tf=False)


# ---------------------------------------------------------------- console


def test_the_first_result_is_said_once(rig: Callable[..., Rig]):
    running = rig()
    running.lockstep(3)
    running.until_said("first result")
    assert sum("first result" in line for line in running.lines) == 1


def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashocc_ros.ros.silence.SAID_AFTER_S", (0.3,) * 100)


def test_a_silent_camera_is_said_on_the_console(rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch):
    soon(monkeypatch)
    running = rig()
    running.feeder.send(images={"back": None})
    assert "no images from" in running.until_said("no result for")


def test_what_transforms_lack_is_said_on_the_console(rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch):
    soon(monkeypatch)
    running = rig(variant="synthetic-tiny-4d")
    running.feeder.send(tf=False)
    running.feeder.until(lambda: running.counters().get("sets_dropped_transform"), "the drop")
    running.until_said("sets are dropped: tf has no frame 'odom'")


def test_sets_that_a_fast_anchor_leaves_incomplete_come_with_the_remedy(rig: Callable[..., Rig]):
    running = rig(sync__offsets_s=[0.0, 0.0], sync__timeout_s=0.05)
    for number in range(200):
        running.feeder.send(images={} if number % 5 == 0 else {"back": None})
        running.feeder.executor.spin_once(timeout_sec=0.02)
        if "make the slowest camera the anchor" in running.node.node._statistics.last_drop:
            return
    pytest.fail(running.node.node._statistics.last_drop)


@pytest.mark.parametrize("kind", ["stamp zero", "damaged", "stamps that go back"])
def test_a_flood_of_bad_images_is_no_flood_of_lines(rig: Callable[..., Rig], kind: str):
    running = rig(sync__max_backward_s=0.1)
    feeder, sets = running.feeder, 30
    for number in range(sets):
        stamp_ns = feeder.stamp_ns + 100_000_000
        images = {}
        if kind == "stamp zero":
            images = {name: feeder.image(name, 0) for name in feeder.names}
        elif kind == "damaged":
            images = {name: feeder.image(name, stamp_ns, data=feeder.jpeg[:500]) for name in feeder.names}
        else:
            stamp_ns -= (number % 2) * 10_000_000_000
        feeder.send(stamp_ns, images=images)
        feeder.until(
            lambda n=number: running.node.node._statistics.sync.images("back")["received"] > n, "the image to arrive"
        )
    lines = [line for line in running.lines if "configured" not in line and "active" not in line]
    assert 1 <= len(lines) < 10, lines


# ---------------------------------------------------------------- levels and reasons


def test_a_camera_whose_images_are_damaged_is_not_ok_until_one_is_not(rig: Callable[..., Rig]):
    running = rig()
    feeder = running.feeder
    running.lockstep(1)
    stamp_ns = feeder.stamp_ns + 100_000_000
    feeder.send(stamp_ns, images={"back": feeder.image("back", stamp_ns, data=feeder.jpeg[:500])})
    feeder.until(lambda: running.counters().get("sets_dropped_image"), "the drop")
    level, message, values = running.status("camera back")
    assert (level, values["corrupt"]) == (WARN, "1")
    assert "images arrive but are useless: camera back" in message
    assert running.status("camera front")[0] == OK
    running.lockstep(1)
    assert running.status("camera back")[:2] == (OK, "fresh")


def test_a_camera_without_a_usable_calibration_is_not_ok_and_not_corrupt(rig: Callable[..., Rig]):
    running = rig(diagnostics__error_after_s=0.1, diagnostics__warn_after_s=0.1)
    running.feeder.send(infos={"back": running.feeder.info("back", 1, focal=0.0)})
    running.feeder.until(lambda: running.counters().get("sets_dropped_calibration"), "the drop")
    running.node.node._inputs._arrived_s = dict.fromkeys(("front", "back"), float("inf"))  # as if images went on
    level, message, values = running.status("camera back")
    assert (level, values["corrupt"]) == (ERROR, "0")
    assert "K" in message
    assert "sets are dropped: camera back" in running.status()[1]


def test_a_camera_that_stamps_with_zero_is_not_ok(rig: Callable[..., Rig]):
    running = rig()
    running.feeder.images["back"].publish(running.feeder.image("back", 0))
    running.feeder.until(lambda: running.counters()["images_rejected"], "the image to be rejected")
    assert "stamp zero" in running.status("camera back")[1]


def test_masked_sets_are_a_warning_that_names_the_camera(rig: Callable[..., Rig]):
    running = rig(("one", "two", "three"), sync__missing="mask", sync__timeout_s=1.0)
    running.lockstep(8)
    assert running.status()[2]["masked"] == ""
    running.lockstep(1, images={"three": None})
    level, message, values = running.status()
    assert (level, values["masked"], values["sets_masked"]) == (WARN, "three", "1")
    assert message.startswith("publishing, but without three")
    running.until_said("a set lacks three")


@pytest.mark.parametrize(
    ("ahead_ns", "words"), [(TAI_NS, "TAI"), (-7200 * 10**9, "use_sim_time"), (5 * 10**9, "chrony")]
)
def test_stamps_of_another_clock_are_a_warning_until_they_are_right(rig: Callable[..., Rig], ahead_ns: int, words: str):
    running = rig()
    one_at_now(running, ahead_ns)
    level, message, values = running.status()
    assert level == WARN
    assert words in message
    assert values["clock"] in message
    running.until_said("image stamps are")
    one_at_now(running)
    assert running.status()[:2] == (OK, "publishing")


# ---------------------------------------------------------------- sums


def test_images_add_up_over_activations_and_repeated_ones_are_counted(rig: Callable[..., Rig]):
    running = rig()
    feeder, node = running.feeder, running.node.node
    running.lockstep(6)
    for _ in range(2):
        feeder.images["back"].publish(feeder.image("back", feeder.stamp_ns))
    feeder.images["back"].publish(feeder.image("back", 0))
    feeder.images["back"].publish(feeder.image("back", feeder.stamp_ns + 100_000_000))
    feeder.until(lambda: node._statistics.sync.images("back")["received"] == 10, "the images")
    assert "repeats" in running.until_said("repeats an earlier stamp")
    assert node.trigger_deactivate() == SUCCESS
    assert running.counters()["images_rejected"] == 1
    assert node.trigger_activate() == SUCCESS
    feeder.connect(running.node)
    feeder.stamp_ns += 100_000_000
    running.lockstep(2)
    values = {key: int(n) for key, n in running.status("camera back")[2].items() if key != "age_s"}
    assert (values["received"], values["used"], values["duplicate"], values["rejected"]) == (12, 8, 2, 1)
    assert values["received"] == sum(values[part] for part in PARTS)
    assert running.counters()["images_rejected"] == 1


def test_sets_add_up_when_the_node_is_deactivated_while_one_waits(rig: Callable[..., Rig]):
    running = rig(tf__max_wait_s=5.0)
    running.lockstep(2)
    running.feeder.send(tf=False)
    running.feeder.until(lambda: running.counters()["sets_received"] == 3, "the set to wait for tf")
    assert running.node.node.trigger_deactivate() == SUCCESS
    counters = running.counters()
    assert (counters["sets_published"], counters["sets_dropped"], counters["sets_dropped_reset"]) == (2, 1, 1)
    assert running.node.node.trigger_activate() == SUCCESS
    assert running.status()[2]["sets_received"] == "3"


def test_incomplete_sets_are_still_counted_after_the_next_activation(rig: Callable[..., Rig]):
    running = rig()
    running.lockstep(6)
    running.feeder.send(images={"back": None})
    running.feeder.until(lambda: running.counters()["sets_dropped_incomplete"] == 1, "the set to be dropped")
    running.until_said("set dropped: an image was missing when the time of a set was up; the latest of back came")
    assert running.node.node.trigger_deactivate() == SUCCESS
    assert running.node.node.trigger_activate() == SUCCESS
    values = running.status()[2]
    assert (values["sets_dropped_incomplete"], values["sets_dropped"]) == ("1", "1")


def test_a_result_that_cannot_be_published_is_no_failed_inference(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: Any) -> None:
        raise RuntimeError("the message is too large")

    running = rig()
    monkeypatch.setattr(Publishers, "publish", fail)
    running.feeder.send()
    running.feeder.until(lambda: running.counters().get("sets_dropped"), "the drop")
    values = running.status()[2]
    assert (values["sets_dropped_publish"], values["sets_dropped_inference"]) == ("1", "0")
