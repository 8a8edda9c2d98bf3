"""Where the installed launch, config and message files lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def share_directory() -> Path:
    """Folder that holds ``launch/``, ``config/`` and ``msg/`` of this package.

    In order: the checkout this module is imported from, the ament index of a sourced ROS 2, the prefix of this
    interpreter (pip installs).

    Raises:
        FileNotFoundError: none of them holds the files.
    """
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "package.xml").is_file():
        return checkout
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p] + [Path(sys.prefix)]
    for prefix in prefixes:
        if (prefix / "share" / "flashocc_ros" / "package.xml").is_file():
            return prefix / "share" / "flashocc_ros"
    raise FileNotFoundError(
        f"launch and config files of flashocc_ros are below none of {[str(p) for p in prefixes]}; reinstall the package"
    )
