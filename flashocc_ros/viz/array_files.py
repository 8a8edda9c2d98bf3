"""Labelled volumes in an NPZ file."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.errors import InputError
from flashocc_ros.labels import FREE
from flashocc_ros.regular_file import regular_size
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid

MAX_BYTES = 1 << 29
"""Of an array; one of the usual grid has 5 MB at most."""
_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What zipfile and numpy raise for a file that is something else."""
NAMES = ("semantics", "instances", "truth", "truth_instances")


def read_arrays(source: Path) -> tuple[dict[str, npt.NDArray[Any]], VoxelGrid]:
    """``semantics`` and, where present, ``instances``, ``truth`` and ``truth_instances``, each (X, Y, Z), by name.

    Values above 17 count as unknown. The grid is the usual one, or one of 0.4 m around the vehicle when the shape is
    another.

    Raises:
        InputError: no such file, no NPZ, no ``semantics``, no whole numbers, or shapes that do not fit.
    """
    try:
        regular_size(source)
        with zipfile.ZipFile(source) as stored:
            members = {name: stored.getinfo(f"{name}.npy") for name in NAMES if f"{name}.npy" in stored.namelist()}
        large = [name for name, member in members.items() if member.file_size > MAX_BYTES]
        if large:
            size = members[large[0]].file_size
            raise ValueError(f"{large[0]} has {size / 1e9:.1f} GB, the limit is {MAX_BYTES / 1e9:.1f} GB")
        with np.load(source, allow_pickle=False) as file:
            arrays = {name: file[name] for name in members}
    except _DAMAGE as error:
        raise InputError(f"{source} cannot be read as NPZ ({error}); write it with numpy.savez_compressed") from error
    if "semantics" not in arrays or arrays["semantics"].ndim != 3 or not arrays["semantics"].size:
        raise InputError(f"{source} needs an array called semantics of shape (X, Y, Z), none of them 0")
    shape = arrays["semantics"].shape
    for name, values in arrays.items():
        if values.shape != shape or values.dtype.kind not in "iu":
            raise InputError(f"{source}: {name} is {values.dtype} {values.shape}, needs integers of shape {shape}")
    for name in {"semantics", "truth"} & arrays.keys():
        arrays[name] = _classes(arrays[name])
    if shape == OCC3D_GRID.size:
        return arrays, OCC3D_GRID
    resolution = OCC3D_GRID.resolution_m
    origin_m = (-shape[0] * resolution / 2, -shape[1] * resolution / 2, OCC3D_GRID.origin_m[2])
    return arrays, VoxelGrid(resolution, origin_m, shape)


def _classes(array: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """Those of 17 and less; the rest is 255, unknown."""
    return np.where((array >= 0) & (array <= FREE), array, 255).astype(np.uint8)
