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

"""Log records of the package in the node's log, and warnings that do not flood it."""

from __future__ import annotations

import logging
import re
import time

from rclpy.impl.rcutils_logger import RcutilsLogger

from flashocc_ros.errors import shortened

REPEAT_S = 10.0
MAX_KINDS = 1000


class RosLogHandler(logging.Handler):
    """Hands records of the ``flashocc_ros`` loggers to the node's."""

    def __init__(self, seldom: SeldomLogger) -> None:
        super().__init__(logging.INFO)
        self._seldom = seldom

    def emit(self, record: logging.LogRecord) -> None:
        """One record, if it is due."""
        message = record.getMessage()
        kind = kind_of(message)
        if record.levelno >= logging.ERROR:
            self._seldom.error(kind, message)
        elif record.levelno >= logging.WARNING:
            self._seldom.warning(kind, message)
        else:
            self._seldom.info(kind, message)


def kind_of(sentence: str) -> str:
    """The sentence without its values: one that comes again with other numbers and quotations is of the same kind."""
    return shortened(re.sub(r"'[^']*'|\d[\d.]*", "#", sentence))


class SeldomLogger:
    """Says each kind of sentence at once and then at most every ten seconds, with how often it happened meanwhile.

    rclpy wants a line of code of its own for each severity.
    """

    def __init__(self, logger: RcutilsLogger) -> None:
        self._logger = logger
        self._said_s: dict[str, float] = {}
        self._silent: dict[str, int] = {}

    def info(self, kind: str, message: str) -> None:
        """Say a message of this kind, unless one was said a moment ago."""
        if sentence := self._due(kind, message):
            self._logger.info(sentence)

    def warning(self, kind: str, message: str) -> None:
        """The same, as a warning."""
        if sentence := self._due(kind, message):
            self._logger.warning(sentence)

    def finding(self, sentence: str) -> None:
        """A warning whose kind is told by its words."""
        self.warning(kind_of(sentence), sentence)

    def error(self, kind: str, message: str) -> None:
        """The same, as an error."""
        if sentence := self._due(kind, message):
            self._logger.error(sentence)

    def once(self, kind: str, message: str) -> None:
        """Say a message of this kind a single time."""
        if kind not in self._said_s:
            self._said_s[kind] = float("inf")
            self._logger.warning(shortened(message))

    def _due(self, kind: str, message: str) -> str:
        """What to say now, empty for nothing."""
        now_s = time.monotonic()
        if len(self._said_s) > MAX_KINDS:  # names from outside make kinds of their own
            self._said_s = {k: at_s for k, at_s in self._said_s.items() if now_s - at_s < REPEAT_S}
            self._silent = {k: count for k, count in self._silent.items() if k in self._said_s}
        if now_s - self._said_s.get(kind, -REPEAT_S) < REPEAT_S:
            self._silent[kind] = self._silent.get(kind, 0) + 1
            return ""
        self._said_s[kind] = now_s
        silent, message = self._silent.pop(kind, 0), shortened(message)
        return f"{message} ({silent} more since the last report)" if silent else message
