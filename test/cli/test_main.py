"""The commands as a whole."""

from __future__ import annotations

import subprocess
import sys

from flashocc_ros.cli.options import counted
from flashocc_ros.version import __version__


def test_the_package_of_the_commands_can_be_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flashocc_ros.cli", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"{__version__}\n"


def test_one_is_no_plural() -> None:
    assert [counted(number, "set") for number in (0, 1, 2)] == ["0 sets", "1 set", "2 sets"]
