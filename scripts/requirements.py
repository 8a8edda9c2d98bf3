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

"""Prints the requirements of setup.cfg for extras given as `a,b`; with a sourced ROS 2 those that fit it.

Run by the interpreter that ROS 2 uses, not by the one of the virtual environment: the numpy it sees decides.
"""

from __future__ import annotations

import configparser
import importlib.metadata
import os
import re
import sys
from pathlib import Path

# numba takes any coverage it can import for one of its own time; colcon's packages bring that of the distribution.
ADDED_BESIDE_ROS = "coverage>=7.6.1,<8"


def main() -> None:
    """Reads setup.cfg beside the scripts folder."""
    config = configparser.ConfigParser()
    config.read(Path(__file__).resolve().parents[1] / "setup.cfg")
    extras = config["options.extras_require"]
    blocks = [config["options"]["install_requires"], *(extras[name] for name in sys.argv[1].split(",") if name)]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if os.environ.get("ROS_DISTRO"):
        limits = limits_beside_ros()
        lines = [beside_ros(line, limits) for line in lines if not line.startswith("ros-kilted-")]
        lines.append(ADDED_BESIDE_ROS)
    print("\n".join(lines))


def limits_beside_ros() -> dict[str, str]:
    """Upper bounds where compiled parts or plugins of ROS 2 meet a library of the virtual environment."""
    limits = {
        # cv_bridge is compiled against OpenCV 4 in every distribution and looks its types up in cv2.
        "opencv-python-headless": "<5",
        # The pytest plugin of launch_testing takes an argument that pytest 9 no longer gives.
        "pytest": "<9",
    }
    try:
        # Messages and cv_bridge compiled against numpy 1 cannot be imported beside numpy 2.
        if int(importlib.metadata.version("numpy").split(".")[0]) < 2:
            limits["numpy"] = "<2"
    except importlib.metadata.PackageNotFoundError:
        pass
    return limits


def beside_ros(line: str, limits: dict[str, str]) -> str:
    """The requirement ``line`` with the limit of its name, before a condition if it has one."""
    requirement, semicolon, condition = line.partition(";")
    limit = limits.get(re.split(r"[<>=!~\s\[]", requirement)[0])
    return line if limit is None else f"{requirement.strip()},{limit}{semicolon and ' ;'}{condition}"


if __name__ == "__main__":
    main()
