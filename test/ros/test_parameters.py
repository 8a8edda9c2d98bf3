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

"""Parameters: what is declared, and one sentence for each bad value."""

from __future__ import annotations

import importlib.util
import inspect
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from flashocc_ros.cameras.sync import AnchorSynchronizer
from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import CLASS_NAMES, OCC3D
from flashocc_ros.pipeline.memory import TemporalMemory
from flashocc_ros.pipeline.panoptic import MAX_DISTANCE_M
from flashocc_ros.pipeline.tracking import Tracker
from flashocc_ros.ros.declare import declare, on_set, read
from flashocc_ros.ros.parameter_checks import build
from flashocc_ros.ros.parameters import CostParameters, DistanceParameters, walk
from flashocc_ros.variants import VARIANTS, get_variant

TEMPORAL = next(v.name for v in VARIANTS.values() if v.num_frames > 1)
CAMERAS = ["front", "back"]


def make(overrides: dict[str, dict[str, str]] | None = None, **values: Any):
    names = {"cameras.names": CAMERAS} | {key.replace("__", "."): value for key, value in values.items()}
    return build(names, overrides or {})


def test_defaults_are_usable_with_a_camera_list():
    parameters = make()
    assert parameters.anchor == "front"
    assert parameters.image_topic("back") == "back/image_rect_compressed"
    assert parameters.info_topic("back") == "back/camera_info"


def test_raw_transport_changes_the_default_topic():
    assert make(cameras__transport="raw").image_topic("front") == "front/image_rect"


def test_a_camera_may_override_topics_and_frame():
    parameters = make({"front": {"image_topic": "/left_eye", "frame": "eye_optical"}})
    assert parameters.image_topic("front") == "/left_eye"
    assert parameters.frame("front") == "eye_optical"
    assert parameters.info_topic("front") == "front/camera_info"


def test_cost_parameters_follow_the_class_table():
    assert tuple(item.name for item in fields(CostParameters)) == CLASS_NAMES[:-1]
    assert CostParameters(car=7).by_class_id(OCC3D)[CLASS_NAMES.index("car")] == 7


def test_a_variant_file_may_stand_for_a_name():
    example = str(Path(__file__).resolve().parents[2] / "config" / "variant.yaml")
    names = {"cameras.names": ["front"]}
    assert build({"variant": example, **names}, {}).variant == example
    own = get_variant(example).classes
    assert CostParameters().by_class_id(own) == tuple(c.cost for c in own.classes)
    with pytest.raises(ConfigError, match=r"grid.costs name classes of Occ3D, but yard has its own; .* variant file"):
        build({"variant": example, "grid.costs.car": 7, **names}, {})
    with pytest.raises(ConfigError, match=r"nowhere.yaml: it cannot be read"):
        build({"variant": "nowhere.yaml", **names}, {})


BAD = [
    ({"variant": "flashocc-r50-M9"}, ["variant", "flashocc-r50-M9", "did you mean flashocc-r50-M0"]),
    ({"checkpoint": "/nowhere/m0.pth"}, ["checkpoint", "/nowhere/m0.pth", ".safetensors"]),
    ({"cache_dir": "/dev/null"}, ["cache_dir", "/dev/null", "no folder"]),
    ({"engine": "caffe"}, ["engine", "caffe", "openvino"]),
    ({"precision": "fp8"}, ["precision", "fp8", "int8"]),
    ({"cameras.names": []}, ["cameras.names", "[]", "1 to 12", "cameras_nuscenes.yaml"]),
    ({"cameras.names": [f"c{i}" for i in range(13)]}, ["cameras.names", "13 cameras", "1 to 12"]),
    ({"cameras.names": ["a", "a"]}, ["cameras.names", "twice"]),
    ({"cameras.names": ["front left"]}, ["cameras.names", "front left", "underscores"]),
    ({"cameras.names": ["depth"]}, ["cameras.names", "depth", "cannot name a camera"]),
    ({"cameras.transport": "theora"}, ["cameras.transport", "theora", "compressed, raw"]),
    ({"cameras.image_topic": "/image"}, ["cameras.back.image_topic", "/image", "cameras.front.image_topic", "{name}"]),
    ({"cameras.bit_depth": 4}, ["cameras.bit_depth", "4", "8 to 16"]),
    ({"cameras.info_topic": ""}, ["cameras.front.info_topic", "K", "CameraInfo"]),
    ({"sync.policy": "exact"}, ["sync.policy", "exact", "anchor"]),
    ({"sync.anchor": "roof"}, ["sync.anchor", "roof", "front, back"]),
    ({"sync.timeout_s": -1.0}, ["sync.timeout_s", "-1.0", "0.01 to 5"]),
    ({"sync.offsets_s": [0.01]}, ["sync.offsets_s", "0.01", "2 cameras"]),
    ({"base_frame": ""}, ["base_frame", "''", "base_link"]),
    ({"base_frame": "/"}, ["base_frame", "'/'", "base_link"]),
    ({"base_frame": "odom"}, ["base_frame", "'odom'", "odom_frame"]),
    ({"variant": TEMPORAL, "odom_frame": ""}, ["odom_frame", TEMPORAL, "single-frame"]),
    ({"grid.min_height_m": 3.0}, ["grid.min_height_m", "3.0", "grid.max_height_m"]),
    ({"grid.costs.car": 101}, ["grid.costs.car", "101", "0 to 100"]),
    ({"diagnostics.warn_after_s": 9.0}, ["diagnostics.warn_after_s", "9.0", "diagnostics.error_after_s"]),
    ({"markers.alpha": float("nan")}, ["markers.alpha", "nan", "0 to 1"]),
]


