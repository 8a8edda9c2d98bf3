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

"""Pictures of arrays in an NPZ file."""

from __future__ import annotations

from pathlib import Path

from flashocc_ros.viz.array_files import read_arrays
from flashocc_ros.viz.render import Figure, render_figure
from flashocc_ros.viz.video import write_png


def draw_arrays(source: Path, out: Path, width: int, *, by_object: bool = False) -> Path:
    """Draw what ``read_arrays`` finds, each object in a colour of its own if ``by_object``.

    Returns:
        The picture's path, ``out/<name>.png``.

    Raises:
        InputError: see ``read_arrays``.
    """
    arrays, grid = read_arrays(source)
    figure = Figure(
        arrays["semantics"],
        arrays.get("instances"),
        truth=arrays.get("truth"),
        truth_instances=arrays.get("truth_instances"),
        by_object=by_object,
        title=source.stem,
        grid=grid,
    )
    path = out / f"{source.stem}.png"
    write_png(path, render_figure(figure, width))
    return path
