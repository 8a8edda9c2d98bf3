"""Pictures of arrays in an NPZ file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from flashocc_ros.errors import InputError
from flashocc_ros.structures import VoxelGrid
from flashocc_ros.viz.render import Figure, render_figure
from flashocc_ros.viz.video import write_png

NAMES = ("semantics", "instances", "truth", "truth_instances")


def draw_arrays(source: Path, out: Path, width: int) -> Path:
    """Draw ``semantics`` and, where present, ``instances``, ``truth`` and ``truth_instances``, each (X, Y, Z).

    Values above 17 count as unknown and are not drawn. The grid is the usual one, or one of 0.4 m around the vehicle
    when the shape is another.

    Returns:
        The picture's path, ``out/<name>.png``.

    Raises:
        InputError: no such file, no NPZ, no ``semantics``, or shapes that do not fit.
    """
    try:
        with np.load(source, allow_pickle=False) as file:
            arrays = {name: file[name] for name in NAMES if name in file}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{source} cannot be read as NPZ ({error}); write it with numpy.savez_compressed") from error
    if "semantics" not in arrays or arrays["semantics"].ndim != 3:
        raise InputError(f"{source} needs an array called semantics of shape (X, Y, Z)")
    shape = arrays["semantics"].shape
    resolution = VoxelGrid().resolution_m
    grid = VoxelGrid(resolution, (-shape[0] * resolution / 2, -shape[1] * resolution / 2, -1.0), shape)
    figure = Figure(
        arrays["semantics"].astype(np.uint8),
        arrays.get("instances"),
        truth=arrays["truth"].astype(np.uint8) if "truth" in arrays else None,
        truth_instances=arrays.get("truth_instances"),
        title=source.stem,
        grid=grid,
    )
    path = out / f"{source.stem}.png"
    write_png(path, render_figure(figure, width))
    return path
