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

"""Parts run in a process of their own: a kernel that hangs or breaks the device ends it, not the rest.

A process runs one part after the other for as long as they go well, since starting CUDA takes seconds.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from time import monotonic

from flashocc_ros.checks.gpu.report import Result
from flashocc_ros.checks.gpu.setting import Setting

Run = Callable[[Setting], Iterator[Result]]


class Worker:
    """A process that runs parts.

    Args:
        setting: what the parts are given.
        interpreted: Triton kernels run in Triton's interpreter, which needs no GPU.
    """

    def __init__(self, setting: Setting, interpreted: bool = False) -> None:
        self.interpreted = interpreted
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, setting, interpreted), daemon=True)
        self._process.start()
        theirs.close()

    def run(self, work: Run, until: float, found: Callable[[Result], None]) -> str | None:
        """Run one part; results go to ``found`` as they come.

        Args:
            work: a function of a module, which the process imports.
            until: the end of its time, by ``monotonic``.

        Returns:
            None when it went to its end and the process can run another, else why not: "time" or a sentence.
        """
        try:
            self._pipe.send(work)
        except OSError:
            return f"its process had ended with exit code {self._process.exitcode}"
        while True:
            if not self._pipe.poll(max(0.0, until - monotonic())):
                self.close()
                return "time"
            try:
                message = self._pipe.recv()
            except EOFError:
                self._process.join()
                return f"its process ended with exit code {self._process.exitcode}"
            if isinstance(message, Result):
                found(message)
            elif message is None:
                return None
            else:
                self.close()
                return str(message)

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(pipe: Connection, setting: Setting, interpreted: bool) -> None:
    # Read when Triton is imported, so it is set for the whole process.
    if interpreted:
        os.environ["TRITON_INTERPRET"] = "1"
    warnings.filterwarnings("ignore", "TRITON_DEFAULT_FP_FUSION")
    # What a stream says of forgetting is what the checks make it do.
    logging.getLogger("flashocc_ros").setLevel(logging.ERROR)
    # Whoever started this is gone when the pipe is: Ctrl-C ends both.
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while _one(pipe, setting):
            gc.collect()
            _free_device(setting)


def _one(pipe: Connection, setting: Setting) -> bool:
    """Run the next part; whether this process can be trusted with another one."""
    work: Run = pipe.recv()
    try:
        for result in work(setting):
            pipe.send(result)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except BaseException as error:
        # What a failed kernel leaves of a device is not to be trusted.
        pipe.send(f"{type(error).__name__}: {' '.join(str(error).split())[:400]} ({_where(error)})")
        return False
    pipe.send(None)
    return True


def _free_device(setting: Setting) -> None:
    if setting.gpu:
        import torch

        torch.cuda.empty_cache()


def _where(error: BaseException) -> str:
    """The last line of ours that it passed."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "flashocc_ros" in frame.filename]
    return f"{frames[-1].filename.rpartition('flashocc_ros/')[2]}:{frames[-1].lineno}" if frames else "no line of ours"
