"""Occ3D's labels of nuScenes key frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from flashocc_ros.data.nuscenes_tables import Info
from flashocc_ros.errors import InputError

_SHAPE = (200, 200, 16)


def load_occupancy(
    folder: Path, info: Info
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.int32] | None]:
    """Semantics, camera mask, lidar mask and instances (None without) of ``<folder>/<scene>/<token>/labels.npz``.

    Raises:
        InputError: the file is missing, damaged or of another shape.
    """
    path = Path(folder) / info.scene / info.token / "labels.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        semantics, camera, lidar = (arrays[name] for name in ("semantics", "mask_camera", "mask_lidar"))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"cannot read Occ3D labels {path}: {error}; unpack Occ3D's gts/ beside samples/") from error
    if semantics.shape != _SHAPE:
        raise InputError(f"{path}: semantics have shape {semantics.shape}, needs {_SHAPE}")
    instances = arrays["instances"].astype(np.int32) if "instances" in arrays else None
    return semantics.astype(np.uint8), camera.astype(bool), lidar.astype(bool), instances