@pytest.mark.parametrize(("values", "words"), BAD, ids=[" ".join(f"{k}={v}" for k, v in b.items()) for b, _ in BAD])
def test_a_bad_value_is_refused_in_one_sentence(values: dict[str, Any], words: list[str]):
    with pytest.raises(ConfigError) as caught:
        build({"cameras.names": CAMERAS} | values, {})
    message = str(caught.value)
    assert message.startswith("parameter ")
    assert "\n" not in message
    assert [w for w in words if w not in message] == []


@pytest.mark.skipif(importlib.util.find_spec("message_filters") is not None, reason="message_filters is installed")
def test_approximate_time_without_message_filters_is_refused():
    with pytest.raises(ConfigError, match=r"sync.policy: 'approximate_time' needs .* message_filters"):
        make(sync__policy="approximate_time")


def test_every_parameter_says_what_it_is_and_numbers_have_limits():
    for name, default, limits in walk():
        assert limits.description, name
        if isinstance(default, int | float) and not isinstance(default, bool):
            assert limits.minimum is not None, name
            assert limits.minimum <= default <= limits.maximum, name


@pytest.fixture
def make_node():
    context = Context()
    context.init()
    nodes: list[Node] = []

    def _make(**overrides: Any) -> Node:
        values = [Parameter(key.replace("__", "."), value=value) for key, value in overrides.items()]
        node = Node("parameters", context=context, parameter_overrides=values, start_parameter_services=False)
        nodes.append(node)
        return node

    yield _make
    for node in nodes:
        node.destroy_node()
    context.shutdown()


def test_declared_parameters_read_back_as_given(make_node: Any):
    node, rejected = make_node(cameras__names=CAMERAS, cameras__back__frame="rear", sync__timeout_s=0.25), {}
    declare(node, rejected)
    parameters = read(node, rejected)
    assert parameters.cameras.names == ("front", "back")
    assert parameters.frame("back") == "rear"
    assert parameters.sync.timeout_s == 0.25


def test_descriptors_carry_description_range_choices_and_read_only(make_node: Any):
    node = make_node()
    declare(node, {})
    assert "openvino" in node.describe_parameter("engine").additional_constraints
    assert node.describe_parameter("sync.timeout_s").floating_point_range[0].to_value == 5.0
    assert node.describe_parameter("grid.costs.car").integer_range[0].to_value == 100
    assert node.describe_parameter("autostart").read_only
    assert all(node.describe_parameter(name).description for name, _, _ in walk())


@pytest.mark.parametrize(("name", "value"), [("sync.timeout_s", 99.0), ("sync.timeout_s", "soon"), ("autostart", 3)])
def test_a_start_value_that_cannot_be_declared_fails_the_read_until_it_is_set_right(
    make_node: Any, name: str, value: Any
):
    node, rejected = make_node(**{name.replace(".", "__"): value}, cameras__names=CAMERAS), {}
    declare(node, rejected)
    node.add_on_set_parameters_callback(on_set(lambda: False, rejected))
    with pytest.raises(ConfigError, match=f"parameter {name}: .*{value}"):
        read(node, rejected)
    if name != "autostart":
        assert node.set_parameters([Parameter(name, value=0.5)])[0].successful
        assert read(node, rejected).sync.timeout_s == 0.5


def test_setting_a_bad_choice_is_refused_with_the_choices(make_node: Any):
    node = make_node()
    declare(node, {})
    node.add_on_set_parameters_callback(on_set(lambda: False, {}))
    result = node.set_parameters([Parameter("engine", value="caffe")])[0]
    assert not result.successful
    assert "openvino" in result.reason
    assert node.get_parameter("engine").value == "auto"


def test_parameters_are_fixed_while_configured(make_node: Any):
    node = make_node()
    declare(node, {})
    node.add_on_set_parameters_callback(on_set(lambda: True, {}))
    result = node.set_parameters([Parameter("engine", value="torch")])[0]
    assert not result.successful
    assert "clean" in result.reason


def test_distance_parameters_are_the_limits_of_the_predictor():
    assert DistanceParameters().by_class_name() == MAX_DISTANCE_M


SYNC, MEMORY, TRACKER = partial(AnchorSynchronizer, ["front", "back"]), partial(TemporalMemory, 0), Tracker
SHARED = {
    "sync.timeout_s": (SYNC, "timeout_s"),
    "sync.queue_size": (SYNC, "queue_size"),
    "sync.max_backward_s": (SYNC, "max_backward_s"),
    "memory.interval_s": (MEMORY, "interval_s"),
    "memory.max_gap_s": (MEMORY, "max_gap_s"),
    "memory.max_speed_mps": (MEMORY, "max_speed_mps"),
    "panoptic.track_max_age_s": (TRACKER, "max_age_s"),
}
"""Parameters that Python users give as arguments."""


@pytest.mark.parametrize("name", SHARED)
def test_a_parameter_has_default_and_range_of_its_argument(name: str):
    (owner, argument), declared = SHARED[name], {each: (default, limits) for each, default, limits in walk()}
    default, limits = declared[name]
    assert inspect.signature(owner).parameters[argument].default == default
    for allowed, beyond in ((limits.minimum, limits.minimum - 1e-3), (limits.maximum, limits.maximum + 1e-3)):
        owner(**{argument: allowed})
        with pytest.raises(ConfigError, match=name):
            owner(**{argument: beyond})
