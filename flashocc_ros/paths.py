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

"""Where the installed launch, config and message files lie, and where caches do."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PACKAGE = "flashocc_ros"


def share_directory() -> Path:
    """Folder that holds ``launch/``, ``config/`` and ``msg/`` of this package.

    In order: the checkout this module is imported from, the ament index of a sourced ROS 2, the prefix of this
    interpreter (pip installs), the prefix around this module (``pip install --user`` and Debian's ``local``).

    Raises:
        FileNotFoundError: none of them holds the files.
    """
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "package.xml").is_file():
        return checkout
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    # site-packages/flashocc_ros sits below <prefix>/lib/pythonX.Y or <prefix>/local/lib/pythonX.Y
    prefixes += [Path(sys.prefix), *checkout.parents[:4]]
    for prefix in prefixes:
        if (prefix / "share" / PACKAGE / "package.xml").is_file():
            return prefix / "share" / PACKAGE
    raise FileNotFoundError(
        f"launch, config and message files of {PACKAGE} are below none of {[str(p) for p in prefixes]}; "
        "reinstall the package"
    )


def fastdds_profile() -> tuple[str, str]:
    """Environment variable and file that give Fast DDS shared memory for images; it renamed the one with release 3."""
    older = os.environ.get("ROS_DISTRO", "") in ("humble", "iron", "jazzy")
    name = "FASTRTPS_DEFAULT_PROFILES_FILE" if older else "FASTDDS_DEFAULT_PROFILES_FILE"
    return name, str(share_directory() / "config" / "fastdds_shm.xml")


def cache_directory() -> Path:
    """``$FLASHOCC_CACHE``, else ``flashocc_ros`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    if override := os.environ.get("FLASHOCC_CACHE"):
        return Path(override)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flashocc_ros"
