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

"""DDS domains that nobody else on this machine talks on."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

DOMAINS = range(1, 102)
"""The ports of higher ones reach into those that Linux gives away itself."""
PARTICIPANTS = 16


class Claim(NamedTuple):
    """A domain, and the lock that keeps other test runs and workers out of it while it is held."""

    number: int
    lock: FileLock


def claim_domain() -> Claim:
    """Take the first free domain; the system gives it back when the process ends, however it does.

    Raises:
        RuntimeError: all are taken.
    """
    for number in DOMAINS:
        lock = FileLock(Path(tempfile.gettempdir()) / f"flashocc_ros_domain_{number}.lock")
        try:
            lock.acquire(blocking=False)
        except (Timeout, OSError):  # another run has it, or another user made the file
            continue
        if _silent(number):
            return Claim(number, lock)
        lock.release()
    raise RuntimeError(f"no DDS domain from {DOMAINS[0]} to {DOMAINS[-1]} is free")


def _silent(number: int) -> bool:
    """Nobody holds a discovery port (RTPS 9.6.1): other ROS users, or a node left behind by a run that was killed."""
    for participant in range(PARTICIPANTS):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7410 + 250 * number + 2 * participant))
            except OSError:
                return False
    return True
