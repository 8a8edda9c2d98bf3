"""Play a recording through the node: `ros2 launch flashocc_ros replay.launch.py bag:=/data/drive`."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription
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
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackagePrefix

from flashocc_ros.paths import share_directory

SHARE = share_directory()
FLASHOCC = PathJoinSubstitution([FindPackagePrefix("flashocc_ros"), "lib", "flashocc_ros", "flashocc"])


def start_replay(context: LaunchContext) -> list[ExecuteProcess | RegisterEventHandler]:
    """The player; when it has played everything, all stops."""
    arguments = context.launch_configurations
    command = [
        FLASHOCC,
        "replay",
        arguments["bag"],
        "--clock",
        "--rate",
        arguments["rate"],
        "--wait-for",
        "cameras",
        "--wait",
        "300",
    ]
    if arguments["loop"] == "true":
        command.append("--loop")
    player = ExecuteProcess(cmd=command, output="screen", emulate_tty=True)
    finished = OnProcessExit(target_action=player, on_exit=[EmitEvent(event=Shutdown(reason="the recording ended"))])
    return [RegisterEventHandler(finished), player]


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
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / "launch" / "flashocc.launch.py")),
                launch_arguments={"rviz": LaunchConfiguration("rviz"), "use_sim_time": "true"}.items(),
            ),
            OpaqueFunction(function=start_replay),
        ]
    )
