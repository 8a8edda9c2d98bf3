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

"""Configuration files always; launch files with the real `launch` and `launch_ros` where they are installed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from flashocc_ros.ros.parameter_checks import build
from flashocc_ros.ros.parameters import walk

DEADLINE_S = 90.0
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
NODE = "from flashocc_ros.ros.main import main\nmain()\n"
PLAYER = "from flashocc_ros.cli.main import main\nmain()\n"
RVIZ = "import sys\nprint('told:', *sys.argv, flush=True)\n"


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
        if argument.name in ("engine", "precision"):
            assert argument.choices == ["", *limits[argument.name].choices]


Launched = subprocess.Popen[str]


@pytest.fixture
def start(launch_arguments: dict[str, list[Any]], tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    """Runs a launch file with two cameras by LaunchService, in a process group of its own as a terminal would."""
    executables = {"flashocc_ros/flashocc_node": NODE, "flashocc_ros/flashocc": PLAYER, "rviz2/rviz2": RVIZ}
    for executable, text in executables.items():
        package = executable.split("/")[0]
        (tmp_path / "share/ament_index/resource_index/packages").mkdir(parents=True, exist_ok=True)
        path = tmp_path / "lib" / executable
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!{sys.executable}\n{text}")
        path.chmod(0o755)
        if package != "rviz2":
            (tmp_path / "share/ament_index/resource_index/packages" / package).touch()
    cameras = tmp_path / "cameras.yaml"
    cameras.write_text("/**: {ros__parameters: {cameras: {names: [front, back]}, sync: {timeout_s: 0.1}}}\n")
    prefixes = [str(tmp_path), *filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))]
    environment = os.environ | {"AMENT_PREFIX_PATH": os.pathsep.join(prefixes), "ROS_LOG_DIR": str(tmp_path / "log")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    started: list[Launched] = []

    def run(name: str, *arguments: str) -> Launched:
        command = [sys.executable, "-c", RUN, str(ROOT / "launch" / name), f"cameras:={cameras}", *arguments]
        command += ["variant:=synthetic-tiny", "engine:=torch"]
        pipe: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(command, env=environment, cwd=tmp_path, start_new_session=True, **pipe))
        return started[-1]

    yield run
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def heard(process: Launched, what: str) -> str:
    """Everything it said up to a line that holds ``what``."""
    assert process.stdout is not None
    give_up = threading.Timer(DEADLINE_S, os.killpg, (process.pid, signal.SIGKILL))  # which ends the lines
    give_up.start()
    said = ""
    for line in process.stdout:
        said += line
        if what in line:
            give_up.cancel()
            return said
    pytest.fail(f"it never said {what!r}: {said}")


ACTIVE = "active: waiting for front, back"


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_ends_the_launch_and_its_node_with_zero(start: Callable[..., Launched], signals: int):
    """A terminal sends it to the whole group, and launch once more to the node."""
    process = start("flashocc.launch.py")
    said = heard(process, ACTIVE)
    for _ in range(signals):
        os.killpg(process.pid, signal.SIGINT)
    said += process.communicate(timeout=60)[0]
    assert process.returncode == 0, said
    assert "process has finished cleanly" in said, said
    assert "Traceback" not in said


def test_without_rviz_nothing_is_started(start: Callable[..., Launched]):
    process = start("flashocc.launch.py", "rviz:=true")
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 1, said
    assert "rviz:=true needs rviz2" in said
    assert "process started" not in said


def test_rviz_is_told_the_cameras_of_the_parameter_file(start: Callable[..., Launched], tmp_path: Path):
    (tmp_path / "share/ament_index/resource_index/packages/rviz2").touch()
    process = start("flashocc.launch.py", "rviz:=true")
    said = heard(process, "told: ")
    told = said.splitlines()[-1]
    assert "flashocc_view/front/compressed:=front/image_rect_compressed" in told
    config = yaml.safe_load(Path(told.split(" -d ")[1].split()[0]).read_text())
    displays = config["Visualization Manager"]["Displays"]
    assert [d["Name"] for d in displays if d["Class"].endswith("Image")] == ["front", "back"]


def test_a_node_that_died_comes_back_with_respawn(start: Callable[..., Launched]):
    process = start("flashocc.launch.py", "respawn:=true")
    (pid,) = re.findall(r"started with pid \[(\d+)\]", heard(process, "process started"))
    heard(process, ACTIVE)
    os.kill(int(pid), signal.SIGKILL)
    heard(process, ACTIVE)


@pytest.mark.parametrize(("bag", "starts"), [("nowhere", 0), ("empty", 2)])
def test_a_recording_that_cannot_be_played_is_a_failure(
    start: Callable[..., Launched], tmp_path: Path, bag: str, starts: int
):
    (tmp_path / "empty").mkdir()
    process = start("replay.launch.py", f"bag:={tmp_path / bag}", "rviz:=false")
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 1, said
    assert str(tmp_path / bag) in said
    assert said.count("process started") == starts
