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

"""Start the node, and RViz if wanted: `ros2 launch flashocc_ros flashocc.launch.py variant:=flashocc-r50-M0`."""

from __future__ import annotations

import os
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch.substitutions.substitution_failure import SubstitutionFailure
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage

from flashocc_ros.engine_names import AUTO, ENGINES, PRECISIONS
from flashocc_ros.paths import fastdds_profile, share_directory
from flashocc_ros.ros.rviz_layout import camera_views, rviz_config

SHARE = share_directory()
FROM_FILE = ""  # an argument left empty leaves the parameter to the params file
BOOLEAN = ["true", "false"]
RESPAWN_DELAY_S = 2.0


def start(context: LaunchContext) -> list[Action]:
    """The node, and RViz, whose executable is looked up before anything runs."""
    return [*_rviz(context), *_node(context)] if context.launch_configurations["rviz"] == "true" else _node(context)


def _node(context: LaunchContext) -> list[Action]:
    """The node, with the parameter files first and the arguments that were given on top."""
    arguments = context.launch_configurations
    given = {name: arguments[name] for name in ("variant", "checkpoint", "engine", "precision")}
    overrides: dict[str, object] = {name: value for name, value in given.items() if value != FROM_FILE}
    overrides["use_sim_time"] = arguments["use_sim_time"] == "true"
    files = [arguments[name] for name in ("params", "cameras")]
    node = Node(
        package="flashocc_ros",
        executable="flashocc_node",
        name="flashocc_node",
        namespace=arguments["namespace"],
        parameters=[*(path for path in files if path), overrides],
        ros_arguments=["--log-level", arguments["log_level"]],
        respawn=arguments["respawn"] == "true",
        respawn_delay=RESPAWN_DELAY_S,
        output="screen",
        emulate_tty=True,
    )
    return [node]


def _rviz(context: LaunchContext) -> list[Action]:
    """RViz with the cameras of the parameter file, or a failure while nothing has been started."""
    try:
        ExecutableInPackage(executable="rviz2", package="rviz2").perform(context)
    except (PackageNotFoundError, SubstitutionFailure) as error:
        raise RuntimeError(
            f"rviz:=true needs rviz2 ({error}); install ros-{os.environ.get('ROS_DISTRO', '$ROS_DISTRO')}-rviz2 "
            "or leave rviz:=true out"
        ) from error
    arguments = context.launch_configurations
    views = camera_views(*(Path(arguments[name]) for name in ("params", "cameras") if arguments[name]))
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        namespace=arguments["namespace"],
        arguments=["-d", str(rviz_config(SHARE / "config" / "flashocc.rviz", views))],
        remappings=[(view.shown, view.topic) for view in views],
        parameters=[{"use_sim_time": arguments["use_sim_time"] == "true"}],
        output="screen",
    )
    return [rviz]


def generate_launch_description() -> LaunchDescription:
    """All arguments with their choices, the node and RViz."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "variant",
                default_value=FROM_FILE,
                description="Network of `flashocc variants`, or path of a variant file; empty: as in the params file.",
            ),
            DeclareLaunchArgument(
                "checkpoint",
                default_value=FROM_FILE,
                description="Weights, .pth or .safetensors; empty: as in the params file.",
            ),
            DeclareLaunchArgument(
                "engine",
                default_value=FROM_FILE,
                choices=[FROM_FILE, AUTO, *ENGINES],
                description="Inference engine; empty: as in the params file.",
            ),
            DeclareLaunchArgument(
                "precision",
                default_value=FROM_FILE,
                choices=[FROM_FILE, AUTO, *PRECISIONS],
                description="Arithmetic of the engine; empty: as in the params file.",
            ),
            DeclareLaunchArgument(
                "cameras",
                default_value=str(SHARE / "config" / "cameras_nuscenes.yaml"),
                description="Parameter file that lists the cameras and their topics.",
            ),
            DeclareLaunchArgument(
                "params",
                default_value=str(SHARE / "config" / "flashocc.yaml"),
                description="Parameter file of the node.",
            ),
            DeclareLaunchArgument("rviz", default_value="false", choices=BOOLEAN, description="Start RViz."),
            DeclareLaunchArgument(
                "respawn",
                default_value="false",
                choices=BOOLEAN,
                description=f"Start the node again, {RESPAWN_DELAY_S:g} s later, when it ends by itself.",
            ),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="false",
                choices=BOOLEAN,
                description="Take the time from /clock, for recordings and simulators.",
            ),
            DeclareLaunchArgument(
                "namespace", default_value="", description="Namespace of the node and its relative topics."
            ),
            DeclareLaunchArgument(
                "large_messages",
                default_value="false",
                choices=BOOLEAN,
                description="Give Fast DDS a shared memory segment that holds raw images; do so for the cameras too.",
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=["debug", "info", "warn", "error"],
                description="Least severity that is logged.",
            ),
            SetEnvironmentVariable(*fastdds_profile(), condition=IfCondition(LaunchConfiguration("large_messages"))),
            OpaqueFunction(function=start),
        ]
    )
