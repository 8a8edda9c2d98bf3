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

"""Volumes in an NPZ file of anybody's making."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.errors import InputError
from flashocc_ros.labels import FREE
from flashocc_ros.npz_damage import NPZ_DAMAGE
from flashocc_ros.regular_file import regular_size
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid

MAX_BYTES = 1 << 29
"""Of an array; one of the usual grid has 5 MB at most."""
NAMES = ("semantics", "instances", "truth", "truth_instances")


def stored_names(source: Path) -> list[str]:
    """The arrays of an NPZ file, none of them too large to be read.

    Raises:
        InputError: no such file, no NPZ, or an array of more than ``MAX_BYTES``.
    """
    try:
        regular_size(source)
        with zipfile.ZipFile(source) as stored:
            members = {m.filename.removesuffix(".npy"): m for m in stored.infolist() if m.filename.endswith(".npy")}
    except NPZ_DAMAGE as error:
        raise _unreadable(source, error) from error
    for name, member in members.items():
        if member.file_size > MAX_BYTES:
            size, limit = member.file_size / 1e9, MAX_BYTES / 1e9
            raise _unreadable(source, f"{name} has {size:.1f} GB, the limit is {limit:.1f} GB")
    return list(members)


def read_arrays(source: Path) -> tuple[dict[str, npt.NDArray[Any]], VoxelGrid]:
    """``semantics`` and, where present, ``instances``, ``truth`` and ``truth_instances``, each (X, Y, Z), by name.

    Classes above 17 become 255, unknown. The grid is the usual one, or one of 0.4 m around the vehicle when the shape
    is another.

    Raises:
        InputError: no such file, no NPZ, no ``semantics``, no whole numbers, or shapes that do not fit.
    """
    names = stored_names(source)
    try:
        with np.load(source, allow_pickle=False) as file:
            arrays = {name: file[name] for name in NAMES if name in names}
    except NPZ_DAMAGE as error:
        raise _unreadable(source, error) from error
    if "semantics" not in arrays or arrays["semantics"].ndim != 3 or not arrays["semantics"].size:
        raise InputError(f"{source} needs an array called semantics of shape (X, Y, Z), none of them 0")
    shape = arrays["semantics"].shape
    for name, values in arrays.items():
        if values.dtype.kind not in "iu":
            raise InputError(f"{source}: {name} holds {values.dtype}, needs whole numbers")
        if values.shape != shape:
            raise InputError(f"{source}: {name} has shape {values.shape}, semantics {shape}; they need the same")
    for name in {"semantics", "truth"} & arrays.keys():
        arrays[name] = np.where((arrays[name] >= 0) & (arrays[name] <= FREE), arrays[name], 255).astype(np.uint8)
    if shape == OCC3D_GRID.size:
        return arrays, OCC3D_GRID
    resolution = OCC3D_GRID.resolution_m
    origin_m = (-shape[0] * resolution / 2, -shape[1] * resolution / 2, OCC3D_GRID.origin_m[2])
    return arrays, VoxelGrid(resolution, origin_m, shape)


def _unreadable(source: Path, why: object) -> InputError:
    return InputError(f"{source} cannot be read as NPZ ({why}); write it with numpy.savez_compressed")
