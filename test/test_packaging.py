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

"""What an installation must offer: messages, entry points, declared dependencies, clear set-up errors."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


def test_import_is_cheap() -> None:
    probe = "import sys, flashocc_ros; print(sorted({'torch', 'rclpy', 'numba', 'cv2', 'openvino'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_version_is_the_same_everywhere() -> None:
    import flashocc_ros

    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    assert manifest.findtext("version") == flashocc_ros.__version__
    assert f"\n{flashocc_ros.__version__} (" in (ROOT / "CHANGELOG.rst").read_text()


def test_every_ros_package_the_code_imports_is_declared() -> None:
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    declared = {node.text for tag in ("depend", "exec_depend") for node in manifest.iter(tag)}
    ros_names = {"rclpy", "tf2_ros", "cv_bridge", "message_filters", "sensor_msgs_py", "launch", "launch_ros"}
    ros_names |= {"rcl_interfaces", "ament_index_python"}
    # Topics of these types exist where they are installed (`test/ros/test_optional_outputs.py`).
    optional = {"nav2_msgs", "vision_msgs"}
    imported = set()
    for folder in ("flashocc_ros", "launch"):
        for path in (ROOT / folder).rglob("*.py"):
            for line in path.read_text().splitlines():
                words = line.split()
                if len(words) > 1 and words[0] in ("import", "from"):
                    top = words[1].split(".")[0]
                    if top in ros_names or top.endswith("_msgs") or top == "std_srvs":
                        imported.add(top)
    assert imported <= declared | optional | {"flashocc_ros"}


@pytest.mark.ros
def test_messages_are_built() -> None:
    from flashocc_ros.msg import ClassTable, Occupancy3D, OccupancyTruth, PanopticInstanceArray

    assert {f for f in Occupancy3D.get_fields_and_field_types()} >= {"labels", "instances", "resolution", "origin"}
    assert OccupancyTruth().occupancy.size_x == 0
    assert PanopticInstanceArray().instances == []
    assert ClassTable().name == ""


def test_every_message_field_is_commented() -> None:
    for path in (ROOT / "msg").glob("*.msg"):
        for line in path.read_text().splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                assert "#" in line, f"{path.name}: {line}"


def test_version_option_of_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flashocc_ros.cli.main", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )  # fmt: skip
    assert done.stdout.strip() == "0.1.0"


def test_setup_refuses_a_python_without_ros_wheels(tmp_path: Path) -> None:
    impostor = tmp_path / "python3.10"
    impostor.write_text('#!/bin/sh\ncase "$1" in --version) echo Python 3.10.0;; *) echo 3 10 Linux x86_64;; esac\n')
    impostor.chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if k != "ROS_DISTRO"} | {"PYTHON": str(impostor)}
    done = subprocess.run(["bash", ROOT / "scripts/setup.sh"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "Python 3.10.0" in done.stderr
    assert "use Python 3.11" in done.stderr


def test_setup_names_the_missing_packages_in_one_line(tmp_path: Path) -> None:
    for tool in ("bash", "dirname", "uname", "sed", "sort", "head", "printf", "basename"):
        (tmp_path / tool).symlink_to(Path("/usr/bin", tool))
    environment = {"PATH": str(tmp_path), "PYTHON": sys.executable, "HOME": str(tmp_path)}
    environment |= {k: os.environ[k] for k in ("LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE") if k in os.environ}
    done = subprocess.run(["/usr/bin/bash", ROOT / "scripts/setup.sh"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "missing: apt install g++ cmake (>= 3.21)" in done.stderr


def test_the_matrix_of_runners_and_the_images_hold_the_same_distributions() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "distributions.yml").read_text())
    distributions = ["humble", "jazzy", "kilted", "lyrical"]
    assert workflow["jobs"]["colcon"]["strategy"]["matrix"]["distribution"] == distributions
    assert workflow["jobs"]["images"]["strategy"]["matrix"]["target"] == [*distributions, "bare"]
    assert str(distributions).replace("'", '"') in (ROOT / "docker" / "docker-bake.hcl").read_text()


def test_every_extra_has_bounded_versions() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    blocks = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    requirements = [line.split(";")[0] for block in blocks for line in block.splitlines() if line.strip()]
    assert [r for r in requirements if "#" not in r and "<" not in r] == []


@pytest.mark.parametrize(
    ("arguments", "profile"),
    [
        ((), "runtime"),
        (("BAG=drive", "VARIANT=synthetic-tiny"), "runtime"),
        (("BAG=drive",), "torch"),
        (("VARIANT=synthetic-tiny-4d",), "runtime"),
        (("VARIANT=synthetic-tiny", "CHECKPOINT=mine.pth"), "torch"),
    ],
)
def test_the_demo_installs_pytorch_only_where_something_is_exported(arguments: tuple[str, ...], profile: str) -> None:
    command = ["make", "--dry-run", "demo", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"scripts/setup.sh {profile}\n" in done.stdout


def test_the_program_of_the_page_is_installed_and_its_sources_are_not() -> None:
    from setuptools import Distribution

    distribution = Distribution({"src_root": str(ROOT)})
    distribution.parse_config_files([str(ROOT / "setup.cfg")])
    build = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    files = {f"{package}/{name}" for package, _, _, names in build.data_files for name in names}
    assert "flashocc_ros/view/viewer.js" in files
    assert not [name for name in files if "/web/" in name]
