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

"""One thread that always works on the newest job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Job = TypeVar("Job")


class NewestWorker(Generic[Job]):
    """Runs ``process(job)`` in its own thread; a job that arrives while one is waiting takes its place.

    ``process`` must not raise, which would end the thread: what goes wrong with one job is its business.
    """

    def __init__(self, process: Callable[[Job], None], on_skipped: Callable[[Job], None]) -> None:
        self._process = process
        self._on_skipped = on_skipped
        self._waiting: Job | None = None
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="flashocc inference", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Hand over a job; the one still waiting, if any, is skipped."""
        with self._changed:
            skipped, self._waiting = self._waiting, job
            self._changed.notify()
        if skipped is not None:
            self._on_skipped(skipped)

    def discard(self) -> Job | None:
        """Take back the job that is waiting."""
        with self._changed:
            waiting, self._waiting = self._waiting, None
        return waiting

    def close(self, timeout_s: float | None = None) -> bool:
        """Let the running job end and stop; True when the thread has ended within the time."""
        with self._changed:
            self._closing = True
            self._waiting = None
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._closing)
                if self._closing:
                    return
                job, self._waiting = self._waiting, None
            assert job is not None
            self._process(job)
            del job  # a set holds megabytes; do not keep it while waiting
