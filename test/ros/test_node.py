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

"""The node in its own thread, driven over DDS by a small rig."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from nav_msgs.msg import OccupancyGrid
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, PointCloud2
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from flashocc_ros import Predictor
from flashocc_ros.cameras.transforms import OutsideTime
from flashocc_ros.labels import FREE
from flashocc_ros.model import get_variant
from flashocc_ros.msg import ClassTable, Occupancy3D, PanopticInstanceArray
from flashocc_ros.ros import publishers
from flashocc_ros.ros.diagnostics import TIMES
from flashocc_ros.ros.stamps import make_header, ns_from_stamp, stamp_from_ns

Make = Callable[..., Any]
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
OUTPUTS = {
    "occupancy": Occupancy3D,
    "points": PointCloud2,
    "markers": MarkerArray,
    "grid": OccupancyGrid,
    "instances": PanopticInstanceArray,
}


def counters(node: Any) -> dict[str, int]:
    """All counters of the node, now."""
    values, _ = node.node._statistics.summary()
    return dict(values)


def lockstep(feeder: Any, occupancy: list[Any], sets: int, **options: Any) -> None:
    """Send sets, each when the last was answered."""
    for _ in range(sets):
        before = len(occupancy)
        feeder.send(**options)
        feeder.until(lambda n=before: len(occupancy) > n, "an occupancy")


@pytest.fixture
def running(make_feeder: Make, start_node: Make) -> Callable[..., tuple[Any, Any, list[Any]]]:
    """A feeder, an active node and what it publishes on `occupancy`, all connected."""

    def start(**parameters: Any) -> tuple[Any, Any, list[Any]]:
        feeder = make_feeder(list(parameters.get("cameras__names", ["front", "back"])))
        occupancy = feeder.listen("occupancy", Occupancy3D)
        node = start_node(**parameters)
        feeder.connect(node)
        return feeder, node, occupancy

    return start


def test_each_set_becomes_one_occupancy_in_base_link_at_the_key_stamp(running: Make):
    feeder, node, occupancy = running()
    stamps = []
    for _ in range(4):
        stamps.append(feeder.stamp_ns + 100_000_000)
        lockstep(feeder, occupancy, 1)
    assert [ns_from_stamp(m.header.stamp) for m in occupancy] == stamps
    message = occupancy[-1]
    assert message.header.frame_id == "base_link"
    assert (message.size_x, message.size_y, message.size_z) == (200, 200, 16)
    assert len(message.labels) == len(message.instances) == 200 * 200 * 16
    assert max(message.labels) <= FREE
    assert counters(node)["sets_published"] == 4
    assert counters(node)["sets_dropped"] == 0


def test_every_output_is_published_and_agrees_with_the_occupancy(running: Make):
    feeder, node, occupancy = running()
    heard = {topic: feeder.listen(topic, kind) for topic, kind in OUTPUTS.items() if topic != "occupancy"}
    feeder.connect(node)
    feeder.send()
    feeder.until(lambda: occupancy and all(heard.values()), "one message on every output")
    labels = np.frombuffer(occupancy[0].labels, np.uint8)
    assert heard["points"][0].width == int((labels != FREE).sum())
    assert heard["grid"][0].info.width == 200
    stamps = {ns_from_stamp(heard[topic][0].header.stamp) for topic in ("points", "grid", "instances")}
    assert stamps == {feeder.stamp_ns}


def test_only_subscribed_outputs_are_computed(running: Make, monkeypatch: pytest.MonkeyPatch):
    built: list[str] = []
    for name in OUTPUTS:
        real = getattr(publishers, f"to_{name}")
        monkeypatch.setattr(
            publishers, f"to_{name}", lambda *a, name=name, real=real, **k: built.append(name) or real(*a, **k)
        )
    feeder, _, occupancy = running()
    lockstep(feeder, occupancy, 2)
    assert built == ["occupancy", "occupancy"]


def test_the_class_table_is_latched_for_late_readers(running: Make):
    feeder, _, _ = running()
    tables = feeder.listen("class_table", ClassTable, LATCHED)
    feeder.until(lambda: tables, "the class table")
    assert tables[0].names[4] == "car"
    assert len(tables[0].colors_rgb) == 3 * len(tables[0].names)


def test_one_camera_is_enough(running: Make):
    feeder, _, occupancy = running(cameras__names=["only"])
    lockstep(feeder, occupancy, 1)
    assert len(occupancy) == 1


def test_a_silent_camera_can_be_masked(running: Make):
    feeder, node, occupancy = running(cameras__names=["left", "middle", "right"], sync__missing="mask")
    lockstep(feeder, occupancy, 8)
    lockstep(feeder, occupancy, 1, images={"right": None})
    assert counters(node)["sets_masked"] == 1
    assert [list(message.masked_cameras) for message in occupancy] == [[]] * 8 + [["right"]]


def small(variant: str, *arguments: Any, **options: Any) -> Predictor:
    """The predictor of a variant with few channels and small pictures: the same code, seconds instead of minutes."""
    row = get_variant(variant)
    channels = {"neck_channels": 32, "lift_channels": 8, "encoder_channels": (16, 24, 32), "head_channels": 16}
    row = replace(row, input_size=(64, 176), depth=replace(row.depth, step_m=2.0), backbone="resnet18", **channels)
    return Predictor(replace(row, name=f"{variant} small", backbone_width=16), *arguments, **options)


@pytest.mark.parametrize("variant", ["flashocc-r50-4d-stereo", "panoptic-flashocc-r50-depth4d-longterm8f-pano"])
def test_published_temporal_variants_run_over_dds(running: Make, monkeypatch: pytest.MonkeyPatch, variant: str):
    monkeypatch.setattr("flashocc_ros.ros.inference.Predictor", small)
    feeder, node, occupancy = running(variant=variant)
    lockstep(feeder, occupancy, 3)
    predictor = node.node._inference.predictor
    assert predictor.memory_nbytes > 0
    assert sum(predictor.memory_events.values()) == 0
    assert bool(occupancy[-1].instances) == predictor.variant.panoptic


def test_who_comes_later_still_gets_the_last_cost_map(running: Make):
    feeder, node, _ = running()
    early = feeder.listen("grid", OccupancyGrid, LATCHED)
    feeder.connect(node)
    feeder.send()
    feeder.until(lambda: early, "the cost map")
    late: list[OccupancyGrid] = []
    feeder.node.create_subscription(OccupancyGrid, "grid", late.append, LATCHED)  # as nav2 does
    feeder.until(lambda: late, "the cost map once more")
    assert late[0] == early[0]


def test_raw_images_are_read(make_feeder: Make, start_node: Make):
    feeder = make_feeder(image_type="raw")
    occupancy = feeder.listen("occupancy", Occupancy3D)
    feeder.connect(start_node(cameras__transport="raw"))
    stamp_ns = feeder.stamp_ns + 100_000_000

    def raw(name: str) -> Image:
        header = make_header(f"{name}_optical", stamp_ns)
        return Image(header=header, height=176, width=352, encoding="rgb8", step=352 * 3, data=bytes(176 * 352 * 3))

    feeder.send(stamp_ns, images={name: raw(name) for name in feeder.names})
    feeder.until(lambda: occupancy, "an occupancy")


# ---------------------------------------------------------------- bad input


def bad_jpeg(feeder: Any, stamp_ns: int) -> dict[str, Any]:
    return {"images": {"back": feeder.image("back", stamp_ns, data=feeder.jpeg[: len(feeder.jpeg) // 2])}}


def wrong_size(feeder: Any, stamp_ns: int) -> dict[str, Any]:
    info = feeder.info("back", stamp_ns)
    info.height, info.width = 900, 900
    return {"infos": {"back": info}}


def nan_in_k(feeder: Any, stamp_ns: int) -> dict[str, Any]:
    return {"infos": {"back": feeder.info("back", stamp_ns, focal=float("nan"))}}


def zero_k(feeder: Any, stamp_ns: int) -> dict[str, Any]:
    return {"infos": {"back": feeder.info("back", stamp_ns, focal=0.0)}}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(bad_jpeg, "image"), (wrong_size, "calibration"), (nan_in_k, "calibration"), (zero_k, "calibration")],
)
def test_a_bad_set_is_a_counted_drop_and_nothing_else_is_lost(running: Make, damage: Make, reason: str):
    feeder, node, occupancy = running()
    lockstep(feeder, occupancy, 1)
    stamp_ns = feeder.stamp_ns + 100_000_000
    feeder.send(stamp_ns, **damage(feeder, stamp_ns))
    feeder.until(lambda: counters(node).get(f"sets_dropped_{reason}"), f"the set to be dropped for {reason}")
    lockstep(feeder, occupancy, 2)
    assert [ns_from_stamp(m.header.stamp) for m in occupancy] == [stamp_ns + k * 100_000_000 for k in (-1, 1, 2)]
    assert counters(node)["sets_dropped"] == 1


@pytest.mark.parametrize(("damage", "reason"), [(bad_jpeg, "image"), (wrong_size, "calibration")])
def test_files_left_to_the_engine_are_checked_alike(
    running: Make, damage: Make, reason: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("flashocc_ros.engine.torch_backend.TorchBackend.decodes_jpeg", True)
    test_a_bad_set_is_a_counted_drop_and_nothing_else_is_lost(running, damage, reason)


def test_an_unknown_encoding_is_a_counted_drop(make_feeder: Make, start_node: Make):
    feeder = make_feeder(image_type="raw")
    node = start_node(cameras__transport="raw")
    feeder.connect(node)
    stamp_ns = feeder.stamp_ns + 100_000_000
    header = make_header("", stamp_ns)
    image = Image(header=header, height=4, width=4, encoding="smell8", step=4, data=bytes(16))
    feeder.send(stamp_ns, images=dict.fromkeys(feeder.names, image))
    feeder.until(lambda: counters(node).get("sets_dropped_image"), "the set to be dropped")
    assert node.state == "active"


def test_a_stamp_of_zero_is_counted_and_the_others_go_on(running: Make):
    feeder, node, occupancy = running()
    feeder.images["front"].publish(feeder.image("front", 0))
    feeder.until(lambda: counters(node)["images_rejected"] == 1, "the image to be rejected")
    lockstep(feeder, occupancy, 2)
    assert len(occupancy) == 2


def test_a_set_without_one_camera_is_dropped_as_incomplete(running: Make):
    feeder, node, occupancy = running()
    lockstep(feeder, occupancy, 6)  # enough to learn the period
    feeder.send(images={"back": None})
    feeder.until(lambda: counters(node)["sets_dropped_incomplete"] == 1, "the set to be dropped")
    lockstep(feeder, occupancy, 1)
    assert len(occupancy) == 7


def test_a_gap_in_tf_drops_the_set_and_names_the_frames(running: Make):
    feeder, node, occupancy = running()
    lockstep(feeder, occupancy, 2)
    feeder.send(tf=False)
    feeder.until(lambda: counters(node).get("sets_dropped_transform") == 1, "the set to be dropped")
    lockstep(feeder, occupancy, 2)
    assert len(occupancy) == 4


def test_late_tf_within_the_bound_loses_nothing(running: Make):
    feeder, node, occupancy = running(tf__max_wait_s=5.0)
    lockstep(feeder, occupancy, 2)
    stamp_ns = feeder.send(tf=False)
    feeder.until(lambda: counters(node).get("sets_received") == 3, "the set to wait for tf")
    assert len(occupancy) == 2
    feeder.send_tf(stamp_ns)
    feeder.until(lambda: len(occupancy) == 3, "the occupancy")


def test_missing_camera_info_drops_the_set_and_diagnostics_name_the_camera(running: Make):
    feeder, node, _ = running()
    reports = feeder.listen("/diagnostics", DiagnosticArray)
    feeder.send(infos={"back": None})
    feeder.until(lambda: counters(node).get("sets_dropped_camera_info") == 1, "the set to be dropped")
    reports.clear()
    feeder.until(lambda: reports, "a report")
    status = {s.name: s for s in reports[0].status}
    assert "no CameraInfo" in status["flashocc_node: camera back"].message


def test_without_odometry_a_single_frame_variant_runs_with_static_extrinsics(running: Make):
    feeder, node, occupancy = running()
    lockstep(feeder, occupancy, 2, tf=False)
    assert counters(node)["sets_dropped"] == 0


def test_a_temporal_variant_without_odometry_drops_the_sets(running: Make):
    feeder, node, occupancy = running(variant="synthetic-tiny-4d")
    feeder.send(tf=False)
    feeder.until(lambda: counters(node).get("sets_dropped_transform") == 1, "the set to be dropped")
    lockstep(feeder, occupancy, 3)
    assert len(occupancy) == 3


# ---------------------------------------------------------------- starting over


def test_reset_empties_memory_and_says_so(running: Make):
    feeder, node, occupancy = running(variant="synthetic-tiny-4d")
    lockstep(feeder, occupancy, 2)
    answer = feeder.call(Trigger, "flashocc_node/reset", Trigger.Request())
    assert answer.success
    lockstep(feeder, occupancy, 1)
    assert counters(node)["resets_service"] == 1
    assert node.node._inference.predictor.memory_events["reset"] == 1


def test_reset_of_an_inactive_node_is_refused(make_feeder: Make, start_node: Make):
    feeder = make_feeder()
    start_node(autostart=False)
    answer = feeder.call(Trigger, "flashocc_node/reset", Trigger.Request())
    assert not answer.success
    assert "not active" in answer.message


def test_a_recording_that_starts_again_goes_on_without_loss(running: Make):
    feeder, node, occupancy = running(variant="synthetic-tiny-4d")
    start_ns = feeder.stamp_ns
    feeder.stamp_ns += 10_000_000_000
    lockstep(feeder, occupancy, 6)
    feeder.stamp_ns = start_ns
    lockstep(feeder, occupancy, 3)
    assert len(occupancy) == 9
    assert counters(node)["resets_stamps"] == 1
    assert counters(node)["sets_dropped"] == 0
    assert node.node._inference.predictor.memory_events["reset"] == 1


# ---------------------------------------------------------------- lifecycle


def change(feeder: Any, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(feeder.call(ChangeState, "flashocc_node/change_state", request, repeat=False).success)


def test_deactivate_unsubscribes_cleanup_frees_and_both_can_be_undone(running: Make):
    feeder, node, occupancy = running()
    feeder.client(ChangeState, "flashocc_node/change_state")
    lockstep(feeder, occupancy, 1)
    assert change(feeder, Transition.TRANSITION_DEACTIVATE)
    feeder.until(lambda: not any(p.get_subscription_count() for p in feeder.images.values()), "no image subscription")
    assert node.node._worker is None
    assert change(feeder, Transition.TRANSITION_CLEANUP)
    assert node.node._inference is None
    feeder.until(lambda: feeder.node.count_publishers("occupancy") == 0, "no result topic")
    assert change(feeder, Transition.TRANSITION_CONFIGURE)
    assert change(feeder, Transition.TRANSITION_ACTIVATE)
    feeder.connect(node)
    lockstep(feeder, occupancy, 2)
    assert len(occupancy) == 3


def test_activations_leave_nothing_behind_in_the_groups_of_callbacks(make_feeder: Make, start_node: Make):
    feeder, node = make_feeder(), start_node()
    feeder.client(ChangeState, "flashocc_node/change_state")
    known = []
    for _ in range(4):
        known.append(len(node.node.default_callback_group.entities))
        assert change(feeder, Transition.TRANSITION_DEACTIVATE)
        gc.collect()
        assert change(feeder, Transition.TRANSITION_ACTIVATE)
    assert known[3] < known[1] + 20  # of each activation


def test_a_bad_parameter_leaves_the_node_unconfigured_until_it_is_set_right(make_feeder: Make, start_node: Make):
    feeder = make_feeder()
    reports = feeder.listen("/diagnostics", DiagnosticArray)
    node = start_node(checkpoint="/nowhere/m0.pth")
    assert feeder.call(GetState, "flashocc_node/get_state", GetState.Request()).current_state.label == "unconfigured"
    feeder.until(lambda: reports, "a report")
    status = reports[0].status[0]
    assert status.level == status.ERROR
    assert "parameter checkpoint: '/nowhere/m0.pth' is no file" in status.message
    assert not change(feeder, Transition.TRANSITION_CONFIGURE)
    assert node.node.set_parameters([Parameter("checkpoint", value="")])[0].successful
    assert change(feeder, Transition.TRANSITION_CONFIGURE)
    assert change(feeder, Transition.TRANSITION_ACTIVATE)
    assert node.state == "active"


def test_a_closed_node_leaves_the_graph_at_once(make_feeder: Make, start_node: Make):
    feeder = make_feeder()
    gc.disable()  # a node kept alive by reference cycles would answer nobody, but clients would find its services
    try:
        node = start_node(autostart=False)
        services = ("flashocc_node", "/")
        feeder.until(lambda: "flashocc_node" in feeder.node.get_node_names(), "the node")
        feeder.until(lambda: feeder.node.get_service_names_and_types_by_node(*services), "its services")
        node.close()
        feeder.until(lambda: "flashocc_node" not in feeder.node.get_node_names(), "the node to leave", deadline_s=60)
    finally:
        gc.enable()


def test_an_engine_that_cannot_be_loaded_is_said_when_the_node_is_configured(start_node: Make, tmp_path: Path):
    pytest.importorskip("openvino")
    node = start_node(engine="openvino", precision="int8", cache_dir=str(tmp_path))
    assert node.state == "unconfigured"
    assert "run `flashocc build --variant synthetic-tiny --precision int8" in str(node.node.problems)


def test_parameters_are_refused_while_configured(start_node: Make):
    node = start_node()
    result = node.node.set_parameters([Parameter("base_frame", value="rear_axle")])[0]
    assert not result.successful
    assert "clean it up" in result.reason


def test_diagnostics_carry_the_documented_keys_of_a_run(running: Make):
    feeder, _, occupancy = running()
    reports = feeder.listen("/diagnostics", DiagnosticArray)
    lockstep(feeder, occupancy, 3)
    reports.clear()
    feeder.until(lambda: reports, "a report")
    status = {s.name: s for s in reports[0].status}
    found = {entry.key: entry.value for entry in status["flashocc_node: pipeline"].values}
    assert found["sets_published"] == "3"
    assert found["state"] == "active"
    times = {key.rsplit("_ms_", 1)[0] for key in found if "_ms_" in key}
    assert times == set(TIMES) - {"latency"}  # the stamps of this rig are years old
    front = {entry.key: entry.value for entry in status["flashocc_node: camera front"].values}
    assert (front["received"], front["used"]) == ("3", "3")


def test_a_clock_that_jumps_back_starts_over_once(running: Make):
    feeder, node, occupancy = running(use_sim_time=True, variant="synthetic-tiny-4d")
    clock = feeder.node.create_publisher(Clock, "/clock", 1)
    feeder.until(lambda: clock.get_subscription_count(), "the node's clock")
    start_ns = feeder.stamp_ns

    def tick(stamp_ns: int) -> None:
        def arrived() -> bool:
            clock.publish(Clock(clock=stamp_from_ns(stamp_ns)))  # again and again: clocks are best effort
            return bool(node.node.get_clock().now().nanoseconds == stamp_ns)

        feeder.until(arrived, "the clock")

    tick(start_ns + 10_000_000_000)
    feeder.stamp_ns = start_ns + 10_000_000_000
    lockstep(feeder, occupancy, 2)
    tick(start_ns)
    feeder.until(lambda: counters(node).get("resets_clock") == 1, "the reset")
    with pytest.raises(OutsideTime):
        node.node._inputs._intake.buffer.lookup("odom", "base_link", start_ns + 10_000_000_000)
    feeder.stamp_ns = start_ns
    lockstep(feeder, occupancy, 2)
    assert counters(node).get("resets_stamps", 0) == 0
    assert counters(node)["sets_published"] == 4
    assert node.node._inference.predictor.memory_events["reset"] == 1


def test_a_publisher_with_incompatible_qos_is_counted(make_feeder: Make, start_node: Make):
    feeder = make_feeder()
    node = start_node(cameras__reliability="reliable")
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    feeder.node.create_publisher(feeder.image_class, "front/image_rect_compressed", best_effort)
    feeder.until(lambda: counters(node).get("qos_incompatible"), "the node to notice")
