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

"""The processes of a run: started in sessions of their own, watched, and ended by id."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.soak.messages import NAMES
from benchmarks.soak.probe import Inside
from benchmarks.soak.scene import VARIANT

CHECKOUT = Path(__file__).parents[2]
STOP_S = 30.0
SAMPLE_S = 5.0
POLL_S = 0.05
PR_SET_PDEATHSIG = 1
PARAMETERS = {
    "variant": VARIANT,
    "cameras.names": f"[{', '.join(NAMES)}]",
    # A reliable reader misses nothing, so that what is lost was lost by the fault.
    "cameras.reliability": "reliable",
    "cameras.depth": "20",
}


class Process:
    """A Python module that runs; its output goes into a file."""

    def __init__(self, module: str, arguments: Sequence[str], log: Path, memory_bytes: int | None = None) -> None:
        self.log = log
        self._output = log.open("ab")
        self._popen = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            cwd=CHECKOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"},
            start_new_session=True,
            text=True,
            preexec_fn=lambda: _prepare(memory_bytes),
        )
        self.pid = self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._popen.poll()

    def send(self, **order: Any) -> None:
        """One line of JSON on its standard input."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps(order) + "\n")
        self._popen.stdin.flush()

    def signal(self, number: int) -> None:
        if self.exit_code is None:
            self._popen.send_signal(number)

    def wait(self) -> int | None:
        """Its exit code; None when it had to be killed."""
        try:
            return self._popen.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        finally:
            self._output.close()

    def kill(self) -> None:
        self.signal(signal.SIGCONT)
        self._popen.kill()
        self._popen.wait()


def _prepare(memory_bytes: int | None) -> None:
    """In the child: it dies with the run, however that ends, and gets no more memory than this."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


class Node(Process):
    """``flashocc_node``; ``parameters`` replace or add to the usual ones, ``probe`` is a file for `inside`."""

    def __init__(
        self,
        log: Path,
        parameters: dict[str, str] | None = None,
        memory_bytes: int | None = None,
        probe: Path | None = None,
    ) -> None:
        self._begin = log.stat().st_size if log.exists() else 0
        self.said_until = self._begin
        self._probe = probe
        given = [
            word for name, value in (PARAMETERS | (parameters or {})).items() for word in ("-p", f"{name}:={value}")
        ]
        if probe is None:
            super().__init__("flashocc_ros.ros.main", ["--ros-args", *given], log, memory_bytes)
        else:
            super().__init__("benchmarks.soak.probe", [str(probe), "--ros-args", *given], log, memory_bytes)

    def inside(self) -> Inside:
        """What it holds now; of a node with a probe."""
        assert self._probe is not None
        self._probe.write_bytes(b"")
        self.send()
        end_s = time.monotonic() + STOP_S
        while not (answer := self._probe.read_text()).endswith("\n"):
            if time.monotonic() > end_s or self.exit_code is not None:
                raise RuntimeError(f"the node does not look inside: {self.text()[-300:]}")
            time.sleep(POLL_S)
        return Inside(**json.loads(answer))

    def text(self) -> str:
        """All it said."""
        return self.log.read_bytes()[self._begin :].decode(errors="replace")

    def news(self) -> list[str]:
        """Lines since this was last asked."""
        with self.log.open("rb") as file:
            file.seek(self.said_until)
            new = file.read()
            self.said_until = file.tell()
        return new.decode(errors="replace").splitlines()

    def says(self, what: str, timeout_s: float) -> bool:
        """Wait until it does."""
        end_s = time.monotonic() + timeout_s
        while what not in self.text():
            if time.monotonic() > end_s or self.exit_code is not None:
                return what in self.text()
            time.sleep(POLL_S)
        return True


@dataclass
class Sample:
    """What a process holds; ``own_mb`` is without pages of libraries, which the system reads and drops as it wants."""

    time_s: float
    pid: int
    own_mb: float
    files: int
    threads: int


@dataclass
class Monitor:
    """Samples the node every five seconds, in a thread of its own, and where it rests: its network freed.

    At work the C library keeps up to a hundred megabytes of what was freed, now more, now less; a leak shows at rest.
    """

    samples: list[Sample] = field(default_factory=list)
    rests: list[Sample] = field(default_factory=list)
    pid: int | None = None

    def rest(self) -> None:
        """It rests now."""
        if self.pid is not None and (sample := look_at(self.pid)) is not None:
            self.rests.append(sample)

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            if self.pid is not None and (sample := look_at(self.pid)) is not None:
                self.samples.append(sample)
            time.sleep(SAMPLE_S)


def address_space_bytes(pid: int) -> int:
    """The most that a process has taken of what ``ulimit -v`` limits."""
    return int(_status(pid)["VmPeak"].split()[0]) << 10


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def look_at(pid: int) -> Sample | None:
    """None when it is gone."""
    folder = Path(f"/proc/{pid}")
    try:
        status = _status(pid)
        files = len(list((folder / "fd").iterdir()))
        own_kb = sum(int(status[kind].split()[0]) for kind in ("RssAnon", "RssShmem"))
        return Sample(time.time(), pid, own_kb / 1024, files, int(status["Threads"]))
    except (OSError, KeyError):
        return None
