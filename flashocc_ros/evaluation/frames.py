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

"""Frames with ground truth, sequence by sequence, from the synthetic world, a recording or nuScenes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from flashocc_ros.bags import Frames, cameras_at, read_sets
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.data.label_folder import (
    LabelDrive,
    boxed_classes,
    decode_pictures,
    load_cameras,
    load_voxels,
    open_drives,
)
from flashocc_ros.data.partial_labels import judged_by, possible_classes, targets_of
from flashocc_ros.data.recorded_frames import objects_of, read_truth
from flashocc_ros.errors import BagError, ConfigError, InputError
from flashocc_ros.evaluation.mean_iou import Mask
from flashocc_ros.evaluation.velocity import TrueVelocities
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.remote import Location
from flashocc_ros.structures import OCC3D_GRID, CameraRig, VoxelGrid

LIDAR_ORIGIN_M = (0.9858, 0.0, 1.8402)
"""Where the benchmark places the lidar on the vehicle."""


@dataclass(frozen=True, eq=False)
class EvalFrame:
    """One camera set and what should come out.

    Attributes:
        images: N uint8 (H, W, 3) RGB; none where the prediction is known already.
        rig: intrinsics of these images and mounting; None without images.
        odom_from_base: (N, 4, 4) vehicle pose at each shutter.
        stamp_ns: key stamp.
        semantics: (X, Y, Z) uint8; mask_camera, mask_lidar: the same shape, bool.
        instances: (X, Y, Z) int32, 0 = none; None where the truth has no instances.
        origins: (T, 3) lidar origins of the sequence in this frame's base frame, metres.
        possible: with labels that do not know every class, which classes a voxel of each target may have, and
            ``semantics`` are targets; see ``data.partial_labels``.
        grid, classes: where the voxels of the truth lie and what their ids mean.
        velocities: of the objects of ``instances``, where they are known.
    """

    images: list[npt.NDArray[np.uint8]]
    rig: CameraRig | None
    odom_from_base: npt.NDArray[np.float64]
    stamp_ns: int
    semantics: npt.NDArray[np.uint8]
    mask_camera: npt.NDArray[np.bool_]
    mask_lidar: npt.NDArray[np.bool_]
    instances: npt.NDArray[np.int32] | None
    origins: npt.NDArray[np.float64]
    possible: npt.NDArray[np.bool_] | None = None
    grid: VoxelGrid = OCC3D_GRID
    classes: ClassTable = OCC3D
    velocities: TrueVelocities | None = None

    def labels_of(self, grid: VoxelGrid, classes: ClassTable) -> npt.NDArray[np.uint8]:
        """``semantics`` with the ids of a network's classes; what none of them stands for is ``classes.ignore``.

        Raises:
            InputError: the truth is on another grid, or its classes are neither the network's nor those of Occ3D.
        """
        if self.grid != grid:
            raise InputError(
                f"the ground truth has {self.grid}, the network predicts {grid}; make labels on its grid, such as "
                "with `flashocc synth --variant` or `flashocc label --grid`"
            )
        if self.classes.same_ids(classes):
            return self.semantics
        try:
            return np.array(classes.ids_from(self.classes), np.uint8)[self.semantics]
        except ConfigError as error:
            raise InputError(
                f"the ground truth has the classes {', '.join(self.classes.names)}, the network "
                f"{', '.join(classes.names)}; make labels with its classes"
            ) from error

    def judge_of(
        self, predicted: npt.NDArray[np.uint8], grid: VoxelGrid = OCC3D_GRID, classes: ClassTable = OCC3D
    ) -> npt.NDArray[np.uint8]:
        """(X, Y, Z) the classes that ``predicted``, of a network with this grid and these classes, is compared with.

        Raises:
            InputError: see ``labels_of``.
        """
        labels = self.labels_of(grid, classes)
        return labels if self.possible is None else judged_by(predicted, labels, self.possible, classes)

    def mask(self, name: Mask | None) -> npt.NDArray[np.bool_] | None:
        """Voxels that count; None for all of them."""
        return {"camera": self.mask_camera, "lidar": self.mask_lidar, None: None}[name]


class EvalData(Protocol):
    """A data set cut into sequences that do not depend on each other; must survive pickling to other processes."""

    def sequences(self) -> list[Any]: ...

    def frames(self, sequence: Any) -> Iterator[EvalFrame]: ...


def lidar_origins(
    odom_from_base: npt.NDArray[np.float64], index: int, mount_m: npt.ArrayLike = LIDAR_ORIGIN_M
) -> npt.NDArray[np.float64]:
    """Lidar origins of all key frames (T, 4, 4) seen from key frame ``index``, (T, 3) metres."""
    mount = np.append(np.asarray(mount_m, np.float64), 1.0)
    return np.asarray((np.linalg.inv(odom_from_base[index]) @ odom_from_base @ mount)[:, :3])


def recorded_origins(
    bag: Location,
    mounts_m: Mapping[int, npt.ArrayLike],
    names: Frames = Frames(),  # noqa: B008 - frozen
    cameras: Sequence[str] | None = None,
) -> dict[int, npt.NDArray[np.float64]]:
    """`lidar_origins` of the camera sets of a recording that have a lidar's position, (3,) metres, at their key stamp.

    Raises:
        BagError: none has.
    """
    used = [s for s in read_sets(bag, cameras, decode=False, frames=names) if s.stamp_ns in mounts_m]
    if not used:
        raise BagError(f"{bag}: no camera set has ground truth at its key stamp; record both together")
    poses = np.stack([s.poses.odom_from_base[0] for s in used])
    return {s.stamp_ns: lidar_origins(poses, index, mounts_m[s.stamp_ns]) for index, s in enumerate(used)}


@dataclass(frozen=True)
class SyntheticFrames:
    """Key frames of drives through the synthetic world, drawn as they are needed; 1000 and up were never trained on."""

    seeds: tuple[int, ...]
    frames_per_seed: int = 8
    interval_s: float = 0.5
    grid: VoxelGrid = OCC3D_GRID

    def sequences(self) -> list[int]:
        return list(self.seeds)

    def frames(self, sequence: int) -> Iterator[EvalFrame]:
        from flashocc_ros.data.synthetic import Drive
        from flashocc_ros.data.synthetic.truth import LIDAR_MOUNT_M

        duration_s = self.interval_s * (self.frames_per_seed + 1)
        drive = Drive(sequence, duration_s, interval_s=self.interval_s, threads=1, grid=self.grid)
        times = [k * drive.interval_s for k in range(self.frames_per_seed)]
        poses = np.stack([drive.world.ego_pose(drive.key_time(t)) for t in times])
        for index in range(self.frames_per_seed):
            key = drive.key_frame(index)
            yield EvalFrame(
                key.images,
                key.rig,
                key.odom_from_base,
                key.stamp_ns,
                key.semantics,
                key.mask_camera > 0,
                key.mask_lidar > 0,
                key.instances,
                lidar_origins(poses, index, LIDAR_MOUNT_M),
                grid=self.grid,
                velocities=dict(zip(key.boxes.instance.tolist(), key.boxes.velocity.tolist(), strict=True)),
            )


@dataclass(frozen=True)
class BagFrames:
    """Camera sets of recordings that carry ground truth at the key stamp; one recording is one sequence."""

    bags: tuple[Location, ...]
    names: Frames = field(default_factory=Frames)
    cameras: tuple[str, ...] | None = None
    fisheye: Fisheye = "rectify"

    def sequences(self) -> list[Location]:
        return list(self.bags)

    def frames(self, sequence: Location) -> Iterator[EvalFrame]:
        truths = read_truth(sequence)
        cameras = cameras_at(sequence, truths, self.cameras, self.names)
        mounts_m = {stamp_ns: truth.lidar_origin_m for stamp_ns, truth in truths.items()}
        origins = recorded_origins(sequence, mounts_m, self.names, cameras)
        for camera_set in read_sets(sequence, cameras, frames=self.names, fisheye=self.fisheye):
            truth = truths.get(camera_set.stamp_ns)
            if truth is None:
                continue
            yield EvalFrame(
                camera_set.pictures,
                camera_set.rig,
                camera_set.odom_from_base,
                camera_set.stamp_ns,
                truth.semantics,
                truth.mask_camera > 0,
                truth.mask_lidar > 0,
                None if truth.instances is None else objects_of(truth.instances, truth.classes),
                origins[camera_set.stamp_ns],
                grid=truth.grid,
                classes=truth.classes,
            )


@dataclass(frozen=True)
class LabelFrames:
    """Key frames of label folders; one drive is one sequence. What nobody observed is neither right nor wrong.

    Attributes:
        grid, classes: of the network that is judged; the labels are on its grid, of its classes or of Occ3D's.
    """

    folders: tuple[Path, ...]
    grid: VoxelGrid = OCC3D_GRID
    classes: ClassTable = OCC3D

    def sequences(self) -> list[LabelDrive]:
        return open_drives(self.folders, grid=self.grid, classes=self.classes)

    def frames(self, sequence: LabelDrive) -> Iterator[EvalFrame]:
        sets = [load_cameras(frame) for frame in sequence.frames]
        poses = np.stack([camera_set.key_pose for camera_set in sets])
        labelled = sequence.classes
        possible = possible_classes(boxed_classes(self.sequences()), self.classes, labelled)
        for index, (frame, camera_set) in enumerate(zip(sequence.frames, sets, strict=True)):
            voxels = load_voxels(frame, self.grid, labelled)
            yield EvalFrame(
                decode_pictures(frame, camera_set),
                camera_set.rig,
                camera_set.odom_from_base,
                camera_set.stamp_ns,
                targets_of(voxels.semantics, voxels.guessed, voxels.observed, self.classes, labelled),
                voxels.mask_camera & voxels.observed,
                voxels.observed,
                voxels.instances,
                lidar_origins(poses, index),
                possible,
                self.grid,
                self.classes,
            )
