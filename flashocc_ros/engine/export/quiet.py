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
