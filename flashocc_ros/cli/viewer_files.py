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

"""Results as one file for a viewer, with progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flashocc_ros.cli.options import Place, counted


def write_for_viewer(
    source: Place, path: Path, write: Callable[..., int], limit: int = 0, *, pictures: bool = True, **options: object
) -> str:
    """Let ``write`` make ``path`` of at most ``limit`` frames (0 is all) of ``source``.

    Returns:
        What was written, for people.

    Raises:
        FlashOccError: see ``open_source`` and ``write``.
    """
    from flashocc_ros.progress import Progress
    from flashocc_ros.view.sources import open_source
    from flashocc_ros.whole_file import check_writable

    check_writable(path)
    opened = open_source(source, pictures)
    with Progress() as progress:
        progress.begin("writing", min(opened.total, limit or opened.total) or None)
        count = write(opened, path, limit=limit, progress=progress, **options)
    return f"{path}: {counted(count, 'frame')}, {path.stat().st_size / 1e6:.1f} MB"
