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

"""Every output, against a plain reading of the result."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")
from geometry_msgs.msg import Point
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from flashocc_ros.bags.ids import message_ids
from flashocc_ros.bags.results import to_objects, to_table, to_volumes
from flashocc_ros.errors import BagError
from flashocc_ros.labels import CLASS_NAMES, FIRST_INSTANCE_ID, FREE, OCC3D, ClassTable, SemanticClass
from flashocc_ros.point_files import POINT_DTYPE
from flashocc_ros.ros.outputs.class_table import to_class_table
from flashocc_ros.ros.outputs.grid import CollapseRule, to_grid
from flashocc_ros.ros.outputs.instances import to_instances
from flashocc_ros.ros.outputs.markers import (
    NAME_CONTRAST,
    RVIZ_GROUND,
    contrast,
    name_color,
    small_markers,
    surface,
    surface_cubes,
    to_markers,
)
from flashocc_ros.ros.outputs.occupancy import to_occupancy
from flashocc_ros.ros.outputs.points import to_points
from flashocc_ros.ros.parameters import CostParameters
from flashocc_ros.ros.stamps import make_header, ns_from_stamp
from flashocc_ros.structures import Instance, Occupancy, VoxelGrid

CAR = CLASS_NAMES.index("car")
ROAD = CLASS_NAMES.index("driveable_surface")
STAMP_NS = 1_533_151_603_547_590_123
HEADER = make_header("base_link", STAMP_NS)
CONFIG = Path(__file__).resolve().parents[2] / "config"
RVIZ_CONFIG = CONFIG / "flashocc.rviz"
ID_COUNT = 2**16 - FIRST_INSTANCE_ID
COSTS = [100] * 11 + [0, 30, 60, 80, 100, 100]
RULE = CollapseRule(class_costs=COSTS, min_height_m=0.0, max_height_m=2.2)


def occupancy_with(voxels: dict[tuple[int, int, int], int], instances: dict[tuple[int, int, int], int] | None = None):
    semantics = np.full((200, 200, 16), FREE, np.uint8)
    for index, label in voxels.items():
        semantics[index] = label
    grid = None
    centers: tuple[Instance, ...] = ()
    if instances is not None:
        grid = semantics.astype(np.int32)
        for index, identifier in instances.items():
            grid[index] = identifier
        centers = tuple(
            Instance(i, CAR, 0.75, (1.0, 2.0, 0.5), (4.0, 2.0, 1.6), n)
            for i, n in zip(*np.unique(list(instances.values()), return_counts=True), strict=True)
        )
    return Occupancy(semantics=semantics, instances=grid, centers=centers, stamp_ns=STAMP_NS)


def random_occupancy(seed: int = 0, occupied: float = 0.05) -> Occupancy:
    rng = np.random.default_rng(seed)
    semantics = np.full((200, 200, 16), FREE, np.uint8)
    mask = rng.random(semantics.shape) < occupied
    semantics[mask] = rng.integers(0, FREE, mask.sum())
    return Occupancy(semantics=semantics, instances=None, centers=(), stamp_ns=STAMP_NS)


def test_header_keeps_every_nanosecond_of_the_stamp():
    assert ns_from_stamp(HEADER.stamp) == STAMP_NS
    assert HEADER.frame_id == "base_link"


# --- occupancy, instances, class table


def test_occupancy_stores_a_voxel_where_the_message_says():
    index, label = (120, 7, 3), CAR
    message = to_occupancy(occupancy_with({index: label}), HEADER)
    flat = (index[0] * message.size_y + index[1]) * message.size_z + index[2]
    assert message.labels[flat] == label
    assert sum(value != FREE for value in message.labels) == 1
    assert (message.size_x, message.size_y, message.size_z) == (200, 200, 16)
    assert message.resolution == pytest.approx(0.4)
    assert (message.origin.x, message.origin.y, message.origin.z) == (-40.0, -40.0, -1.0)
    assert message.header.stamp == HEADER.stamp


def test_occupancy_has_instances_only_when_the_result_has():
    assert len(to_occupancy(occupancy_with({}), HEADER).instances) == 0
    message = to_occupancy(occupancy_with({}, {(1, 2, 3): 70_000}), HEADER)
    assert len(message.instances) == 200 * 200 * 16
    assert message.instances[(1 * 200 + 2) * 16 + 3] == message_ids(70_000, OCC3D)


def test_occupancy_survives_the_wire():
    message = to_occupancy(occupancy_with({(0, 0, 1): ROAD}, {(9, 9, 9): 20}), HEADER)
    back = deserialize_message(serialize_message(message), type(message))
    assert (back.header, back.labels, back.instances) == (message.header, message.labels, message.instances)


def test_instances_carry_everything_and_the_id_of_their_voxels():
    occupancy = occupancy_with({}, {(1, 2, 3): 70_000, (1, 2, 4): 70_000})
    (instance,) = to_instances(occupancy, HEADER).instances
    assert instance.id == to_occupancy(occupancy, HEADER).instances[(1 * 200 + 2) * 16 + 3]
    assert (instance.class_id, instance.voxel_count) == (CAR, 2)
    assert instance.score == pytest.approx(0.75)
    assert (instance.center.x, instance.center.y, instance.center.z) == (1.0, 2.0, 0.5)
    assert (instance.extent.x, instance.extent.y, instance.extent.z) == (4.0, 2.0, 1.6)


def test_instances_tell_their_velocity_where_it_is_known():
    first = Instance(20, CAR, 0.5, (9.0, 0.0, 0.5), (4.0, 2.0, 1.6), 5)
    known = dataclasses.replace(first, id=21, velocity_mps=(3.0, -1.0, 0.25), velocity_std_mps=0.5)
    occupancy = dataclasses.replace(occupancy_with({}), centers=(first, known))
    message = to_instances(occupancy, HEADER)
    velocity = message.instances[1].velocity
    assert (velocity.x, velocity.y, velocity.z, message.instances[1].velocity_std) == (3.0, -1.0, 0.25, 0.5)
    assert np.isnan(message.instances[0].velocity.x)
    back = deserialize_message(serialize_message(message), type(message))
    assert to_objects(back) == occupancy.centers


def test_class_table_names_and_colours_every_class():
    table = to_class_table(OCC3D)
    occupancy = to_occupancy(occupancy_with({}), HEADER)
    assert (table.name, table.version) == (occupancy.class_table, occupancy.class_table_version)
    assert list(table.ids) == list(range(18))
    assert table.names == list(CLASS_NAMES)
    assert table.colors_rgb[3 * CAR : 3 * CAR + 3].tolist() == list(OCC3D.colors_rgb[CAR])


OWN = ClassTable(
    "own",
    3,
    (
        SemanticClass("free", (255, 255, 255), cost=0),
        SemanticClass("floor", (10, 20, 30), flat=True, cost=7),
        SemanticClass("crate", (200, 100, 0), thing=True, cost=90),
    ),
    0,
)


def own_result() -> Occupancy:
    """A floor with a crate on it, on a small grid."""
    semantics = np.zeros((6, 4, 3), np.uint8)
    semantics[:, :, 0] = 1
    semantics[2, 1, 1] = 2
    instances = semantics.astype(np.int32)
    instances[2, 1, 1] = 3
    objects = (Instance(3, 2, 0.5, (0.5, 0.0, 0.5), (0.5, 0.5, 0.5), 1),)
    grid = VoxelGrid(0.5, (-1.0, -1.0, -0.5), (6, 4, 3))
    return Occupancy(semantics, instances, objects, STAMP_NS, grid=grid, classes=OWN)


def test_a_result_of_own_classes_survives_the_wire():
    message, table = to_occupancy(own_result(), HEADER), to_class_table(OWN)
    if not hasattr(table, "things"):
        pytest.skip("the messages were built before ClassTable told things; run `make setup`")
    read = to_table(table)
    assert read.same_ids(OWN)
    assert (read.things, read.flat, read.colors_rgb) == (OWN.things, OWN.flat, OWN.colors_rgb)
    semantics, instances, grid, classes = to_volumes(message, {(read.name, read.version): read})
    assert (classes, grid) == (read, own_result().grid)
    np.testing.assert_array_equal(semantics, own_result().semantics)
    assert instances is not None
    assert instances[2, 1, 1] == 3
    with pytest.raises(BagError, match=r"class table own, version 3, which is nowhere told; record .* class_table"):
        to_volumes(message, {})


def test_costs_names_and_colours_of_own_classes():
    result = own_result()
    rule = CollapseRule(CostParameters().by_class_id(OWN), 0.0, 2.2)
    grid = to_grid(result, HEADER, rule)
    assert (grid.info.width, grid.info.height) == (6, 4)
    assert np.array(grid.data).reshape(4, 6)[1].tolist() == [7, 7, 90, 7, 7, 7]
    markers = deserialize_message(to_markers(result, HEADER), MarkerArray).markers
    assert markers[1].text == "crate 3"
    assert len(markers[-1].points) == 6 * 4 + 1
    assert set(read_points(to_points(result, HEADER))["instance_id"].tolist()) == {0, 3}


# --- points


def read_points(message) -> np.ndarray:
    """As a reader that knows only the message's own field table."""
    kinds = {7: "<f4", 2: "u1", 6: "<u4"}
    layout = np.dtype(
        {
            "names": [f.name for f in message.fields],
            "formats": [kinds[f.datatype] for f in message.fields],
            "offsets": [f.offset for f in message.fields],
            "itemsize": message.point_step,
        }
    )
    return np.frombuffer(message.data, layout)


