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

"""Key frames of label folders, read back: what `flashocc label` made, drive by drive."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.data.label_files import DEPTH, FRAME, LABELS, MANIFEST, camera_model, has_classes, read_facts
from flashocc_ros.data.occ3d import MAX_INSTANCE, voxel_array
from flashocc_ros.errors import ImageError, InputError
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.npz_damage import NPZ_DAMAGE
from flashocc_ros.structures import OCC3D_GRID, CameraRig, VoxelGrid

Volume = npt.NDArray[Any]
MAX_BOXES = 10_000
MAX_HITS = 10_000_000
_DAMAGE = (*NPZ_DAMAGE, TypeError, AttributeError)


@dataclass(frozen=True, eq=False)
class Hits:
    """Points of a lidar in the pictures of their cameras.

    Attributes:
        camera: (P,) uint8 which picture; pixel: (P, 2) float32 u, v in it; depth_m: (P,) float32 z-depth in metres.
    """

    camera: npt.NDArray[np.uint8]
    pixel: npt.NDArray[np.float32]
    depth_m: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class VoxelLabels:
    """What one key frame's ``labels.npz`` holds; all volumes (X, Y, Z), base frame at the key stamp.

    Attributes:
        semantics: uint8 classes.
        observed, mask_camera, guessed: bool, what is known; what cameras see of it; occupied of a class nothing tells.
        instances: int32, 0 none; None without.
        boxes: (B, 9) float32 centre, size, yaw, velocity; box_classes: (B,) uint8; box_ids: (B,) int32.
    """

    semantics: npt.NDArray[np.uint8]
    observed: npt.NDArray[np.bool_]
    mask_camera: npt.NDArray[np.bool_]
    guessed: npt.NDArray[np.bool_]
    instances: npt.NDArray[np.int32] | None
    boxes: npt.NDArray[np.float32]
    box_classes: npt.NDArray[np.uint8]
    box_ids: npt.NDArray[np.int32]


@dataclass(frozen=True)
class LabelDrive:
    """A labelled drive.

    Attributes:
        folder: of the drive; name: of the folder.
        frames: folders of its key frames in the order of time.
        convention: what counts as occupied.
        cameras: how many each key frame has.
        classes: what ids in its labels mean.
    """

    folder: Path
    frames: tuple[Path, ...]
    convention: str
    cameras: int
    classes: ClassTable = OCC3D

    @property
    def name(self) -> str:
        return self.folder.name


def open_drives(
    folders: Sequence[Path], pictures: bool = True, grid: VoxelGrid = OCC3D_GRID, classes: ClassTable = OCC3D
) -> list[LabelDrive]:
    """The labelled drives of some folders, each of one drive or of several; in the order given, then by name.

    Args:
        pictures: of every camera must be there.
        grid: that the labels must have; classes: that they must have, or else those of Occ3D.

    Raises:
        InputError: nothing is labelled there, a drive is not finished or lacks a picture, or two do not fit together.
    """
    drives: list[LabelDrive] = []
    for folder in folders:
        single = (folder / MANIFEST).is_file()
        found = [folder] if single else sorted(file.parent for file in folder.glob(f"*/{MANIFEST}"))
        begun = sorted({file.parent.parent for file in folder.glob(f"*/*/{FRAME}")} - set(found)) if not single else []
        if begun:
            raise InputError(f"{begun[0]} is labelled in part; run the same `flashocc label` again, it goes on")
        if not found:
            raise InputError(
                f"{folder} holds no labelled drive (<drive>/{MANIFEST}); make them with `flashocc label DRIVE... --out`"
            )
        drives += [_open(path, pictures, grid, classes) for path in found]
    names = [drive.name for drive in drives]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two labelled drives are called {twice}; rename the folder of one")
    for drive in drives:
        for what in ("convention", "cameras"):
            here, there = getattr(drives[0], what), getattr(drive, what)
            if here != there:
                raise InputError(
                    f"{drive.folder} has {what} {there}, {drives[0].folder} has {here}; one network learns one of "
                    "them: label all drives alike"
                )
        if drive.classes is not drives[0].classes:
            raise InputError(
                f"{drive.folder} has the classes {', '.join(drive.classes.names)}, {drives[0].folder} has "
                f"{', '.join(drives[0].classes.names)}; label all drives with one --classes"
            )
    return drives


def _open(folder: Path, pictures: bool, wanted: VoxelGrid, classes: ClassTable) -> LabelDrive:
    manifest = read_facts(folder / MANIFEST) or {}
    try:
        tokens = [str(frame["token"]) for frame in manifest["frames"]]
        settings = manifest["settings"]
        grid, convention = settings["grid"], str(settings["convention"])
        corner, size = tuple(grid["origin_m"]), tuple(grid["size"])
        resolution_m = float(grid["resolution_m"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder / MANIFEST} is damaged ({error!r}); label the drive again") from error
    same_place = np.allclose([*corner, resolution_m], [*wanted.origin_m, wanted.resolution_m], rtol=0, atol=1e-6)
    if size != wanted.size or not same_place:
        raise InputError(
            f"{folder} is labelled on a grid of {size} voxels of {resolution_m:g} m from {corner}, the network's has "
            f"{wanted.size} of {wanted.resolution_m:g} m from {wanted.origin_m}; label it again with that --grid"
        )
    if not tokens:
        raise InputError(f"{folder} holds no key frame; label the drive again or leave it out")
    counts = set()
    for token in tokens:
        counts.add(_check(folder / token, pictures))
    tables = {_table(folder / token, classes) for token in tokens}
    if len(tables) > 1:
        raise InputError(f"{folder} has key frames of several class tables; label it again")
    if len(counts) > 1:
        raise InputError(f"{folder} has key frames of {min(counts)} and of {max(counts)} cameras; label it again")
    return LabelDrive(folder, tuple(folder / token for token in tokens), convention, counts.pop(), tables.pop())


def _check(frame: Path, pictures: bool) -> int:
    """Number of cameras of a key frame whose files are all there."""
    facts = read_facts(frame / FRAME)
    if not facts or not (frame / LABELS).is_file():
        raise InputError(f"{frame} lacks {FRAME} or {LABELS}, or they are damaged; label the drive again")
    cameras = facts.get("cameras")
    if not isinstance(cameras, list) or not cameras:
        raise InputError(
            f"{frame} has no cameras, which a network needs; label a recording with cameras, and for labels of "
            "nuScenes use data.kind: nuscenes"
        )
    for camera in cameras:
        picture = frame / str(camera.get("picture") if isinstance(camera, dict) else camera)
        if pictures and not picture.is_file():
            raise InputError(
                f"{picture} is missing; label without --no-pictures, or use data.kind: bag with the recordings and "
                "these labels"
            )
    return len(cameras)


def _table(frame: Path, wanted: ClassTable) -> ClassTable:
    """What ids of a key frame mean: classes of the network, or those of Occ3D, which they may come from."""
    facts = read_facts(frame / FRAME) or {}
    found = next((table for table in (wanted, OCC3D) if has_classes(facts, table)), None)
    if found is None:
        there = facts.get("classes")
        names = ", ".join(map(str, there)) if isinstance(there, list) else facts.get("class_table")
        raise InputError(
            f"{frame} has the classes {names!s:.200}, the network's are {', '.join(wanted.names):.200}; label it with "
            "the --classes of the network, or train the variant it was labelled for"
        )
    return found


def stamp_of(frame: Path) -> int:
    """Key stamp of a key frame's folder, nanoseconds."""
    facts = read_facts(frame / FRAME) or {}
    try:
        return int(facts["stamp_ns"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{frame / FRAME} is damaged ({error!r}); label the drive again") from error


def load_cameras(frame: Path) -> CameraSet:
    """Pictures (JPEG files), calibration and poses of a key frame.

    Raises:
        InputError: something of them is missing or damaged.
    """
    facts = read_facts(frame / FRAME) or {}
    try:
        cameras = facts["cameras"]
        rig = CameraRig(
            [str(camera["name"]) for camera in cameras],
            np.array([camera["intrinsics"] for camera in cameras], np.float64),
            np.array([camera["base_from_camera"] for camera in cameras], np.float64),
            [camera_model(camera) for camera in cameras],
        )
        return CameraSet(
            [(frame / str(camera["picture"])).read_bytes() for camera in cameras],
            rig,
            np.array([camera["odom_from_base"] for camera in cameras], np.float64),
            int(facts["stamp_ns"]),
            np.array([int(camera["stamp_ns"]) for camera in cameras], np.int64),
            np.array(facts["odom_from_base"], np.float64),
        )
    except (InputError, ImageError) as error:
        raise InputError(f"{frame}: {error}") from error
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{frame}: its pictures or {FRAME} are damaged ({error!r}); label the drive again") from error


def decode_pictures(frame: Path, cameras: CameraSet) -> list[npt.NDArray[np.uint8]]:
    """The pictures of a key frame as RGB (H, W, 3) uint8.

    Raises:
        InputError: one is damaged.
    """
    try:
        return cameras.pictures
    except ImageError as error:
        raise InputError(f"{frame}: {error}") from error


def load_voxels(frame: Path, grid: VoxelGrid = OCC3D_GRID, classes: ClassTable = OCC3D) -> VoxelLabels:
    """Labels of a key frame on ``grid``, of ``classes`` as `LabelDrive` has them.

    Raises:
        InputError: the file is missing or damaged, or an array is of another shape, type or range.
    """
    path = frame / LABELS
    try:
        with zipfile.ZipFile(path) as stored:
            there = set(stored.namelist())
            masks = {name: voxel_array(stored, name, 1, grid).astype(bool) for name in ("mask_lidar", "mask_camera")}
            semantics = voxel_array(stored, "semantics", len(classes) - 1, grid).astype(np.uint8)
            guessed = np.zeros(semantics.shape, bool)
            if "guessed.npy" in there:
                guessed = voxel_array(stored, "guessed", 1, grid).astype(bool)
            instances = None
            if "instances.npy" in there:
                instances = voxel_array(stored, "instances", MAX_INSTANCE, grid).astype(np.int32)
        boxes = np.zeros((0, 9), np.float32), np.zeros(0, np.uint8), np.zeros(0, np.int32)
        if "boxes.npy" in there:
            boxes = _boxes(path, classes)
        elif instances is not None:
            boxes = boxes_around(instances, semantics, grid)
        guessed &= semantics != classes.free
        return VoxelLabels(semantics, masks["mask_lidar"], masks["mask_camera"], guessed, instances, *boxes)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise InputError(f"{path} is damaged: {' '.join(str(error).split())}; label the drive again") from error


Boxes = tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], npt.NDArray[np.int32]]


