"""Prints the requirements of setup.cfg for extras given as `a,b`; with a sourced ROS 2 without its wheels."""

from __future__ import annotations

import configparser
import os
import sys
from pathlib import Path


def main() -> None:
    """Reads setup.cfg beside the scripts folder."""
    config = configparser.ConfigParser()
    config.read(Path(__file__).resolve().parents[1] / "setup.cfg")
    extras = config["options.extras_require"]
    blocks = [config["options"]["install_requires"], *(extras[name] for name in sys.argv[1].split(","))]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    wheels_of_ros = ("ros-kilted-",) if os.environ.get("ROS_DISTRO") else ()
    print("\n".join(line for line in lines if line and not line.startswith(("#", *wheels_of_ros))))


if __name__ == "__main__":
    main()
