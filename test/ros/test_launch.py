"""Configuration files always; launch files with the real `launch` and `launch_ros` where they are installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flashocc_ros.ros.parameter_checks import build
from flashocc_ros.ros.parameters import walk

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [tuple(word.split(":=")) for word in sys.argv[2:]]
service = LaunchService()
source = PythonLaunchDescriptionSource(sys.argv[1])
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)]))
sys.exit(service.run())
"""


def flat(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def parameters_in(name: str) -> dict[str, Any]:
    tree = yaml.safe_load((CONFIG / name).read_text())
    return dict(flat(tree["/**"]["ros__parameters"]))


@pytest.mark.parametrize("name", ["flashocc.yaml", "cameras_nuscenes.yaml"])
def test_a_shipped_parameter_file_names_only_parameters_of_the_right_type(name: str):
    defaults = {key: default for key, default, _ in walk()}
    for key, value in parameters_in(name).items():
        expected = list if isinstance(defaults[key], tuple) else type(defaults[key])
        assert type(value) is expected, key


def test_the_shipped_parameter_files_together_are_valid():
    parameters = build(parameters_in("flashocc.yaml") | parameters_in("cameras_nuscenes.yaml"), {})
    assert len(parameters.cameras.names) == 6
    assert parameters.image_topic("CAM_FRONT") == "CAM_FRONT/image_rect_compressed"


def test_the_shared_memory_profile_holds_two_raw_sets():
    root = ET.parse(CONFIG / "fastdds_shm.xml").getroot()
    names = {"d": "http://www.eprosima.com"}
    sizes = [int(e.text or 0) for e in root.findall(".//d:segment_size", names)]
    assert sizes
    assert min(sizes) >= 2 * 6 * 1600 * 900 * 3
    used = [e.text for e in root.findall(".//d:userTransports/d:transport_id", names)]
    defined = [e.text for e in root.findall(".//d:transport_descriptor/d:transport_id", names)]
    assert used == defined


def test_rviz_shows_every_picture_output():
    displays = yaml.safe_load((CONFIG / "flashocc.rviz").read_text())["Visualization Manager"]["Displays"]
    topics = {display["Topic"]["Value"] for display in displays if "Topic" in display}
    assert topics == {"markers", "points", "grid"}


# ---------------------------------------------------------------- with the real launch


@pytest.fixture
def launch_arguments() -> dict[str, list[Any]]:
    """Declared arguments of every launch file."""
    launch = pytest.importorskip("launch")
    if not hasattr(launch, "LaunchContext"):
        pytest.skip("launch is not installed")
    pytest.importorskip("launch_ros")
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    context = launch.LaunchContext()
    descriptions = {p.name: PythonLaunchDescriptionSource(str(p)) for p in LAUNCH_FILES}
    return {n: s.get_launch_description(context).get_launch_arguments() for n, s in descriptions.items()}


def test_every_launch_argument_is_described(launch_arguments: dict[str, list[Any]]):
    assert {"variant", "checkpoint", "engine", "precision", "cameras", "params", "rviz", "use_sim_time"} <= {
        argument.name for argument in launch_arguments["flashocc.launch.py"]
    }
    assert all(argument.description for arguments in launch_arguments.values() for argument in arguments)


def test_choices_of_the_launch_file_are_those_of_the_parameters(launch_arguments: dict[str, list[Any]]):
    limits = {name: limit for name, _, limit in walk()}
    for argument in launch_arguments["flashocc.launch.py"]:
        if argument.name in ("variant", "engine", "precision"):
            assert argument.choices == ["", *limits[argument.name].choices]


@pytest.fixture
def launched(launch_arguments: dict[str, list[Any]], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """flashocc.launch.py with two cameras, run by LaunchService in a process of its own."""
    (tmp_path / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (tmp_path / "share/ament_index/resource_index/packages/flashocc_ros").touch()
    executable = tmp_path / "lib/flashocc_ros/flashocc_node"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!{sys.executable}\nfrom flashocc_ros.ros.main import main\nmain()\n")
    executable.chmod(0o755)
    cameras = tmp_path / "cameras.yaml"
    cameras.write_text("/**: {ros__parameters: {cameras: {names: [front, back]}, sync: {timeout_s: 0.1}}}\n")
    prefixes = [str(tmp_path), *filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))]
    command = [sys.executable, "-c", RUN, str(ROOT / "launch" / "flashocc.launch.py")]
    command += ["variant:=synthetic-tiny", "engine:=torch", f"cameras:={cameras}"]
    environment = os.environ | {"AMENT_PREFIX_PATH": os.pathsep.join(prefixes), "ROS_LOG_DIR": str(tmp_path / "log")}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=tmp_path
    )
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("interrupts", [1, 2])
def test_the_launched_node_becomes_active_and_finishes_cleanly(launched: subprocess.Popen[str], interrupts: int):
    assert launched.stdout is not None
    said = []
    for line in launched.stdout:
        said.append(line)
        if "active: waiting for front, back" in line:
            break
    for _ in range(interrupts):
        launched.send_signal(signal.SIGINT)
    output, _ = launched.communicate(timeout=60)
    everything = "".join(said) + output
    assert "process has finished cleanly" in everything, everything
    assert "Traceback" not in everything