def _boxes(path: Path, table: ClassTable) -> Boxes:
    with np.load(path, allow_pickle=False) as arrays:
        boxes, classes, ids = arrays["boxes"], arrays["box_classes"], arrays["box_ids"]
    count = len(boxes)
    if boxes.shape != (count, 9) or classes.shape != (count,) or ids.shape != (count,) or count > MAX_BOXES:
        raise InputError(f"boxes have shapes {boxes.shape}, {classes.shape}, {ids.shape}; need (B, 9), (B,), (B,)")
    if classes.dtype.kind not in "iu" or ids.dtype.kind not in "iu" or not np.isin(classes, table.solid).all():
        raise InputError(f"box_classes hold a class outside the table, whose classes are {', '.join(table.names)}")
    if boxes.dtype.kind != "f" or not np.isfinite(boxes).all():
        raise InputError("boxes hold a number that is not finite")
    return boxes.astype(np.float32), classes.astype(np.uint8), ids.astype(np.int32)


def boxed_classes(drives: Sequence[LabelDrive]) -> set[int]:
    """Classes that boxes of these drives have, ids as in their labels.

    Raises:
        InputError: a file is damaged.
    """
    boxed: set[int] = set()
    for path, table in ((frame / LABELS, drive.classes) for drive in drives for frame in drive.frames):
        try:
            with zipfile.ZipFile(path) as stored:
                if "box_classes.npy" in stored.namelist():
                    boxed |= set(_boxes(path, table)[1].tolist())
        except _DAMAGE as error:
            raise InputError(f"{path} is damaged: {' '.join(str(error).split())}; label the drive again") from error
    return boxed


