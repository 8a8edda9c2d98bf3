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

"""A cache of synthetic frames on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from flashocc_ros import plain_json
from flashocc_ros.camera_model import PINHOLE, CameraModel
from flashocc_ros.data.synthetic.dataset import MAX_BOXES, NetworkFrame, SyntheticDataset
from flashocc_ros.errors import InputError
from flashocc_ros.labels import FREE
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid
from flashocc_ros.whole_file import make_folder, unwritable

_CAMERA_BIT, _LIDAR_BIT, _LABEL_BITS = 32, 64, 31


class FrameCache:
    """Frames on disk as memory-mapped arrays: read at no cost by any number of processes, while still being written.

    The folder holds ``meta.json`` and one ``.npy`` per field; ``voxels`` packs class (5 bits), camera mask (bit 5) and
    lidar mask (bit 6). ``ready`` in ``progress.txt`` tells how many frames are there.

    Raises:
        InputError: no such cache, or a damaged one.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.meta: dict[str, Any] = plain_json.parse((self.path / "meta.json").read_text())
            self.frames_per_seed = int(self.meta["frames_per_seed"])
            total = self.frames_per_seed * len(self.meta["seeds"])
            layout = _layout(self.meta)
            self._arrays = {name: np.load(self.path / f"{name}.npy", mmap_mode="r") for name in layout}
            for name, (dtype, shape) in layout.items():
                found = self._arrays[name]
                if found.dtype != dtype or found.shape != (total, *shape):
                    raise ValueError(f"{name}.npy holds {found.dtype} {found.shape}, not {(total, *shape)}")
            if not 0 <= len(self) <= total:
                raise ValueError(f"progress.txt counts {len(self)} of {total} frames")
        except (OSError, ValueError, TypeError, LookupError, EOFError) as error:
            raise InputError(
                f"{self.path} is no cache of synthetic frames ({error or type(error).__name__}); draw one with "
                "`flashocc synth --cache`"
            ) from error

    @property
    def models(self) -> tuple[CameraModel, ...]:
        """Of its cameras."""
        known = self.meta.get("models") or [("pinhole", ())] * len(self.meta["cameras"])
        return tuple(CameraModel(kind, tuple(coefficients)) for kind, coefficients in known)

    def __len__(self) -> int:
        """Frames written so far."""
        return int((self.path / "progress.txt").read_text())

    def previous(self, index: int) -> int | None:
        """Number of the key frame 0.5 s before, None at the start of a drive."""
        return index - 1 if index % self.frames_per_seed else None

    def frame(self, index: int) -> NetworkFrame:
        a = self._arrays
        voxels = np.asarray(a["voxels"][index])
        semantics = (voxels & np.uint8(_LABEL_BITS)).astype(np.uint8, copy=False)
        count = int(a["num_boxes"][index])
        if not (int(semantics.max()) <= FREE and 0 <= count <= MAX_BOXES):
            raise InputError(f"frame {index} of {self.path} is damaged; remove the folder to draw it anew")
        return NetworkFrame(
            np.asarray(a["images"][index]),
            a["depth_cm"][index].astype(np.float32) * np.float32(0.01),
            np.asarray(a["labels_2d"][index]),
            np.asarray(a["odom_from_base"][index]),
            int(a["stamp_ns"][index]),
            semantics,
            (voxels & _CAMERA_BIT) > 0,
            (voxels & _LIDAR_BIT) > 0,
            np.asarray(a["boxes"][index, :count]),
            np.asarray(a["box_labels"][index, :count]),
            np.asarray(a["box_voxels"][index, :count]),
            a["instances"][index].astype(np.int32) if "instances" in a else None,
            int(a["seed"][index]),
            index % self.frames_per_seed,
        )


def _layout(meta: dict[str, Any]) -> dict[str, tuple[type, tuple[int, ...]]]:
    """Type and shape of one frame of each array."""
    cameras, (h, w) = len(meta["cameras"]), meta["size"]
    layout: dict[str, tuple[type, tuple[int, ...]]] = {
        "images": (np.uint8, (cameras, h, w, 3)),
        "depth_cm": (np.uint16, (cameras, h, w)),
        "labels_2d": (np.uint8, (cameras, h, w)),
        "voxels": (np.uint8, grid_of(meta).size),
        "odom_from_base": (np.float64, (cameras, 4, 4)),
        "stamp_ns": (np.int64, ()),
        "seed": (np.int64, ()),
        "num_boxes": (np.int32, ()),
        "boxes": (np.float32, (MAX_BOXES, 9)),
        "box_labels": (np.uint8, (MAX_BOXES,)),
        "box_voxels": (np.int32, (MAX_BOXES,)),
    }
    if meta["instances"]:
        layout["instances"] = (np.uint16, grid_of(meta).size)
    return layout