def test_points_hold_centre_colour_class_and_instance_of_each_occupied_voxel():
    message = to_points(occupancy_with({(0, 0, 0): ROAD, (100, 150, 5): CAR}, {(100, 150, 5): 21}), HEADER)
    road, car = read_points(message)
    np.testing.assert_allclose([road["x"], road["y"], road["z"]], [-39.8, -39.8, -0.8], atol=1e-5)
    np.testing.assert_allclose([car["x"], car["y"], car["z"]], [0.2, 20.2, 1.2], atol=1e-5)
    packed = car["rgb"].view(np.uint32)
    assert [(packed >> s) & 255 for s in (16, 8, 0)] == list(OCC3D.colors_rgb[CAR])
    assert (road["class_id"], road["instance_id"]) == (ROAD, 0)
    assert (car["class_id"], car["instance_id"]) == (CAR, 21)


def test_point_cloud_is_consistent_and_survives_the_wire():
    message = to_points(random_occupancy(), HEADER)
    back = deserialize_message(serialize_message(message), type(message))
    assert back.width * back.point_step == back.row_step == len(back.data)
    assert back.point_step == POINT_DTYPE.itemsize
    assert len(read_points(back)) == int((random_occupancy().semantics != FREE).sum())


def test_a_free_volume_gives_an_empty_cloud():
    assert to_points(occupancy_with({}), HEADER).width == 0


