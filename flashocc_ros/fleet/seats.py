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

"""Places for workers on this machine: a process pool of one each, so that one that dies takes nobody with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from typing import ClassVar, Protocol

from flashocc_ros.fleet import worker
from flashocc_ros.fleet.attempt import Outcome
from flashocc_ros.fleet.recordings import Recording
from flashocc_ros.fleet.worker import Started, Task


class Seat(Protocol):
    """A place for one worker at a time.

    Attributes:
        died: what a future raises whose worker has died.
        name: for people.
    """

    died: ClassVar[tuple[type[BaseException], ...]]
    name: str

    def start(self) -> Future[Started]:
        """A new worker, instead of the one that was there; not to be given anything before it has started."""

    def do(self, recording: Recording) -> Future[Outcome]:
        """Give the worker a recording."""

    def help(self, recording: Recording) -> Future[Outcome]:
        """Let the worker help with a recording that another one has."""

    def close(self) -> None:
        """End the worker at once."""


class LocalSeat:
    """A process of this machine.

    Args:
        task: what its workers are told.
        index: number of the seat.
        variables: that its processes get; see `worker.environment`.
    """

    died: ClassVar[tuple[type[BaseException], ...]] = (BrokenProcessPool,)

    def __init__(self, task: Task, index: int, variables: dict[str, str]) -> None:
        self.name = f"local-{index}"
        self._task, self._variables = task, variables
        self._pool: ProcessPoolExecutor | None = None
        self._pid: Future[int] | None = None

    def start(self) -> Future[Started]:
        """See `Seat`."""
        self.close()
        self._pool = ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn"), initializer=worker.end_with_parent
        )
        with spawned_with(self._variables):  # libraries look when they are loaded: before any code of ours runs
            self._pid = self._pool.submit(os.getpid)
        return self._pool.submit(worker.begin, self._task, self.name, self._variables)

    def do(self, recording: Recording) -> Future[Outcome]:
        """See `Seat`."""
        assert self._pool is not None
        return self._pool.submit(worker.do, recording)

    def help(self, recording: Recording) -> Future[Outcome]:
        """See `Seat`."""
        assert self._pool is not None
        return self._pool.submit(worker.help_with, recording)

    def close(self) -> None:
        """See `Seat`."""
        if self._pool is None or self._pid is None:
            return
        with suppress(*self.died, ProcessLookupError):
            os.kill(self._pid.result(), signal.SIGKILL)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None


@contextmanager
def spawned_with(variables: dict[str, str]) -> Iterator[None]:
    """Processes that are started meanwhile have these variables in their environment."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def local_seats(task: Task, workers: int, threads: int, gpus_per_worker: float) -> list[Seat]:
    """Seats of this machine; with a share of a GPU, the first seats get the first GPU."""
    return [
        LocalSeat(task, index, worker.environment(threads) | _gpu(index, gpus_per_worker)) for index in range(workers)
    ]


def _gpu(index: int, share: float) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": str(int(index * share))} if share > 0 else {}
