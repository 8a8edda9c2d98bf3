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

"""Callbacks that never fail in silence.

rclpy swallows what a lifecycle callback raises, ends the process over what any other callback raises, and a thread just
dies. `guarded` turns all of it into a line in the log, the traceback at level debug, and ERROR in the diagnostics until
the same callback succeeds.
"""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from rclpy.impl.rcutils_logger import RcutilsLogger

from flashocc_ros.errors import FlashOccError
from flashocc_ros.ros.logs import SeldomLogger

STDERR = 2


class Problems:
    """What failed and has not succeeded since; safe to use from several threads.

    Args:
        logger: of the node.
        seldom: takes the sentences of callbacks that run often.
        is_running: False once the process is stopping. Then publishers and subscriptions vanish under every callback,
            which is no problem and not said.
    """

    def __init__(self, logger: RcutilsLogger, seldom: SeldomLogger, is_running: Callable[[], bool]) -> None:
        self._logger, self._seldom, self._is_running = logger, seldom, is_running
        self._sentences: dict[str, str] = {}

    def __str__(self) -> str:
        return "; ".join(list(self._sentences.values()))

    def failed(self, what: str, error: Exception, often: bool) -> str:
        """Say and keep that something failed; returns the sentence."""
        sentence = f"{what}: {describe(error)}"
        if not self._is_running():
            return sentence
        self._sentences[what] = sentence
        traceback.clear_frames(error.__traceback__)  # they hold what was half made
        try:
            if often:
                self._seldom.error(what, sentence)
            else:
                self._logger.error(sentence)
            self._logger.debug("".join(traceback.format_exception(error)))
        except MemoryError:  # of which logging takes some, too
            os.write(STDERR, f"{sentence}\n".encode())
        return sentence

    def over(self, what: str) -> None:
        """It succeeded."""
        self._sentences.pop(what, None)

    def clear(self) -> None:
        """A new beginning."""
        self._sentences.clear()


def describe(error: Exception) -> str:
    """One line; an error that nobody foresaw comes with its type and where to find the traceback."""
    text = one_line(error)
    if isinstance(error, FlashOccError):
        return text
    return f"{type(error).__name__}{f': {text}' if text else ''} (the traceback is logged at level debug)"


def one_line(error: Exception) -> str:
    """The text of an error without its line breaks."""
    return " ".join(str(error).split())


class HasProblems(Protocol):
    """What owns a guarded callback."""

    problems: Problems


Owner = TypeVar("Owner", bound=HasProblems)
Args = ParamSpec("Args")
Result = TypeVar("Result")


def guarded(
    what: str, otherwise: Callable[[str], Result], *, often: bool = False
) -> Callable[[Callable[Concatenate[Owner, Args], Result]], Callable[Concatenate[Owner, Args], Result]]:
    """Decorates a callback, a method of an object with ``problems``, so that nothing it raises leaves it.

    Args:
        what: begins the sentence, as "cannot be activated".
        otherwise: makes the result of a call that failed from the sentence.
        often: the callback runs many times a second: its sentence is logged at most every ten seconds.
    """

    def decorate(method: Callable[Concatenate[Owner, Args], Result]) -> Callable[Concatenate[Owner, Args], Result]:
        @functools.wraps(method)
        def run(self: Owner, /, *args: Args.args, **kwargs: Args.kwargs) -> Result:
            try:
                result = method(self, *args, **kwargs)
            except Exception as error:
                return otherwise(self.problems.failed(what, error, often))
            self.problems.over(what)
            return result

        return run

    return decorate


def nothing(sentence: str) -> None:
    """Result of a failed callback that has none."""
