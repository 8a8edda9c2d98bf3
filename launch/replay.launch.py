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

"""Play a recording through the node: `ros2 launch flashocc_ros replay.launch.py bag:=/data/drive`."""

from __future__ import annotations

import signal
from pathlib import Path

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackagePrefix

from flashocc_ros.paths import share_directory

SHARE = share_directory()
INTERRUPTED = (128 + signal.SIGINT, -signal.SIGINT)
"""Ctrl-C reaches the player from the terminal, maybe before it reaches the launch."""
FLASHOCC = PathJoinSubstitution([FindPackagePrefix("flashocc_ros"), "lib", "flashocc_ros", "flashocc"])


def check_bag(context: LaunchContext) -> None:
    """Fail while nothing has been started."""
    bag = Path(context.launch_configurations["bag"]).expanduser()
    if not bag.exists():
        raise RuntimeError(f"there is no recording {bag}; give bag:= the path of a rosbag2 folder or file")


def start_replay(context: LaunchContext) -> list[Action]:
    """The player; when it has played everything, all stops, and its failure is one of the launch."""
    arguments = context.launch_configurations
    command = [FLASHOCC, "replay", arguments["bag"], "--clock", "--rate", arguments["rate"]]
    command += ["--wait-for", "cameras", "--wait", "300"]
    if arguments["loop"] == "true":
        command.append("--loop")
    # No terminal is feigned: a bar that is redrawn would fill the log.
    player = ExecuteProcess(cmd=command, name="replay", output="screen")
    return [RegisterEventHandler(OnProcessExit(target_action=player, on_exit=end)), player]


def end(event: ProcessExited, context: LaunchContext) -> list[Action]:
    """Shut down; raising is what makes `ros2 launch` end with an error."""
    if event.returncode not in (0, *INTERRUPTED) and not context.is_shutdown:
        raise RuntimeError(f"the replay failed with exit code {event.returncode}; its last line says why")
    return [EmitEvent(event=Shutdown(reason="the recording ended"))]


def generate_launch_description() -> LaunchDescription:
    """Arguments, the node (see flashocc.launch.py for its own arguments) and the player."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="Recording to play: a rosbag2 folder."),
            DeclareLaunchArgument("rate", default_value="1.0", description="Speed of the replay; 1 is real time."),
            DeclareLaunchArgument(
                "loop", default_value="false", choices=["true", "false"], description="Start again at the end."
            ),
            DeclareLaunchArgument("rviz", default_value="true", choices=["true", "false"], description="Start RViz."),
            OpaqueFunction(function=check_bag),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / "launch" / "flashocc.launch.py")),
                launch_arguments={"rviz": LaunchConfiguration("rviz"), "use_sim_time": "true"}.items(),
            ),
            OpaqueFunction(function=start_replay),
        ]
    )
