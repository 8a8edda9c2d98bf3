"""Start the node, and RViz if wanted: `ros2 launch flashocc_ros flashocc.launch.py variant:=flashocc-r50-M0`."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from flashocc_ros.engine_names import AUTO, ENGINES, PRECISIONS
from flashocc_ros.paths import share_directory
from flashocc_ros.variants import VARIANTS

SHARE = share_directory()
FROM_FILE = ""  # an argument left empty leaves the parameter to the params file
BOOLEAN = ["true", "false"]


def start_node(context: LaunchContext) -> list[Node]:
    """The node, with the parameter files first and the arguments that were given on top."""
    given = {name: context.launch_configurations[name] for name in ("variant", "checkpoint", "engine", "precision")}
    overrides: dict[str, object] = {name: value for name, value in given.items() if value != FROM_FILE}
    overrides["use_sim_time"] = context.launch_configurations["use_sim_time"] == "true"
    files = [context.launch_configurations[name] for name in ("params", "cameras")]
    return [
        Node(
            package="flashocc_ros",
            executable="flashocc_node",
            name="flashocc_node",
            namespace=context.launch_configurations["namespace"],
            parameters=[*(path for path in files if path), overrides],
            ros_arguments=["--log-level", context.launch_configurations["log_level"]],
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """All arguments with their choices, the node and RViz."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "variant",
                default_value=FROM_FILE,
                choices=[FROM_FILE, *VARIANTS],
                description="Network; empty: as in the params file. `flashocc variants` describes them.",
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
            # The variable's name changed between Fast DDS releases.
            *(
                SetEnvironmentVariable(
                    name,
                    str(SHARE / "config" / "fastdds_shm.xml"),
                    condition=IfCondition(LaunchConfiguration("large_messages")),
                )
                for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
            ),
            OpaqueFunction(function=start_node),
            Node(
                package="rviz2",
                executable="rviz2",
                name="rviz",
                namespace=LaunchConfiguration("namespace"),
                arguments=["-d", str(SHARE / "config" / "flashocc.rviz")],
                parameters=[{"use_sim_time": LaunchConfiguration("use_sim_time")}],
                condition=IfCondition(LaunchConfiguration("rviz")),
            ),
        ]
    )
