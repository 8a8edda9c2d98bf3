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

"""Settings from text, as a command line gives them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from flashocc_ros import bounded_yaml
from flashocc_ros.errors import ConfigError
from flashocc_ros.labelling.class_ids import class_id, solid_names, unknown_classes
from flashocc_ros.labelling.settings import CONVENTIONS, Settings
from flashocc_ros.labels import IGNORE, OCC3D, ClassTable
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid
from flashocc_ros.variants import get_variant, is_file
from flashocc_ros.variants.file import MAX_NUMBERS

MAX_VOXELS, MAX_LAYERS = 4_000_000, 60


def make_settings(
    convention: str,
    key_rate_hz: float,
    window_s: float,
    grid: str,
    classes: str,
    own_box: str,
    unknown: str,
    unknown_ground: str,
) -> Settings:
    """Checked settings; empty text is the default.

    Raises:
        ConfigError: a value cannot be used.
    """
    if convention not in CONVENTIONS:
        raise ConfigError(f"--convention is {convention!r}; choose {' or '.join(CONVENTIONS)}")
    own = Settings.own_box_m if not own_box else _numbers("--own-box", own_box, 6)
    if any(own[j] >= own[j + 3] for j in range(3)):
        raise ConfigError(f"--own-box {own_box}: each of the first three numbers must be below its partner")
    table = _classes(classes)
    above, ground = unknown_classes(table)
    above = _class("--unknown", unknown, table) if unknown else above
    ground = _class("--unknown-ground", unknown_ground, table) if unknown_ground else ground
    if table.flat and (above in table.flat or ground not in table.flat):
        flat = ", ".join(table.names[i] for i in table.flat)
        raise ConfigError(f"--unknown-ground must be one of {flat}, and --unknown none of them")
    voxels = _grid(grid)
    votes = math.prod(voxels.size) * len(table)
    if votes > MAX_NUMBERS:
        raise ConfigError(
            f"{voxels} of {len(table)} classes need {votes / 1e6:.0f} million votes, limit {MAX_NUMBERS / 1e6:.0f} "
            "million; take larger voxels"
        )
    return Settings(convention, key_rate_hz, window_s, voxels, table, above, ground, own)


def _classes(text: str) -> ClassTable:
    if not text:
        return OCC3D
    if not is_file(text):
        raise ConfigError(f"--classes {text} is no variant file (.yaml); config/variant.yaml is an example of one")
    return get_variant(text).classes


def _grid(text: str) -> VoxelGrid:
    if not text:
        return OCC3D_GRID
    if is_file(text):
        return _bounded(text, get_variant(text).grid)
    *corners, cell = _numbers("--grid", text, 7)
    if cell <= 0:
        raise ConfigError(f"--grid {text}: the voxel, its last number, must be above 0 m")
    spans = [(corners[j + 3] - corners[j]) / cell for j in range(3)]
    size = tuple(round(span) for span in spans)
    if min(size) < 1 or max(abs(span - n) for span, n in zip(spans, size, strict=True)) > 1e-3:
        raise ConfigError(f"--grid {text}: sides of {[round(v, 3) for v in spans]} voxels, need whole numbers above 0")
    return _bounded(text, VoxelGrid(cell, (corners[0], corners[1], corners[2]), (size[0], size[1], size[2])))


def _bounded(text: str, grid: VoxelGrid) -> VoxelGrid:
    if math.prod(grid.size) > MAX_VOXELS or grid.size[2] > MAX_LAYERS:
        raise ConfigError(
            f"--grid {text} has {' x '.join(map(str, grid.size))} voxels, limit {MAX_VOXELS} and {MAX_LAYERS} in "
            "height; take larger voxels"
        )
    return grid


def _numbers(option: str, text: str, count: int) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"{option} {text}: {error}; it needs {count} numbers separated by commas") from error
    if len(values) != count or not np.isfinite(values).all():
        raise ConfigError(f"{option} {text} needs {count} finite numbers separated by commas")
    return values


def _class(option: str, name: str, classes: ClassTable) -> int:
    found = class_id(name, classes)
    if found is None:
        raise ConfigError(f"{option} is {name!r:.80}; choose one of {solid_names(classes)}")
    return found


def class_numbers(path: Path | None, classes: ClassTable = OCC3D) -> dict[str, int]:
    """Ids of the class table by the user's own names or numbers; a class mapped to ``none`` is left out (255).

    Raises:
        ConfigError: the file cannot be read, or maps to a class that the table lacks.
    """
    if path is None:
        return {}
    try:
        content = bounded_yaml.read(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--class-map {path} cannot be read ({error}); it needs lines such as `Car: car`") from error
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"--class-map {path} needs lines such as `Car: car` or `17: vegetation`")
    return {
        str(own): IGNORE if str(name) in ("none", "None") else _class(f"--class-map {path}: {own}", str(name), classes)
        for own, name in content.items()
    }