def grid_of(meta: dict[str, Any]) -> VoxelGrid:
    """The grid of a cache's truth; caches of that of Occ3D do not say so."""
    if "grid" not in meta:
        return OCC3D_GRID
    resolution_m, (x, y, z), (size_x, size_y, size_z) = meta["grid"]
    return VoxelGrid(float(resolution_m), (float(x), float(y), float(z)), (int(size_x), int(size_y), int(size_z)))


def _settings(dataset: SyntheticDataset, instances: bool) -> dict[str, Any]:
    """Everything that decides what a cache holds, as JSON gives it back. Lenses stand there where there are some."""
    rig, (h, w), grid = dataset.full_rig, dataset.size, dataset.grid
    lenses = any(model != PINHOLE for model in rig.cameras.models)
    other = {} if grid == OCC3D_GRID else {"grid": [grid.resolution_m, list(grid.origin_m), list(grid.size)]}
    return other | {
        "size": [h, w],
        "source_size": list(dataset.source_size),
        "scale": 1 / dataset.factor,
        "crop_top_px": dataset.crop_top_px,
        "seeds": [int(s) for s in dataset.seeds],
        "first_frame": dataset.first_frame,
        "frames_per_seed": dataset.frames_per_seed,
        "interval_s": 0.5,
        "jpeg": None if dataset.jpeg is None else list(dataset.jpeg),
        "instances": instances,
        "cameras": list(rig.cameras.names),
        "delays_s": np.asarray(rig.delays_s).tolist(),
        "intrinsics": rig.cameras.intrinsics.tolist(),
        "base_from_camera": rig.cameras.base_from_camera.tolist(),
        **({"models": [[m.kind, list(m.coefficients)] for m in rig.cameras.models]} if lenses else {}),
    }


def _refuse_other_settings(cache: FrameCache, meta: dict[str, Any]) -> None:
    """Half of one data set and half of another are none: a cache is only continued as it was begun."""
    for key, value in meta.items():
        there = cache.meta.get(key, "not recorded")
        if there != value:
            raise InputError(
                f"{cache.path} was begun with {key} {_brief(there)}, not {_brief(value)}; "
                "remove the folder to draw it anew, or choose another one"
            )


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:40]} ... {text[-16:]}"


def write_cache(
    path: str | Path,
    dataset: SyntheticDataset,
    instances: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw all frames of a data set into a ``FrameCache`` at ``path``.

    A cache that was left half written is continued; another process that draws it is waited for.

    Args:
        instances: also keep the instance ids (1.3 MB per frame).
        progress: called with frames done and in all.

    Raises:
        InputError: the folder holds a cache of other drives or settings.
        OutputError: it cannot be written, as on a full disk; what is drawn stays.
    """
    path = Path(path)
    make_folder(path)
    try:
        with FileLock(path / ".lock"):
            _write_cache(path, dataset, instances, progress)
    except OSError as error:
        raise unwritable(path, error) from error


def _write_cache(
    path: Path, dataset: SyntheticDataset, instances: bool, progress: Callable[[int, int], None] | None
) -> None:
    total = len(dataset)
    meta = _settings(dataset, instances)
    layout = _layout(meta)
    started = (path / "progress.txt").exists()
    if started:
        _refuse_other_settings(FrameCache(path), meta)
    arrays: dict[str, Any] = {
        name: np.lib.format.open_memmap(
            path / f"{name}.npy",
            "r+" if started else "w+",
            None if started else dtype,
            None if started else (total, *shape),
        )
        for name, (dtype, shape) in layout.items()
    }
    if not started:
        # Room for all of it: a mapped file that finds none later ends the process.
        for name in layout:
            with (path / f"{name}.npy").open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        (path / "meta.json").write_text(json.dumps(meta, indent=1))
        (path / "progress.txt").write_text("0")
    for i in range(int((path / "progress.txt").read_text()), total):
        frame = dataset.frame(i)
        arrays["images"][i] = frame.images
        arrays["depth_cm"][i] = np.minimum(np.round(frame.depth_m * 100), 65535)
        arrays["labels_2d"][i] = frame.labels_2d
        arrays["voxels"][i] = frame.semantics | frame.mask_camera * _CAMERA_BIT | frame.mask_lidar * _LIDAR_BIT
        arrays["odom_from_base"][i] = frame.odom_from_base
        arrays["stamp_ns"][i], arrays["seed"][i] = frame.stamp_ns, frame.seed
        count = len(frame.boxes)
        arrays["num_boxes"][i] = count
        arrays["boxes"][i, :count] = frame.boxes
        arrays["box_labels"][i, :count] = frame.box_labels
        arrays["box_voxels"][i, :count] = frame.box_voxels
        if instances:
            arrays["instances"][i] = frame.instances
        (path / "progress.tmp").write_text(str(i + 1))
        (path / "progress.tmp").replace(path / "progress.txt")
        if progress is not None:
            progress(i + 1, total)
