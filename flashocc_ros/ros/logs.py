"""Log records of the package in the node's log, and warnings that do not flood it."""

from __future__ import annotations

import logging
import time

from rclpy.impl.rcutils_logger import RcutilsLogger

REPEAT_S = 10.0


class RosLogHandler(logging.Handler):
    """Hands records of the ``flashocc_ros`` loggers to a ROS logger."""

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__(logging.INFO)
        self._ros = logger

    def emit(self, record: logging.LogRecord) -> None:
        """One record; rclpy wants a line of its own for each severity."""
        message = record.getMessage()
        if record.levelno >= logging.ERROR:
            self._ros.error(message)
        elif record.levelno >= logging.WARNING:
            self._ros.warning(message)
        else:
            self._ros.info(message)


class SeldomLogger:
    """Says each kind of warning at once and then at most every ten seconds, with how often it happened meanwhile."""

    def __init__(self, logger: RcutilsLogger) -> None:
        self._logger = logger
        self._said_s: dict[str, float] = {}
        self._silent: dict[str, int] = {}

    def warning(self, kind: str, message: str) -> None:
        """Say a message of this kind, unless one was said a moment ago."""
        if sentence := self._due(kind, message):
            self._logger.warning(sentence)

    def error(self, kind: str, message: str) -> None:
        """The same, as an error."""
        if sentence := self._due(kind, message):
            self._logger.error(sentence)

    def once(self, kind: str, message: str) -> None:
        """Say a message of this kind a single time."""
        if kind not in self._said_s:
            self._said_s[kind] = float("inf")
            self._logger.warning(message)

    def _due(self, kind: str, message: str) -> str:
        """What to say now, empty for nothing."""
        now_s = time.monotonic()
        if now_s - self._said_s.get(kind, -REPEAT_S) < REPEAT_S:
            self._silent[kind] = self._silent.get(kind, 0) + 1
            return ""
        self._said_s[kind] = now_s
        silent = self._silent.pop(kind, 0)
        return f"{message} ({silent} more since the last report)" if silent else message
