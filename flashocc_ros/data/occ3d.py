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

"""Occ3D's labels of nuScenes key frames."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.data.nuscenes_tables import Info
from flashocc_ros.errors import InputError
from flashocc_ros.labels import NUM_CLASSES
from flashocc_ros.npz_damage import NPZ_DAMAGE
from flashocc_ros.voxel_grid import OCC3D_GRID, VoxelGrid

_KINDS = "biu"
"""Truth values and whole numbers; a fraction or NaN would become some class."""
MAX_INSTANCE = np.iinfo(np.int32).max


def load_occupancy(
    folder: Path, info: Info
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.int32] | None]:
    """Semantics, camera mask, lidar mask and instances (None without) of ``<folder>/<scene>/<token>/labels.npz``.

    Raises:
        InputError: the file is missing or damaged, or an array in it is of another shape, type or range.
    """
    path = Path(folder) / info.scene / info.token / "labels.npz"
    try:
        with zipfile.ZipFile(path) as stored:
            semantics = voxel_array(stored, "semantics", NUM_CLASSES - 1)
            camera = voxel_array(stored, "mask_camera", 1)
            lidar = voxel_array(stored, "mask_lidar", 1)
            instances = None
            if "instances.npy" in stored.namelist():
                instances = voxel_array(stored, "instances", MAX_INSTANCE).astype(np.int32)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except NPZ_DAMAGE as error:
        raise InputError(
            f"cannot read Occ3D labels {path}: {' '.join(str(error).split())}; unpack Occ3D's gts/ beside samples/"
        ) from error
    return semantics.astype(np.uint8), camera.astype(bool), lidar.astype(bool), instances


def voxel_array(stored: zipfile.ZipFile, name: str, largest: int, grid: VoxelGrid = OCC3D_GRID) -> npt.NDArray[Any]:
    """One array of whole numbers from 0 to ``largest`` on ``grid``.

    Its header is read first, so that a wrong one costs nothing.
    """
    member = f"{name}.npy"
    with stored.open(member) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
    if shape != grid.size:
        raise InputError(f"{name} has shape {shape}, needs {grid.size}")
    if dtype.kind not in _KINDS:
        raise InputError(f"{name} holds {dtype}, needs whole numbers from 0 to {largest}")
    with stored.open(member) as file:
        array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    lowest, highest = int(array.min()), int(array.max())
    if lowest < 0 or highest > largest:
        wrong = lowest if lowest < 0 else highest
        raise InputError(f"{name} holds {wrong}, needs whole numbers from 0 to {largest}; map your own classes to them")
    return array
