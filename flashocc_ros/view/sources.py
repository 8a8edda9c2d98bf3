"""Results on disk as frames of the page: recordings, folders of ``flashocc predict``, single files."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flashocc_ros.bags.files import is_recording
from flashocc_ros.bags.results import (
    OCCUPANCY_TYPE,
    TRUTH_TYPE,
    ResultFrame,
    Truth,
    count_results,
    network_facts,
    read_results,
    read_truths,
)
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.errors import InputError
from flashocc_ros.structures import Instance, VoxelGrid
from flashocc_ros.view.frame import Layer, Report, ViewFrame, shots_of

UNTRAINED = "untrained weights: the prediction means nothing"
DEMO_RESULT = "result"
"""Folder of the recording in what ``flashocc demo`` leaves."""


@dataclass(frozen=True)
class Source:
    """Results on disk.

    Attributes:
        title: for people.
        note: a warning, empty for none.
        total: number of frames.
        frames: reads them in order of time.
    """

    title: str
    note: str
    total: int
    frames: Callable[[], Iterator[ViewFrame]]


def open_source(path: Path, pictures: bool = True) -> Source:
    """What a path holds.

    Raises:
        BagError: a recording cannot be read or holds neither results nor truth.
        InputError: nothing is there that could be shown.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; give a result recording or a folder of `flashocc predict`")
    if path.is_dir() and not is_recording(path) and is_recording(path / DEMO_RESULT):
        path = path / DEMO_RESULT
    if is_recording(path):
        return _recording(path, pictures)
    files = [path] if path.is_file() else sorted(path.glob("*.npz"), key=_stamp_of)
    if not files:
        raise InputError(
            f"{path} holds no recording and no .npz; give what `flashocc demo` or `flashocc predict` wrote"
        )
    return Source(path.name, "", len(files), lambda: map(read_arrays, files))


def _recording(path: Path, pictures: bool) -> Source:
    facts = network_facts(path)
    count = count_results(path)
    name = path.resolve().parent.name if path.name == DEMO_RESULT else path.name
    if count:
        note = UNTRAINED if facts.get("trained") == "false" else ""
        values = {key: facts[key] for key in ("variant", "runs_on") if facts.get(key)}
        report = Report(values=values)
        title = "  ".join(filter(None, (name, facts.get("variant", ""))))
        return Source(
            title, note, count, lambda: (_result(r, report) for r in read_results(path, pictures, keep_jpeg=True))
        )
    truths = count_results(path, TRUTH_TYPE)
    note = f"no {OCCUPANCY_TYPE.rpartition('/')[2]} recorded: this is the ground truth"
    return Source(name, note, truths, lambda: (_truth(*found) for found in read_truths(path)))


def _result(result: ResultFrame, report: Report) -> ViewFrame:
    cameras, truth = result.cameras, result.truth
    return ViewFrame(
        result.stamp_ns,
        Layer(result.semantics, result.instances, result.objects),
        None if truth is None else Layer(truth.semantics, truth.instances),
        None if truth is None else truth.mask_camera,
        () if cameras is None else shots_of(cameras),
        None if cameras is None else cameras.key_pose,
        report,
        result.grid,
    )


def _truth(stamp_ns: int, truth: Truth, cameras: CameraSet | None) -> ViewFrame:
    return ViewFrame(
        stamp_ns,
        None,
        Layer(truth.semantics, truth.instances),
        truth.mask_camera,
        () if cameras is None else shots_of(cameras),
        None if cameras is None else cameras.key_pose,
        grid=truth.grid,
    )


def _stamp_of(path: Path) -> tuple[int, str]:
    return (int(path.stem) if path.stem.isdecimal() else 0, path.name)


def read_arrays(path: Path) -> ViewFrame:
    """A file of ``flashocc predict`` or another NPZ with ``semantics``; see ``cli.predict.save`` for the names.

    ``truth`` and ``truth_instances`` are shown beside it. Without ``resolution_m`` and ``origin_m`` the grid is the
    usual one, or one of 0.4 m around the vehicle where the shape is another.

    Raises:
        InputError: no NPZ, no semantics, or arrays that do not fit.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, Any] = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read as NPZ ({error}); write it with numpy.savez_compressed") from error
    semantics = _volume(path, arrays, "semantics", None)
    if semantics is None:
        raise InputError(f"{path} needs an array called semantics of shape (X, Y, Z)")
    instances, truth, truth_instances = (
        _volume(path, arrays, name, semantics.shape) for name in ("instances", "truth", "truth_instances")
    )
    stamp_ns = int(arrays["stamp_ns"]) if "stamp_ns" in arrays else max(_stamp_of(path)[0], 0)
    return ViewFrame(
        stamp_ns,
        Layer(_classes(semantics), instances, _objects(path, arrays)),
        None if truth is None else Layer(_classes(truth), truth_instances),
        grid=_grid(path, arrays, semantics.shape),
    )


def _volume(path: Path, arrays: dict[str, Any], name: str, shape: tuple[int, ...] | None) -> Any:
    volume = arrays.get(name)
    if volume is None:
        return None
    if volume.ndim != 3 or volume.dtype.kind not in "iu" or (shape is not None and volume.shape != shape):
        needed = "integers of shape (X, Y, Z)" if shape is None else f"integers of shape {shape} like semantics"
        raise InputError(f"{path}: {name} is {volume.dtype} {volume.shape}, needs {needed}")
    return volume


def _classes(volume: Any) -> Any:
    """Unknown values, also negative ones, are not drawn."""
    return np.where((volume >= 0) & (volume < 255), volume, 255).astype(np.uint8)


def _grid(path: Path, arrays: dict[str, Any], shape: tuple[int, int, int]) -> VoxelGrid:
    usual = VoxelGrid()
    if "resolution_m" not in arrays or "origin_m" not in arrays:
        if shape == usual.size:
            return usual
        edge_m = usual.resolution_m
        return VoxelGrid(edge_m, (-shape[0] * edge_m / 2, -shape[1] * edge_m / 2, usual.origin_m[2]), shape)
    resolution, origin = np.asarray(arrays["resolution_m"]), np.asarray(arrays["origin_m"])
    good = resolution.size == 1 and origin.size == 3 and np.isfinite(resolution).all() and np.isfinite(origin).all()
    if not good or float(resolution) <= 0:
        raise InputError(
            f"{path}: resolution_m is {resolution} and origin_m {origin}, needs a length and three numbers"
        )
    x, y, z = (float(v) for v in origin)
    return VoxelGrid(float(resolution), (x, y, z), shape)


def _objects(path: Path, arrays: dict[str, Any]) -> tuple[Instance, ...]:
    names = ("id", "class", "score", "center_m", "extent_m", "voxels")
    columns = [arrays.get(f"instance_{name}") for name in names]
    if any(column is None for column in columns):
        return ()
    try:
        return tuple(
            Instance(int(i), int(c), float(s), tuple(map(float, m)), tuple(map(float, e)), int(n))  # type: ignore[arg-type]
            for i, c, s, m, e, n in zip(*columns, strict=True)
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: its instance_* arrays do not fit together ({error}); write it anew") from error
