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

"""The result topics; each message is built only while someone subscribes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from nav_msgs.msg import OccupancyGrid
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from flashocc_ros.msg import ClassTable, Occupancy3D, PanopticInstanceArray
from flashocc_ros.ros.outputs.class_table import to_class_table
from flashocc_ros.ros.outputs.grid import CollapseRule, to_grid
from flashocc_ros.ros.outputs.instances import to_instances
from flashocc_ros.ros.outputs.markers import to_markers
from flashocc_ros.ros.outputs.occupancy import to_occupancy
from flashocc_ros.ros.outputs.points import to_points
from flashocc_ros.ros.parameters import NodeParameters
from flashocc_ros.ros.stamps import make_header
from flashocc_ros.structures import Occupancy
from flashocc_ros.variants import Variant


@dataclass(frozen=True)
class Output:
    """A topic, its type, what it says and how a result becomes its message (or the message's bytes).

    The last message of a ``latched`` one reaches those who subscribe later, as readers of maps ask for.
    """

    topic: str
    message_type: type
    description: str
    build: Callable[[Occupancy, Header], Any]
    latched: bool = False


def outputs(parameters: NodeParameters, variant: Variant) -> list[Output]:
    """The result topics of a variant: objects only where there are any, optional types where they are installed."""
    rule = CollapseRule(
        class_costs=parameters.grid.costs.by_class_id(variant.classes),
        min_height_m=parameters.grid.min_height_m,
        max_height_m=parameters.grid.max_height_m,
        empty_is_unknown=parameters.grid.empty_is_unknown,
    )
    everyone = [
        Output("occupancy", Occupancy3D, "class (and instance id) of every voxel", to_occupancy),
        Output("points", PointCloud2, "occupied voxels: x y z rgb class_id instance_id", to_points),
        Output(
            "markers",
            MarkerArray,
            "visible voxels as cubes, names over the nearest objects, arrows where they move",
            partial(to_markers, alpha=parameters.markers.alpha, max_names=parameters.markers.max_names),
        ),
        Output("grid", OccupancyGrid, "2D cost map for nav2, latched", partial(to_grid, rule=rule), latched=True),
    ]
    if variant.panoptic:
        everyone.append(
            Output(
                "instances",
                PanopticInstanceArray,
                "objects, panoptic variants only: class, score, box, velocity",
                to_instances,
            )
        )
        everyone += _detections()
    return everyone + _voxel_grid(parameters.grid.empty_is_unknown)


def _detections() -> list[Output]:
    try:
        from vision_msgs.msg import Detection3DArray

        from flashocc_ros.ros.outputs.detections import to_detections
    except ImportError:  # vision_msgs is not part of every installation of ROS 2
        return []
    about = "the objects for those who know vision_msgs: class by name, score, box along the axes"
    return [Output("detections", Detection3DArray, about, to_detections)]


def _voxel_grid(empty_is_unknown: bool) -> list[Output]:
    try:
        from nav2_msgs.msg import VoxelGrid

        from flashocc_ros.ros.outputs.voxel_grid import to_voxel_grid
    except ImportError:  # nav2_msgs is not part of every installation of ROS 2
        return []
    about = "occupied voxels as bits, for viewers of nav2"
    return [Output("voxel_grid", VoxelGrid, about, partial(to_voxel_grid, empty_is_unknown=empty_is_unknown))]


class Publishers:
    """Publishers of all outputs of a configured node."""

    def __init__(self, node: Node, parameters: NodeParameters, variant: Variant) -> None:
        self._frame, self._classes = parameters.base_frame, variant.classes
        results = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=parameters.outputs.depth,
            reliability=ReliabilityPolicy.RELIABLE
            if parameters.outputs.reliability == "reliable"
            else ReliabilityPolicy.BEST_EFFORT,
        )
        self._outputs: list[tuple[Output, Publisher[Any]]] = []
        latched = QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE
        )
        with ExitStack() as undo:
            for output in outputs(parameters, variant):
                profile = latched if output.latched else results
                publisher: Publisher[Any] = node.create_publisher(output.message_type, output.topic, profile)
                undo.callback(node.destroy_publisher, publisher)
                self._outputs.append((output, publisher))
            self._class_table = node.create_publisher(ClassTable, "class_table", latched)
            undo.callback(node.destroy_publisher, self._class_table)
            self._undo = undo.pop_all()

    def announce(self) -> None:
        """Publish the latched class table: the node is ready."""
        self._class_table.publish(to_class_table(self._classes))

    def subscribers(self) -> dict[str, int]:
        """How many subscriptions each result topic has matched."""
        return {output.topic: publisher.get_subscription_count() for output, publisher in self._outputs}

    def publish(self, occupancy: Occupancy) -> dict[str, float]:
        """Publish what someone listens to; wall milliseconds per topic published."""
        header = make_header(self._frame, occupancy.stamp_ns)
        times_ms: dict[str, float] = {}
        for output, publisher in self._outputs:
            if publisher.get_subscription_count() == 0:
                continue
            started = time.perf_counter()
            publisher.publish(output.build(occupancy, header))
            times_ms[output.topic] = (time.perf_counter() - started) * 1e3
        return times_ms

    def destroy(self) -> None:
        """Take the topics away."""
        self._undo.close()