# --- markers


def naive_markers(occupancy: Occupancy, alpha: float) -> MarkerArray:
    markers = small_markers(occupancy, HEADER)
    centers_m, colors = surface_cubes(occupancy, alpha)
    markers[-1].points = [Point(x=x, y=y, z=z) for x, y, z in centers_m.tolist()]
    markers[-1].colors = [ColorRGBA(r=r, g=g, b=b, a=a) for r, g, b, a in colors.tolist()]
    return MarkerArray(markers=markers)


@pytest.mark.parametrize("names", [0, 1, 2, 3], ids="{0.real} names".format)
def test_marker_bytes_have_the_layout_of_the_typed_message(names: int):
    cells = {(10 + i, 20, 3): 18 + 9 * i for i in range(names)}  # ids of one and two digits move the alignment
    occupancy = occupancy_with({(1, 2, 3): ROAD, **dict.fromkeys(cells, CAR)}, cells)
    frame, naive = to_markers(occupancy, HEADER, 0.5), naive_markers(occupancy, 0.5)
    assert len(frame) == len(bytes(serialize_message(naive)))
    assert deserialize_message(frame, MarkerArray) == deserialize_message(serialize_message(naive), MarkerArray)


def test_marker_bytes_of_a_full_scene_deserialise_to_the_typed_message():
    occupancy = random_occupancy(occupied=0.02)
    assert deserialize_message(to_markers(occupancy, HEADER, 0.8), MarkerArray) == naive_markers(occupancy, 0.8)


def test_markers_start_with_deleteall_and_name_each_instance():
    message = deserialize_message(to_markers(occupancy_with({}, {(5, 5, 5): 42}), HEADER), MarkerArray)
    assert message.markers[0].action == Marker.DELETEALL
    assert [m.text for m in message.markers if m.type == Marker.TEXT_VIEW_FACING] == ["car 42"]


def test_markers_clear_every_namespace_and_use_no_name_twice():
    first, one_more = FIRST_INSTANCE_ID + 24, FIRST_INSTANCE_ID + 24 + ID_COUNT  # the same in sixteen bits
    occupancy = occupancy_with({(1, 2, 3): ROAD}, {(5, 5, 5): first, (9, 9, 9): one_more})
    markers = deserialize_message(to_markers(occupancy, HEADER), MarkerArray).markers
    assert [(m.action, m.ns, m.id) for m in markers] == [
        (Marker.DELETEALL, "", 0),  # viewers clear only the namespace that is named
        (Marker.ADD, "instances", first),
        (Marker.ADD, "instances", one_more),
        (Marker.ADD, "occupancy", 0),
    ]