def boxes_around(
    instances: npt.NDArray[np.int32], semantics: npt.NDArray[np.uint8], grid: VoxelGrid = OCC3D_GRID
) -> Boxes:
    """Boxes along the axes around the voxels of each instance, without velocity; the class most voxels have; ids."""
    where = np.argwhere(instances > 0)
    ids = instances[tuple(where.T)]
    rows, classes = [], []
    found = np.unique(ids)
    for identity in found:
        voxels = where[ids == identity]
        low, high = voxels.min(0), voxels.max(0) + 1
        corner = np.array(grid.origin_m) + low * grid.resolution_m
        size = (high - low) * grid.resolution_m
        rows.append([*(corner + size / 2), *size, 0.0, 0.0, 0.0])
        classes.append(np.bincount(semantics[tuple(voxels.T)]).argmax())
    return np.array(rows, np.float32).reshape(-1, 9), np.array(classes, np.uint8), found.astype(np.int32)


def load_hits(frame: Path, cameras: int) -> Hits | None:
    """Points of the lidar in the pictures, None where none were kept.

    Raises:
        InputError: the file is damaged.
    """
    path = frame / DEPTH
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            hits = Hits(arrays["camera"], arrays["pixel"].astype(np.float32), arrays["depth_m"].astype(np.float32))
        count = len(hits.camera)
        if hits.camera.shape != (count,) or hits.pixel.shape != (count, 2) or hits.depth_m.shape != (count,):
            raise ValueError(f"{hits.camera.shape}, {hits.pixel.shape} and {hits.depth_m.shape} do not fit together")
        if count > MAX_HITS or hits.camera.dtype.kind not in "iu" or (hits.camera >= cameras).any():
            raise ValueError(f"{count} points of cameras up to {hits.camera.max(initial=0)}, there are {cameras}")
        if not (np.isfinite(hits.pixel).all() and np.isfinite(hits.depth_m).all() and (hits.depth_m > 0).all()):
            raise ValueError("a depth is not finite or not above 0")
        return hits
    except _DAMAGE as error:
        raise InputError(f"{path} is damaged: {' '.join(str(error).split())}; label the drive again") from error
