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

"""A process that works for a fleet: holds what all recordings need, and ends with whom it works for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

from flashocc_ros.errors import FlashOccError
from flashocc_ros.fleet.attempt import Outcome, assist, attempt
from flashocc_ros.fleet.ledger import Ledger
from flashocc_ros.fleet.recordings import Recording
from flashocc_ros.fleet.work import Work

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """What every worker of a fleet is told once.

    Attributes:
        work: what to do with each recording; out: where results go.
        memory_limit_bytes: of a worker, 0 for none.
    """

    work: Work
    out: Path
    memory_limit_bytes: int = 0


@dataclass(frozen=True)
class Started:
    """A worker that is ready, or the sentence why none can be."""

    pid: int
    description: str = ""
    problem: str = ""


_TASK: Task | None = None
_NAME = ""


def environment(threads: int) -> dict[str, str]:
    """Variables a worker must be started with so that its libraries take that many threads."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def begin(task: Task, name: str, variables: Mapping[str, str]) -> Started:
    """Once in a worker's process: load what its recordings need."""
    global _TASK, _NAME
    os.environ.update(variables)
    _TASK, _NAME = task, f"{socket.gethostname()}/{name}"
    try:
        import cv2

        cv2.setNumThreads(int(os.environ.get(THREAD_VARIABLES[0], "1")))
        return Started(os.getpid(), task.work.open())
    except FlashOccError as error:
        return Started(os.getpid(), problem=str(error))


def do(recording: Recording) -> Outcome:
    """One attempt at a recording in a worker that has begun."""
    assert _TASK is not None
    return attempt(recording, _TASK.work, Ledger(_TASK.out), _TASK.out, _NAME, _TASK.memory_limit_bytes)


def help_with(recording: Recording) -> Outcome:
    """Parts of a recording that another worker has, until none is left."""
    assert _TASK is not None
    return assist(recording, _TASK.work, Ledger(_TASK.out), _TASK.memory_limit_bytes)


def end_with_parent() -> None:
    """From now on this process ends when the one that started it does; Ctrl-C is that one's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