def rviz_status(markers: list[Marker]) -> str:
    """What RViz 14 says of an array: a name and id twice make the whole display red, whatever the actions."""
    keys = [(m.ns, m.id) for m in markers]
    return (
        "" if len(set(keys)) == len(keys) else "Multiple Markers in the same MarkerArray message had the same ns and id"
    )


def rviz_scene(scene: dict[tuple[str, int], Marker], markers: list[Marker]) -> None:
    """What RViz 14 shows afterwards: DELETEALL clears the namespace that is named, or all where none is."""
    for marker in markers:
        if marker.action == Marker.ADD:
            scene[marker.ns, marker.id] = marker
        elif marker.action == Marker.DELETEALL:
            for key in [key for key in scene if marker.ns in ("", key[0])]:
                del scene[key]


def test_rviz_forgets_the_names_of_objects_that_left():
    scene: dict[tuple[str, int], Marker] = {}
    for instances in ({(5, 5, 5): 20, (9, 9, 9): 21}, {(9, 9, 9): 21, (1, 1, 1): 18}):
        markers = deserialize_message(to_markers(occupancy_with({}, instances), HEADER), MarkerArray).markers
        assert rviz_status(markers) == ""
        rviz_scene(scene, markers)
    assert {m.text for m in scene.values() if m.ns == "instances"} == {"car 21", "car 18"}
    assert sum(m.type == Marker.CUBE_LIST for m in scene.values()) == 1


@pytest.mark.parametrize("class_id", range(len(CLASS_NAMES) - 1))
def test_names_can_be_read_on_the_ground_of_rviz(class_id: int):
    ground = yaml.safe_load(RVIZ_CONFIG.read_text())["Visualization Manager"]["Global Options"]["Background Color"]
    for rgb in (RVIZ_GROUND, tuple(int(v) for v in ground.split(";"))):
        assert contrast(name_color(OCC3D.colors_rgb[class_id]), [v / 255 for v in rgb]) >= NAME_CONTRAST


def test_contrast_is_that_of_wcag():
    assert contrast((1, 1, 1), (0, 0, 0)) == pytest.approx(21)
    assert contrast((0, 0, 0), (0.466, 0.466, 0.466)) == pytest.approx(4.69, abs=0.02)  # #777777


def test_the_nearest_objects_keep_their_names():
    far = [Instance(18 + k, CAR, 0.9, (20.0 - 4 * k, -1.0, 0.5), (4.0, 2.0, 1.6), 5) for k in range(5)]
    occupancy = dataclasses.replace(occupancy_with({(1, 2, 3): ROAD}), centers=tuple(far))
    texts = [m.text for m in small_markers(occupancy, HEADER, 2) if m.type == Marker.TEXT_VIEW_FACING]
    assert texts == ["car 22", "car 21"]
    assert [m.ns for m in small_markers(occupancy, HEADER, 0)] == ["", "occupancy"]


def test_what_moves_has_an_arrow_as_long_as_its_way_in_a_second():
    stands = Instance(20, CAR, 0.5, (9.0, 0.0, 1.0), (4.0, 2.0, 2.0), 5, (0.1, 0.0, 0.0), 0.4)
    moves = dataclasses.replace(stands, id=21, velocity_mps=(-6.0, 1.0, 0.0))
    markers = small_markers(dataclasses.replace(occupancy_with({}), centers=(stands, moves)), HEADER)
    assert rviz_status(markers) == ""
    (arrow,) = (m for m in markers if m.action == Marker.ADD and m.type == Marker.ARROW)
    assert (arrow.ns, arrow.id) == ("velocities", 21)
    assert [(p.x, p.y, p.z) for p in arrow.points] == [(9.0, 0.0, 2.0), (3.0, 1.0, 2.0)]


def test_a_free_volume_still_clears_the_viewer():
    message = deserialize_message(to_markers(occupancy_with({}), HEADER), MarkerArray)
    assert message.markers[0].action == Marker.DELETEALL
    assert not message.markers[-1].points


def test_surface_keeps_exactly_the_voxels_with_a_free_face():
    occupied = np.zeros((7, 8, 6), bool)
    occupied[1:6, 1:6, 0:5] = True
    expected = np.zeros_like(occupied)
    for index in np.argwhere(occupied):
        neighbours = [index + step for step in np.vstack([np.eye(3, dtype=int), -np.eye(3, dtype=int)])]
        inside = [bool(np.all(n >= 0) and np.all(n < occupied.shape)) for n in neighbours]
        expected[tuple(index)] = not all(i and occupied[tuple(n)] for i, n in zip(inside, neighbours, strict=True))
    np.testing.assert_array_equal(surface(occupied), expected)
    assert not surface(occupied)[3, 3, 2]


