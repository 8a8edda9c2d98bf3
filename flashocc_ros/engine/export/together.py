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

"""Files of an export that appear together."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flashocc_ros.engine.store.meta import META_FILE


@contextmanager
def written_together(folder: Path) -> Iterator[Path]:
    """An empty folder inside ``folder``, which is made; when the block is left its files move there.

    ``meta.json`` goes first and comes last, so that no reader ever sees it beside files of another export. An error,
    Ctrl-C or a full disk leaves what was there; what a killed run leaves is removed by the next one.
    """
    temporary = folder / ".writing"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        written = sorted(temporary.iterdir(), key=lambda path: path.name == META_FILE)
        (folder / META_FILE).unlink(missing_ok=True)
        for path in written:
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
