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

"""What the package warns of while it works on a recording."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from flashocc_ros.errors import shortened


@contextmanager
def collected_remarks() -> Iterator[list[str]]:
    """The sentences that are said in the block, each once."""
    said: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            sentence = shortened(record.getMessage())
            if sentence not in said:
                said.append(sentence)

    log, handler = logging.getLogger("flashocc_ros"), Collect(logging.WARNING)
    log.addHandler(handler)
    try:
        yield said
    finally:
        log.removeHandler(handler)
