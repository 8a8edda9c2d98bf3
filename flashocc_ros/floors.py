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

"""Whether the libraries here are new enough: read from their metadata, before anything is imported that breaks."""

from __future__ import annotations

import configparser
import importlib
import os
import re
from importlib import metadata

from flashocc_ros.paths import share_directory

_REQUIREMENT = re.compile(r"([\w.-]+)>=([\d.]+)")
_OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")


def problem() -> str | None:
    """One sentence that names every library that is missing or too old and what to run; None where all is well.

    The floors are those of ``setup.cfg``; requirements with a condition are left to pip.
    """
    missing, old = {}, {}
    for name, floor in _floors():
        found = _version(name)
        if found is None:
            missing[name] = floor
        elif _numbers(found) < _numbers(floor):
            old[f"{name} {found}"] = floor
    if not missing and not old:
        return None
    wrong = [f"{name} is too old, {floor} is needed" for name, floor in old.items()]
    wrong += [f"{name} is missing" for name in missing]
    if os.environ.get("ROS_DISTRO"):
        remedy = "`ros2 run flashocc_ros setup`, which leaves those of the system alone"
    else:
        wanted = [f"'{name.split()[0]}>={floor}'" for name, floor in (old | missing).items()]
        remedy = (
            f"`make setup` in the checkout, or `python3 -m pip install {' '.join(wanted)}` in a virtual environment"
        )
    return f"{'; '.join(wrong)}: run {remedy}"


def _floors() -> list[tuple[str, str]]:
    config = configparser.ConfigParser()
    config.read(share_directory() / "setup.cfg")
    lines = config["options"]["install_requires"].splitlines()
    return [match.groups() for line in lines if ";" not in line and (match := _REQUIREMENT.match(line))]  # type: ignore[misc]


def _version(name: str) -> str | None:
    for distribution in _OPENCV if name in _OPENCV else (name,):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    if name not in _OPENCV:
        return None
    try:  # the packages of Debian and Ubuntu bring no metadata
        return str(importlib.import_module("cv2").__version__)
    except Exception:  # not there, or built for another numpy
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """The release part, such as (4, 6, 0) of ``4.6.0+dfsg``; zeros at the end do not count."""
    numbers = [int(part) for part in (re.match(r"\d+(\.\d+)*", version) or [""])[0].split(".") if part]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
