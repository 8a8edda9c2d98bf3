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

"""Places for workers on a Ray cluster, or on a Ray of this machine alone: an actor each."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, ClassVar

from flashocc_ros.errors import ConfigError
from flashocc_ros.fleet import worker
from flashocc_ros.fleet.attempt import Outcome
from flashocc_ros.fleet.recordings import Recording
from flashocc_ros.fleet.seats import Seat
from flashocc_ros.fleet.worker import Started, Task

ANSWER_S = 5.0


class _Worker:
    """Runs in the actor's process."""

    def begin(self, task: Task, name: str, variables: dict[str, str]) -> Started:
        return worker.begin(task, name, variables)

    def do(self, recording: Recording) -> Outcome:
        return worker.do(recording)

    def help(self, recording: Recording) -> Outcome:
        return worker.help_with(recording)


class RaySeat:
    """An actor; Ray chooses where.

    Ray's own restarts are not used: it fails what is given to an actor while it is being replaced, and counts that as
    another try. A new actor is awaited instead.
    """

    died: ClassVar[tuple[type[BaseException], ...]] = ()

    def __init__(self, task: Task, index: int, threads: int, gpus: float) -> None:
        import ray

        type(self).died = (ray.exceptions.RayError,)
        self.name = f"ray-{index}"
        self._task, self._variables = task, worker.environment(threads)
        self._kind = ray.remote(_Worker)
        self._options = {
            "num_cpus": threads,
            "num_gpus": gpus,
            "max_restarts": 0,
            "runtime_env": {"env_vars": self._variables},
        }
        self._actor: Any = None
        self._begun = 0

    def start(self) -> Future[Started]:
        """See `Seat`."""
        self.close()
        self._begun += 1
        name = f"flashocc {self.name}.{self._begun} {os.getpid()}"
        self._actor = self._kind.options(name=name, **self._options).remote()
        return self._actor.begin.remote(self._task, self.name, self._variables).future()

    def do(self, recording: Recording) -> Future[Outcome]:
        """See `Seat`."""
        return self._actor.do.options(name=recording.name).remote(recording).future()

    def help(self, recording: Recording) -> Future[Outcome]:
        """See `Seat`."""
        return self._actor.help.options(name=recording.name).remote(recording).future()

    def close(self) -> None:
        """See `Seat`."""
        if self._actor is not None:
            import ray

            with suppress(Exception):  # of a cluster that is gone
                ray.kill(self._actor)
            self._actor = None


@contextmanager
def ray_cluster(address: str | None, workers: int | None, threads: int, gpus: float) -> Iterator[int]:
    """Connect to a cluster, or start Ray on this machine where ``address`` is None; yields the number of workers.

    Args:
        workers: None for as many as it has room for.

    Raises:
        ConfigError: Ray is not installed, or nobody answers at ``address``.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ConfigError(f"--executor ray needs Ray ({error}): pip install 'flashocc_ros[fleet]'") from error
    _check_answer(address)
    here: dict[str, Any] = {}
    if address is None:
        here = {"num_cpus": max(os.cpu_count() or 1, (workers or 0) * threads), "include_dashboard": False}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise ConfigError(
            f"no Ray cluster answers at --address {address or 'local'} ({_first_line(error)}); start one with "
            "`ray start --head` or leave --address out"
        ) from error
    try:
        room = ray.cluster_resources()
        fitting = int(room.get("GPU", 0) / gpus) if gpus > 0 else int(room.get("CPU", 1) / threads)
        if workers is None and fitting < 1:
            raise ConfigError(
                f"the Ray cluster has {room.get('CPU', 0):.0f} CPUs and {room.get('GPU', 0):.0f} GPUs, too few for one "
                f"worker of {threads} threads and {gpus:g} GPUs; ask for less"
            )
        with redirect_stdout(sys.stderr):  # where Ray tells of workers that died
            yield workers or fitting
    finally:
        ray.shutdown()


def ray_seats(task: Task, workers: int, threads: int, gpus: float) -> list[Seat]:
    """Seats of the cluster that is connected."""
    return [RaySeat(task, index, threads, gpus) for index in range(workers)]


def _check_answer(address: str | None) -> None:
    """Ray itself would try for a minute."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"nobody answers at --address {address} ({getattr(error, 'strerror', None) or error}); start a cluster "
            "with `ray start --head`, or leave --address out to use this machine"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
