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

"""Diagnostics: levels, stable keys, and the numbers behind them."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rclpy")
from diagnostic_msgs.msg import DiagnosticStatus

from flashocc_ros.ros.diagnostics import COUNTERS, TIMES, CameraHealth, Health, to_diagnostics
from flashocc_ros.ros.faults import Fault
from flashocc_ros.ros.stamps import make_header
from flashocc_ros.ros.statistics import WARM_UP, WINDOW, Statistics

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def camera(name: str = "front", **values: Any) -> CameraHealth:
    defaults: dict[str, Any] = dict(age_s=0.1, images={"received": 5, "used": 4, "late": 1}, corrupt=0, has_info=True)
    defaults["fault"] = None
    return CameraHealth(name=name, **(defaults | values))


def report(**values: Any) -> list[DiagnosticStatus]:
    defaults: dict[str, Any] = dict(state="active", problem="", network={}, idle_s=0.2, cameras=[camera()])
    defaults |= dict.fromkeys(("sync", "rig", "clock", "last_drop"), "")
    defaults["masked"] = ()
    defaults |= {key: {} for key in ("counters", "times_ms", "subscribers")}
    health = Health(**(defaults | values))
    return list(to_diagnostics("flashocc_node", health, make_header("", 1), 1.0, 5.0).status)


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {entry.key: entry.value for entry in status.values}


def test_who_listens_is_told_by_topic():
    assert values(report(subscribers={"occupancy": 2})[0])["subscribers_occupancy"] == "2"


def test_a_publishing_node_is_ok():
    pipeline, front = report()
    assert (pipeline.name, pipeline.level) == ("flashocc_node: pipeline", OK)
    assert (front.name, front.level) == ("flashocc_node: camera front", OK)


def test_an_implausible_rig_is_a_warning_as_long_as_it_holds():
    pipeline, _ = report(rig="camera front is rolled by 90 degrees")
    assert pipeline.level == WARN
    assert "camera front is rolled by 90 degrees" in pipeline.message
    assert values(pipeline)["rig"] == "camera front is rolled by 90 degrees"


@pytest.mark.parametrize(
    ("doubt", "words"), [({"masked": ("back",)}, "without back"), ({"clock": "37 s ahead"}, "37 s ahead")]
)
def test_what_is_published_in_doubt_is_a_warning(doubt: dict[str, Any], words: str):
    pipeline = report(**doubt)[0]
    assert (pipeline.level, pipeline.message) == (WARN, f"publishing, but {words}")


@pytest.mark.parametrize(("lasts_s", "level"), [(0.1, WARN), (5.1, ERROR)])
def test_a_camera_whose_images_are_useless_is_not_ok(lasts_s: float, level: bytes):
    front = report(cameras=[camera(fault=Fault("no JPEG", lasts_s))])[1]
    assert (front.level, front.message) == (level, "images arrive but are useless: no JPEG")


def test_a_set_in_work_is_no_reason_to_look_for_a_fault():
    counters = {"sets_received": 5, "sets_published": 2, "sets_skipped": 1, "sets_dropped": 3}
    assert "sets_dropped" in report(idle_s=9.0, counters=counters | {"sets_dropped_incomplete": 1})[0].message
    assert "a set is in work" in report(idle_s=9.0, counters=counters | {"sets_dropped_incomplete": 2})[0].message


def test_why_the_latest_set_was_dropped_is_the_reason():
    assert report(idle_s=9.0, last_drop="tf has no frame 'odom'")[0].message.endswith("tf has no frame 'odom'")


def test_a_node_without_results_says_that_first():
    assert report(rig="camera front is rolled by 90 degrees", idle_s=9.0)[0].level == ERROR


@pytest.mark.parametrize(("idle_s", "level"), [(0.9, OK), (1.1, WARN), (5.1, ERROR)])
def test_the_watchdog_follows_the_time_without_a_result(idle_s: float, level: bytes):
    assert report(idle_s=idle_s)[0].level == level


def test_a_silent_camera_is_named_as_the_cause():
    pipeline, _, back = report(idle_s=9.0, cameras=[camera(), camera("back", age_s=8.0)])
    assert "no images from back" in pipeline.message
    assert back.level == ERROR


def test_results_that_stop_while_images_come_point_to_the_drops():
    assert "sets_dropped" in report(idle_s=9.0)[0].message


def test_a_camera_never_heard_is_an_error_with_a_hint():
    assert report(cameras=[camera(age_s=None)])[1].level == ERROR
    assert "topic" in report(cameras=[camera(age_s=None)])[1].message


def test_a_failed_configuration_is_an_error_with_its_sentence():
    pipeline = report(state="unconfigured", problem="parameter x: 1 is bad", idle_s=None, cameras=[])[0]
    assert (pipeline.level, pipeline.message) == (ERROR, "parameter x: 1 is bad")


def test_an_inactive_node_is_ok_and_says_its_state():
    pipeline = report(state="inactive", idle_s=None, cameras=[])[0]
    assert (pipeline.level, pipeline.message) == (OK, "inactive")


def test_all_counters_are_always_there_and_plain_numbers():
    found = values(report(counters={"sets_published": 12})[0])
    assert found["sets_published"] == "12"
    assert set(COUNTERS) <= set(found)
    assert all(found[key].isdigit() for key in COUNTERS)


def test_the_network_is_told_by_key():
    found = values(report(network={"variant": "flashocc-r50-M0", "trained": "false"})[0])
    assert (found["variant"], found["trained"], found["runs_on"]) == ("flashocc-r50-M0", "false", "")


def test_times_are_summarised_by_median_95th_percentile_and_maximum():
    statistics = Statistics()
    for value in [*[1e9] * WARM_UP, *range(101)]:
        statistics.time("stage_head", float(value))
    _, times = statistics.summary()
    assert times == {"stage_head_ms_p50": 50.0, "stage_head_ms_p95": 95.0, "stage_head_ms_max": 100.0}


def test_the_first_times_count_until_there_are_others():
    statistics = Statistics()
    for value in [9.0, 8.0, 1.0, 2.0]:
        statistics.time("latency", value)
        seen = statistics.summary()[1]["latency_ms_max"]
        assert seen == (9.0 if value > 2 else value)


def test_old_times_are_forgotten():
    statistics = Statistics()
    for value in [1e9, *[1.0] * WINDOW]:
        statistics.time("latency", value)
    assert statistics.summary()[1]["latency_ms_max"] == 1.0


def test_a_drop_counts_in_total_and_by_reason():
    statistics = Statistics()
    statistics.drop("image")
    statistics.drop("transform")
    counters, _ = statistics.summary()
    assert (counters["sets_dropped"], counters["sets_dropped_image"], counters["sets_dropped_transform"]) == (2, 1, 1)


def test_every_time_is_described():
    assert {"latency", "processing", "stage_images", "stage_encoder", "stage_publish", "stage_total"} <= set(TIMES)
