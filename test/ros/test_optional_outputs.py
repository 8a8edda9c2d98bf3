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

"""Outputs whose message packages are not part of every ROS 2 installation."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("vision_msgs")
pytest.importorskip("nav2_msgs")
from nav2_msgs.msg import VoxelGrid
from rclpy.serialization import deserialize_message, serialize_message
from vision_msgs.msg import Detection3DArray

from flashocc_ros.bags.types import own_types, typestore
from flashocc_ros.labels import CLASS_NAMES, FREE
from flashocc_ros.msg import Occupancy3D, PanopticInstanceArray
from flashocc_ros.ros.outputs import detections as detections_module
from flashocc_ros.ros.outputs import voxel_grid as voxel_grid_module
from flashocc_ros.ros.outputs.detections import to_detections
from flashocc_ros.ros.outputs.instances import to_instances
from flashocc_ros.ros.outputs.voxel_grid import to_columns, to_voxel_grid
from flashocc_ros.ros.parameter_checks import build
from flashocc_ros.ros.publishers import Publishers, outputs
from flashocc_ros.ros.stamps import make_header
from flashocc_ros.structures import Instance, Occupancy
from flashocc_ros.variants import VARIANTS

PANOPTIC = VARIANTS["synthetic-tiny"]

Make = Callable[..., Any]
CAR, ROAD = CLASS_NAMES.index("car"), CLASS_NAMES.index("driveable_surface")
PEDESTRIAN = CLASS_NAMES.index("pedestrian")
HEADER = make_header("base_link", 1_533_151_603_547_590_123)
TYPES = {"detections": Detection3DArray, "voxel_grid": VoxelGrid}


def occupancy_with(voxels: dict[tuple[int, int, int], int], *instances: Instance) -> Occupancy:
    semantics = np.full((200, 200, 16), FREE, np.uint8)
    for index, label in voxels.items():
        semantics[index] = label
    return Occupancy(semantics, semantics.astype(np.int32), instances, stamp_ns=0)


def status(message: VoxelGrid, x: int, y: int, z: int) -> str:
    """As nav2 documents it: two bits for each voxel, columns row by row."""
    column = message.data[y * message.size_x + x]
    lower, upper = column >> z & 1, column >> (16 + z) & 1
    return {(0, 0): "free", (1, 0): "unknown", (1, 1): "marked"}[lower, upper]


# --- detections


def test_a_detection_says_what_the_instance_says():
    car = Instance(70_000, CAR, 0.75, (1.0, -2.0, 0.5), (4.0, 2.0, 1.6), 9)
    occupancy = occupancy_with({}, car, Instance(20, PEDESTRIAN, 0.5, (9.0, 8.0, 0.25), (0.5, 0.5, 1.75), 3))
    message = to_detections(occupancy, HEADER)
    first, second = message.detections
    (result,) = first.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("car", 0.75)
    position, size = first.bbox.center.position, first.bbox.size
    assert (position.x, position.y, position.z) == (1.0, -2.0, 0.5)
    assert (size.x, size.y, size.z) == (4.0, 2.0, 1.6)
    assert result.pose.pose == first.bbox.center
    assert first.bbox.center.orientation.w == 1.0
    assert message.header == first.header == second.header == HEADER
    assert (second.results[0].hypothesis.class_id, second.id) == ("pedestrian", "20")
    assert [d.id for d in message.detections] == [str(i.id) for i in to_instances(occupancy, HEADER).instances]


def test_no_object_is_an_empty_message():
    assert to_detections(occupancy_with({(5, 5, 5): CAR}), HEADER).detections == []


# --- voxel grid


def test_marked_voxels_are_the_occupied_ones_and_the_rest_of_their_columns_is_free():
    voxels = {(120, 7, 0): ROAD, (120, 7, 5): CAR, (0, 199, 15): CAR}
    message = to_voxel_grid(occupancy_with(voxels), HEADER)
    for index in voxels:
        assert status(message, *index) == "marked"
    assert [status(message, 120, 7, z) for z in (1, 4, 6, 15)] == ["free"] * 4
    assert sum(column >> 16 != 0 for column in message.data) == 2
    assert status(message, 7, 120, 0) == "unknown"


def test_a_column_without_a_voxel_is_unknown_or_free_as_in_the_cost_map():
    empty = occupancy_with({})
    assert set(to_voxel_grid(empty, HEADER).data) == {0x0000_FFFF}
    assert set(to_voxel_grid(empty, HEADER, empty_is_unknown=False).data) == {0}


def test_the_first_voxel_lies_at_the_origin():
    message = to_voxel_grid(occupancy_with({}), HEADER)
    assert (message.size_x, message.size_y, message.size_z, len(message.data)) == (200, 200, 16, 200 * 200)
    assert (message.origin.x, message.origin.y, message.origin.z) == (-40.0, -40.0, -1.0)
    edges = (message.resolutions.x, message.resolutions.y, message.resolutions.z)
    assert edges == pytest.approx((0.4, 0.4, 0.4))
    assert message.header == HEADER


def test_columns_of_any_size_say_the_same_as_voxel_by_voxel():
    semantics = np.random.default_rng(0).choice([CAR, FREE], (5, 3, 11), p=[0.2, 0.8]).astype(np.uint8)
    expected = [[sum(0x10001 << z for z in range(11) if c[z] != FREE) for c in row] for row in semantics]
    np.testing.assert_array_equal(to_columns(semantics, empty_is_unknown=False), expected)


# --- both


@pytest.mark.parametrize("name", TYPES)
def test_recordings_and_the_installed_package_agree_on_every_byte(name: str):
    """The definition that recordings are written with, and the real package where there is one."""
    occupancy = occupancy_with({(1, 2, 3): CAR}, Instance(20, CAR, 0.5, (1.0, 2.0, 3.0), (4.0, 2.0, 1.5), 3))
    message = {"detections": to_detections, "voxel_grid": to_voxel_grid}[name](occupancy, HEADER)
    cdr = bytes(serialize_message(message))
    kind = f"{TYPES[name].__module__.split('.')[0]}/msg/{TYPES[name].__name__}"
    assert kind in own_types()
    store = typestore()
    written = store.serialize_cdr(store.deserialize_cdr(cdr, kind), kind)
    assert deserialize_message(bytes(written), TYPES[name]) == message


@pytest.mark.parametrize(("topic", "package"), [("detections", "vision_msgs"), ("voxel_grid", "nav2_msgs")])
def test_without_its_package_a_topic_is_left_out(topic: str, package: str, monkeypatch: pytest.MonkeyPatch):
    parameters = build({"cameras.names": ["camera"]}, {})
    before = {o.topic for o in outputs(parameters, PANOPTIC)}
    monkeypatch.setitem(sys.modules, f"{package}.msg", None)
    assert before - {o.topic for o in outputs(parameters, PANOPTIC)} == {topic}


def test_without_objects_there_are_no_detections():
    topics = {o.topic for o in outputs(build({"cameras.names": ["camera"]}, {}), VARIANTS["flashocc-r50-M0"])}
    assert "voxel_grid" in topics
    assert not topics & {"detections", "instances"}


def test_a_running_node_publishes_both_and_builds_them_only_while_someone_listens(
    make_feeder: Make, start_node: Make, monkeypatch: pytest.MonkeyPatch
):
    built: list[str] = []
    for name, module in (("detections", detections_module), ("voxel_grid", voxel_grid_module)):
        real = getattr(module, f"to_{name}")
        monkeypatch.setattr(
            module, f"to_{name}", lambda *a, name=name, real=real, **k: built.append(name) or real(*a, **k)
        )
    feeder = make_feeder()
    occupancy = feeder.listen("occupancy", Occupancy3D)
    instances = feeder.listen("instances", PanopticInstanceArray)
    node = start_node()
    feeder.connect(node)
    feeder.send()
    feeder.until(lambda: occupancy and instances, "a result nobody asked more of")
    assert built == []
    heard = {topic: feeder.listen(topic, kind) for topic, kind in TYPES.items()}
    feeder.connect(node)
    feeder.send()
    feeder.until(lambda: len(occupancy) == len(instances) == 2 and all(heard.values()), "a message on every topic")
    (found,), (grid,) = heard["detections"], heard["voxel_grid"]
    assert found.header == grid.header == occupancy[1].header
    labels = np.frombuffer(occupancy[1].labels, np.uint8).reshape(200, 200, 16)
    columns = np.array(grid.data, np.uint32).reshape(200, 200)
    marked = np.stack([columns.T >> (16 + z) & 1 for z in range(16)], axis=2)
    np.testing.assert_array_equal(marked == 1, labels != FREE)


def test_detections_arrive_with_their_objects(make_feeder: Make):
    feeder = make_feeder()
    publishers = Publishers(feeder.node, build({"cameras.names": ["camera"]}, {}), PANOPTIC)
    heard = feeder.listen("detections", Detection3DArray)
    feeder.until(lambda: publishers.subscribers()["detections"] == 1, "a subscription")
    occupancy = occupancy_with({}, Instance(20, CAR, 0.5, (1.0, 2.0, 3.0), (4.0, 2.0, 1.5), 3))
    assert list(publishers.publish(occupancy)) == ["detections"]
    feeder.until(lambda: heard, "the detections")
    assert heard[0] == to_detections(occupancy, make_header("base_link", occupancy.stamp_ns))
    assert len(heard[0].detections) == 1
