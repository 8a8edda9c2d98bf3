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

"""A network of one's own for servers that listen on the host's address whatever one asks."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Sequence

_UP = (
    "import fcntl, os, socket, struct, sys;"
    "s = socket.socket();"
    "fcntl.ioctl(s, 0x8914, struct.pack('16sH14s', b'lo', 0x49, bytes(14)));"  # SIOCSIFFLAGS: up, loopback, running
    "s.close();"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@functools.cache
def prefix() -> tuple[str, ...] | None:
    """What to put before a command so that it has the loopback device alone; None where that is not permitted."""
    for how in (("unshare", "--net"), ("unshare", "--map-root-user", "--net")):
        command = (*how, sys.executable, "-c", _UP)
        try:
            done = subprocess.run((*command, "/bin/true"), capture_output=True, timeout=30)
        except OSError:
            continue
        if done.returncode == 0:
            return command
    return None


def inside(command: Sequence[str]) -> list[str]:
    """The command, to be run in a network of its own."""
    found = prefix()
    assert found is not None, "no network of one's own here"
    return [*found, *command]


def environment() -> dict[str, str]:
    """For what runs there."""
    return os.environ | {"RAY_DISABLE_IMPORT_WARNING": "1", "RAY_USAGE_STATS_ENABLED": "0"}
