"""Libraries that tell more than anybody asked, silenced while they work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(name: str | None = None) -> Iterator[None]:
    """Drop what is logged through this very logger below ERROR; None is the root, for ``logging.warning(...)``.

    Loggers of other names go on, and level and handlers are afterwards what they were: a first ``logging.warning`` of a
    process installs a handler for all.
    """
    log = logging.getLogger(name)
    handlers = list(log.handlers)

    def serious(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    log.addFilter(serious)
    try:
        yield
    finally:
        log.removeFilter(serious)
        log.handlers[:] = handlers