# --- grid


def cell(message, x_m: float, y_m: float) -> int:
    """As nav2 reads it: row-major, x along a row, from the origin."""
    column = int((x_m - message.info.origin.position.x) / message.info.resolution)
    row = int((y_m - message.info.origin.position.y) / message.info.resolution)
    return message.data[row * message.info.width + column]


def test_grid_puts_cost_where_the_obstacle_is():
    occupancy = occupancy_with({(150, 110, 2): ROAD, (150, 110, 4): CAR, (20, 30, 2): ROAD})
    message = to_grid(occupancy, HEADER, RULE)
    assert cell(message, -40 + 150.5 * 0.4, -40 + 110.5 * 0.4) == 100
    assert cell(message, -40 + 20.5 * 0.4, -40 + 30.5 * 0.4) == 0
    assert cell(message, 0.0, 0.0) == -1
    assert sorted(set(message.data)) == [-1, 0, 100]


def test_grid_is_not_blocked_by_what_hangs_above_the_band():
    tree = CLASS_NAMES.index("vegetation")
    assert cell(to_grid(occupancy_with({(5, 5, 2): ROAD, (5, 5, 12): tree}), HEADER, RULE), -37.8, -37.8) == 0


def test_ground_counts_at_any_height():
    sidewalk = CLASS_NAMES.index("sidewalk")
    assert cell(to_grid(occupancy_with({(5, 5, 0): sidewalk}), HEADER, RULE), -37.8, -37.8) == 60


def test_empty_columns_may_count_as_free():
    rule = CollapseRule(class_costs=COSTS, min_height_m=0.0, max_height_m=2.2, empty_is_unknown=False)
    assert set(to_grid(occupancy_with({}), HEADER, rule).data) == {0}


def nav2_cost(value: int, settings: dict[str, Any]) -> int:
    """What the static layer of nav2 makes of a cell of a map (int8, read as unsigned)."""
    value %= 256
    if value == settings.get("unknown_cost_value", 255):
        return 255 if settings.get("track_unknown_space", False) else 0
    if value == settings.get("inscribed_obstacle_cost_value", 99):
        return 253
    if value >= settings.get("lethal_cost_threshold", 100):
        return 254
    return 0 if settings.get("trinary_costmap", True) else int(value / settings["lethal_cost_threshold"] * 254)


def test_the_shipped_settings_keep_the_costs_in_nav2():
    settings = yaml.safe_load((CONFIG / "nav2_costmap.yaml").read_text())
    settings = settings["local_costmap"]["local_costmap"]["ros__parameters"]
    classes = {CLASS_NAMES.index(name): name for name in ("driveable_surface", "other_flat", "sidewalk", "terrain")}
    seen = {name: nav2_cost(COSTS[class_id], settings) for class_id, name in classes.items()}
    assert seen == {"driveable_surface": 0, "other_flat": 76, "sidewalk": 152, "terrain": 203}
    assert nav2_cost(COSTS[CAR], settings) == 254
    assert nav2_cost(-1, settings) == 255
    assert len({nav2_cost(cost, {}) for cost in (-1, 0, 30, 60, 80)}) == 1  # nav2's defaults tell none of these apart


def test_the_shipped_settings_fit_the_grid():
    settings = yaml.safe_load((CONFIG / "nav2_costmap.yaml").read_text())
    settings = settings["local_costmap"]["local_costmap"]["ros__parameters"]
    info = to_grid(occupancy_with({}), HEADER, RULE).info
    assert settings["rolling_window"] is True
    assert settings["resolution"] == pytest.approx(info.resolution)
    assert settings["width"] == settings["height"] == round(info.width * info.resolution)
    layers = [settings[name] for name in settings["plugins"]]
    assert [layer["plugin"] for layer in layers] == ["nav2_costmap_2d::StaticLayer", "nav2_costmap_2d::InflationLayer"]
    assert layers[0]["map_subscribe_transient_local"] is True


# --- ids


def test_ids_fit_sixteen_bits_and_never_become_a_class():
    ids = np.array([0, 17, 18, 65535, 65536, 65536 + ID_COUNT], np.int32)
    assert message_ids(ids, OCC3D).tolist() == [0, 17, 18, 65535, 18, 18]
    assert [message_ids(int(i), OCC3D) for i in ids] == message_ids(ids, OCC3D).tolist()
