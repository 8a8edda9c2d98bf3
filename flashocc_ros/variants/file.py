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

"""A variant of one's own: a YAML file that names a row of the table and what differs from it.

`config/variant.yaml` is a commented example; `docs/variants.md` says what each key does. Whatever cannot work is
refused here, in one sentence, before a network is built.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flashocc_ros import bounded_yaml
from flashocc_ros.config_errors import explain
from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import CLASS_NAMES, DETECTION_NAMES, IGNORE, OCC3D, ClassTable, SemanticClass
from flashocc_ros.ranges import MAX_CAMERAS
from flashocc_ros.variants.variant import DepthBins, Published, Variant
from flashocc_ros.voxel_grid import VoxelGrid

MAX_BYTES = 200_000
"""254 classes with every key have 50 kB."""
VOXEL_M = (0.02, 5.0)
FARTHEST_M = 500.0
MAX_NUMBERS = 200_000_000
"""Voxels times classes: the logits, of which the published networks have 11.5 million."""
INPUT_PX = (64, 4096)
DEPTH_BINS = (2, 512)
MAX_DEPTH_M = 1000.0
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,79}")


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Class(_Keys):
    name: str
    color: list[int] = Field(min_length=3, max_length=3)
    thing: bool = False
    flat: bool = False
    free: bool = False
    cost: int | None = None
    like: str = ""
    sources: list[str] = Field(default=[], alias="from")


class _Grid(_Keys):
    x_m: list[float] = Field(min_length=2, max_length=2)
    y_m: list[float] = Field(min_length=2, max_length=2)
    z_m: list[float] = Field(min_length=2, max_length=2)
    voxel_m: float = Field(ge=VOXEL_M[0], le=VOXEL_M[1])


class _Depth(_Keys):
    start_m: float | None = Field(default=None, gt=0, le=MAX_DEPTH_M)
    stop_m: float | None = Field(default=None, gt=0, le=MAX_DEPTH_M)
    step_m: float | None = Field(default=None, gt=0, le=MAX_DEPTH_M)
    log: bool | None = None


class _File(_Keys):
    base: str
    name: str | None = None
    description: str | None = None
    grid: _Grid | None = None
    classes: list[_Class] | None = None
    ignore: int = IGNORE
    input_size: list[int] | None = Field(default=None, min_length=2, max_length=2)
    depth: _Depth | None = None
    num_cameras: int | None = Field(default=None, ge=1, le=MAX_CAMERAS)


def read_variant(path: Path, rows: dict[str, Variant]) -> Variant:
    """The row that a file describes.

    Args:
        path: the file.
        rows: the table that its base is looked up in.

    Raises:
        ConfigError: it cannot be read, or describes no network that can be built; value, limit and remedy are named.
    """
    try:
        return _row(path, _File.model_validate(_mapping(path)), rows)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error, _File)}; docs/variants.md lists the keys") from error
    except RecursionError as error:
        raise ConfigError(f"{path} holds a value that contains itself; write it out") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _mapping(path: Path) -> dict[str, Any]:
    try:
        values = bounded_yaml.read(path, MAX_BYTES)
    except OSError as error:
        raise ConfigError(f"it cannot be read ({error.strerror or error}); give the path of a variant file") from error
    except ValueError as error:
        raise ConfigError(f"it cannot be used: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"it must hold keys such as base, found {type(values).__name__}; see config/variant.yaml")
    return values


def _row(path: Path, file: _File, rows: dict[str, Variant]) -> Variant:
    name = path.stem if file.name is None else file.name
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"the name {name!r:.100} must be 1 to 80 letters, digits, dots, dashes or underscores; give another name"
        )
    if name in rows:
        raise ConfigError(f"the name {name} belongs to a row of the table; give it another name")
    if file.base not in rows:
        raise ConfigError(f"base {file.base!r:.80} is no row of the table; `flashocc variants` lists them")
    base = rows[file.base]
    grid = base.grid if file.grid is None else _grid(file.grid, base)
    classes = base.classes if file.classes is None else _classes(file.classes, file.ignore, base)
    numbers = len(classes) * grid.size[0] * grid.size[1] * grid.size[2]
    if numbers > MAX_NUMBERS:
        raise ConfigError(
            f"{grid} of {len(classes)} classes are {numbers / 1e6:.0f} million numbers per frame, limit "
            f"{MAX_NUMBERS / 1e6:.0f} million; take larger voxels or a smaller range"
        )
    return replace(
        base,
        name=name,
        description=file.description or f"{base.name} with what {path.name} says",
        stands_for="none: ours",
        input_size=base.input_size if file.input_size is None else _input_size(file.input_size, base),
        depth=base.depth if file.depth is None else _depth(file.depth, base.depth),
        lift_z_bins=grid.size[2] if base.volumetric else base.lift_z_bins,
        params_m=None,
        gmacs=None,
        gmacs_per_frame=None,
        published=Published(),
        trained_on="",
        grid=grid,
        classes=classes,
        num_cameras=file.num_cameras or base.num_cameras,
    )


def _grid(given: _Grid, base: Variant) -> VoxelGrid:
    size = [
        _voxels(axis, values, given.voxel_m, multiple, base)
        for axis, values, multiple in zip("xyz", (given.x_m, given.y_m, given.z_m), base.cell_multiple, strict=True)
    ]
    return VoxelGrid(given.voxel_m, (given.x_m[0], given.y_m[0], given.z_m[0]), (size[0], size[1], size[2]))


def _voxels(axis: str, given_m: Sequence[float], voxel_m: float, multiple: int, base: Variant) -> int:
    """How many voxels an axis has."""
    low_m, high_m = given_m
    said = f"grid.{axis}_m goes from {low_m:g} to {high_m:g} m"
    if not -FARTHEST_M <= low_m < high_m <= FARTHEST_M:
        raise ConfigError(f"{said}, must rise within {-FARTHEST_M:g} and {FARTHEST_M:g} m; correct it")
    count = (high_m - low_m) / voxel_m
    whole = max(round(count), 1)
    if abs(count - whole) > 1e-6 * whole:
        raise ConfigError(
            f"{said}, which is {count:.4g} voxels of {voxel_m:g} m and must be a whole number; end it at "
            f"{low_m + whole * voxel_m:g} m or change voxel_m"
        )
    least = 2 * multiple if multiple > 1 else 1  # the coarsest map is interpolated between at least two cells
    if whole % multiple or whole < least:
        better = max(round(whole / multiple) * multiple, least)
        raise ConfigError(
            f"{said}, which is {whole} voxels of {voxel_m:g} m, but the encoder of {base.name} halves its maps and "
            f"needs a multiple of {multiple}, at least {least}; end it at {low_m + better * voxel_m:g} m "
            f"({better} voxels)"
        )
    return whole


def _classes(given: Sequence[_Class], ignore: int, base: Variant) -> ClassTable:
    free = [i for i, c in enumerate(given) if c.free]
    if len(free) != 1:
        found = "none is" if not free else f"{' and '.join(given[i].name for i in free[:3])} are"
        raise ConfigError(f"one of the {len(given)} classes must be free, {found}; mark empty space with free: true")
    claimed = {source for c in given for source in c.sources}
    rows = tuple(_class(c, claimed) for c in given)
    things = tuple(i for i, c in enumerate(rows) if c.thing)
    if things and not base.panoptic:
        raise ConfigError(
            f"class {rows[things[0]].name} is a thing, but {base.name} has no head that finds objects; take a panoptic "
            "base (`flashocc variants`) or leave thing out"
        )
    if base.panoptic and not things:
        raise ConfigError(
            f"{base.name} finds objects, but none of the {len(rows)} classes is a thing; mark one with thing: true, or "
            "take a base that is not panoptic"
        )
    if rows == OCC3D.classes and ignore == OCC3D.ignore:
        return OCC3D
    digest = zlib.crc32(repr((rows, free[0], ignore)).encode())
    return ClassTable(f"own-{digest:08x}", 1, rows, free[0], things, ignore)


def _class(given: _Class, claimed: set[str]) -> SemanticClass:
    known = given.name in DETECTION_NAMES
    like = given.like or (given.name if given.thing and known else "")
    if given.thing and not like:
        raise ConfigError(
            f"class {given.name!r:.80} is a thing whose size and motion are not known; say with like which of these "
            f"comes nearest: {', '.join(DETECTION_NAMES)}"
        )
    if like and not given.thing:
        raise ConfigError(f"class {given.name!r:.80} is like {like}, but no thing; add thing: true or leave like out")
    if given.free and (given.thing or given.flat):
        raise ConfigError(f"class {given.name!r:.80} is free, so neither thing nor flat; leave those out")
    if given.cost is None and given.flat:
        raise ConfigError(
            f"class {given.name!r:.80} is flat; say with cost what standing on it costs, 0 (free) to 100 (lethal)"
        )
    # A class of the same name is made from it, unless another one takes it.
    own = (given.name,) if given.name in CLASS_NAMES and given.name not in claimed else ()
    return SemanticClass(
        name=given.name,
        color_rgb=(given.color[0], given.color[1], given.color[2]),
        thing=given.thing,
        flat=given.flat,
        cost=(0 if given.free else 100) if given.cost is None else given.cost,
        like=like,
        sources=own + tuple(given.sources),
    )


def _input_size(given: Sequence[int], base: Variant) -> tuple[int, int]:
    multiple = base.input_multiple
    low, high = INPUT_PX
    for value in given:
        if not low <= value <= high or value % multiple:
            raise ConfigError(
                f"input_size {list(given)} must be height and width in pixels, multiples of {multiple} from {low} to "
                f"{high}; take {min(max(round(value / multiple) * multiple, low), high)} instead of {value}"
            )
    return given[0], given[1]


def _depth(given: _Depth, base: DepthBins) -> DepthBins:
    bins = DepthBins(
        base.start_m if given.start_m is None else given.start_m,
        base.stop_m if given.stop_m is None else given.stop_m,
        base.step_m if given.step_m is None else given.step_m,
        base.sid if given.log is None else given.log,
    )
    low, high = DEPTH_BINS
    least_stop_m = bins.start_m + (1 if bins.sid else 0)  # spaced evenly in log depth up to a metre before the end
    if bins.stop_m <= least_stop_m:
        raise ConfigError(
            f"depth ends at {bins.stop_m:g} m, must be beyond {least_stop_m:g} m; raise stop_m or lower start_m"
        )
    if not low <= bins.count <= high:
        raise ConfigError(
            f"depth from {bins.start_m:g} to {bins.stop_m:g} m in steps of {bins.step_m:g} m are {bins.count} bins, "
            f"needs {low} to {high}; change step_m"
        )
    return bins
