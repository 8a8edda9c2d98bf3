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

"""The data that crosses module borders: voxel grid, camera rig, instances and the result of a prediction.

Transforms are named ``target_from_source`` and map column vectors: ``p_target = target_from_source @ p_source``.
Frames: ``base`` is x forward, y left, z up (REP-103); a camera frame is optical, z forward, x right, y down.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.camera_model import PINHOLE, CameraModel
from flashocc_ros.errors import InputError, OutputError
from flashocc_ros.instance import Instance as Instance
from flashocc_ros.instance import instance_columns, instances_of
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.npz_damage import NPZ_DAMAGE
from flashocc_ros.point_files import voxel_points, write_pcd, write_ply
from flashocc_ros.ranges import MAX_CAMERAS
from flashocc_ros.regular_file import regular_size
from flashocc_ros.voxel_grid import OCC3D_GRID as OCC3D_GRID
from flashocc_ros.voxel_grid import VoxelGrid as VoxelGrid
from flashocc_ros.whole_file import whole_file

Float64 = npt.NDArray[np.float64]

MAX_MOUNTING_M = 1e5
"""No camera is further from its vehicle; it leaves room for millimetres, which ``cameras.rig_check`` tells."""
FOCAL_RANGE_PX = (1.0, 1e6)
"""A telescope in front of the finest sensor has 1e6."""
MAX_SKEW = 0.01
"""Of the focal length. Pixel axes of real sensors are perpendicular within 0.1 degrees, 0.002."""
RIGID_TOLERANCE = 1e-3
"""Of entries of a rotation times its transpose, for calibrations printed with four digits."""
ROUNDING = 1e-6
"""What arithmetic may leave of a zero."""


def float64_array(value: Any, shape: tuple[int, ...], name: str) -> Float64:
    """A float64 copy of any array-like of numbers.

    Raises:
        InputError: it holds something else or has another shape.
    """
    try:
        if np.iscomplexobj(value if isinstance(value, np.ndarray) else np.asarray(value)):
            raise TypeError("it holds complex numbers")
        array = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} is no array of numbers of shape {shape}: {' '.join(str(error).split())}") from error
    if array.shape != shape:
        raise InputError(f"{name} has shape {array.shape}, needs {shape}")
    return array


def why_not_rigid(pose: Float64, max_distance_m: float) -> str | None:
    """What keeps a (4, 4) matrix from being a rigid transform of a sane length, and the remedy; None if it is one."""
    rotation, last_row = pose[:3, :3], pose[3]
    if not np.isfinite(pose).all():
        return "is not a rigid transform: it holds a value that is not finite; check where it comes from"
    if np.abs(last_row - (0, 0, 0, 1)).max() > ROUNDING:
        return (
            f"is not a rigid transform: its last row is {_listed(last_row)}, needs [0, 0, 0, 1]; a transposed matrix "
            "looks so"
        )
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error > RIGID_TOLERANCE:
        return (
            f"is not a rigid transform: its rotation times its transpose is off the identity by {error:.3g}, limit "
            f"{RIGID_TOLERANCE:g}; take scale and shear out of it"
        )
    if np.linalg.det(rotation) < 0:
        return (
            "is not a rigid transform: it is left-handed, the determinant of its rotation is -1, needs +1; an axis is "
            "mirrored, check their signs"
        )
    distance_m = float(np.linalg.norm(pose[:3, 3]))
    if distance_m > max_distance_m:
        return f"is a translation of {distance_m:.3g} m, limit {max_distance_m:g} m; check unit and parent frame"
    return None


def why_no_intrinsic(matrix: Float64) -> str | None:
    """What keeps a (3, 3) matrix from being a K, with the remedy; None when it is one."""
    focal_x, focal_y, skew = matrix[0, 0], matrix[1, 1], matrix[0, 1]
    if not np.isfinite(matrix).all():
        return "K holds a value that is not finite; check its CameraInfo"
    if focal_x <= 0 or focal_y <= 0:
        return (
            f"focal lengths {focal_x:g}, {focal_y:g} px must be positive; "
            "an all-zero K means the camera is not calibrated"
        )
    low, high = FOCAL_RANGE_PX
    if not (low <= focal_x <= high and low <= focal_y <= high):
        return f"focal lengths {focal_x:g}, {focal_y:g} px must lie within {low:g} and {high:g} px; K is in pixels"
    if np.abs(matrix[2] - (0, 0, 1)).max() > ROUNDING:
        return f"K has the last row {_listed(matrix[2])}, needs [0, 0, 1]; divide K by its last number, or transpose it"
    if abs(skew) > MAX_SKEW * focal_x or abs(matrix[1, 0]) > ROUNDING * focal_y:
        return (
            f"K has {skew:g} and {matrix[1, 0]:g} beside its focal lengths, limit {MAX_SKEW:.0%} of {focal_x:g} px and "
            "0; pixel axes are perpendicular, so K is mixed up or of an image that is not rectified"
        )
    return None


def _listed(row: Float64) -> str:
    return f"[{', '.join(f'{value:g}' for value in row)}]"


@dataclass(frozen=True, eq=False)
class CameraRig:
    """Names, intrinsics and mounting of N cameras.

    Attributes:
        names: N distinct camera names, 1 to 12; the order is the order of the images given to a predictor.
        intrinsics: (N, 3, 3) float64, pixels of the source image; of an equidistant camera pixels per radian.
        base_from_camera: (N, 4, 4) float64, camera optical frame to base frame, metres.
        models: N camera models; none given means pinholes.

    Raises:
        InputError: a shape does not fit, a number is not finite, K is none, a pose is not rigid.
    """

    names: Sequence[str]
    intrinsics: Float64
    base_from_camera: Float64
    models: Sequence[CameraModel] = ()

    def __post_init__(self) -> None:
        names = _camera_names(self.names)
        object.__setattr__(self, "names", names)
        for attribute, shape in (("intrinsics", (3, 3)), ("base_from_camera", (4, 4))):
            value = float64_array(getattr(self, attribute), (len(names), *shape), attribute)
            value.setflags(write=False)
            object.__setattr__(self, attribute, value)
        object.__setattr__(self, "models", tuple(self.models) or (PINHOLE,) * len(names))
        if len(self.models) != len(names) or not all(isinstance(model, CameraModel) for model in self.models):
            raise InputError(f"models are {self.models!r:.80}, needs one CameraModel for each of {len(names)} cameras")
        for name, intrinsic, pose in zip(names, self.intrinsics, self.base_from_camera, strict=True):
            if why := why_no_intrinsic(intrinsic):
                raise InputError(f"camera {name}: {why}")
            if why := why_not_rigid(pose, MAX_MOUNTING_M):
                raise InputError(f"camera {name}: base_from_camera {why}")

    @classmethod
    def from_yaml(cls, path: str | Path) -> CameraRig:
        """The rig written in a ``calibration.yaml`` (docs/own_cameras.md), for pictures of the size written there.

        Raises:
            ConfigError: the file cannot be read, or holds something else.
            InputError: a camera has distortion: its pictures have to be undistorted first.
        """
        return _from_above("rig_from_yaml")(path)

    @classmethod
    def from_camera_info(
        cls,
        messages: Sequence[Any],
        base_from_camera: npt.ArrayLike,
        names: Sequence[str] | None = None,
        *,
        rectified: bool = False,
        fisheye: str = "rectify",
    ) -> CameraRig:
        """The rig of N ``sensor_msgs/CameraInfo``, for images of the size that they describe.

        Args:
            messages: N messages, of rclpy or of a recording.
            base_from_camera: (N, 4, 4), camera optical frame to base frame, metres.
            names: N camera names; None takes the ``frame_id`` of each.
            rectified: the images are those of ``image_rect``: P counts, distortion is gone.
            fisheye: "rays" for images of wide lenses as they are, whose pixels are lifted along their own rays.

        Raises:
            ConfigError: ``fisheye`` is another word.
            InputError: a calibration cannot be used, or has distortion and the images are not rectified.
        """
        return _from_above("rig_from_camera_info")(messages, base_from_camera, names, rectified, fisheye)

    @property
    def num_cameras(self) -> int:
        return len(self.names)

    def same_as(self, other: CameraRig, tolerance: float = 1e-6) -> bool:
        """True when names are equal and all numbers agree within ``tolerance`` (pixels, metres, unitless)."""
        return (
            self.names == other.names
            and self.models == other.models
            and np.allclose(self.intrinsics, other.intrinsics, rtol=0, atol=tolerance)
            and np.allclose(self.base_from_camera, other.base_from_camera, rtol=0, atol=tolerance)
        )


def _from_above(name: str) -> Any:
    """What the package exports for a method of convenience here: it stands above and is loaded when it is called."""
    return getattr(sys.modules[__package__], name)


def _camera_names(names: Any) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InputError(f"camera names are {names!r}, needs a list of one string per camera")
    listed = tuple(names)
    wrong = [name for name in listed if not isinstance(name, str) or not name]
    if wrong:
        raise InputError(f"{wrong[0]!r} is no name of a camera, needs a string that is not empty")
    if not listed or len(set(listed)) != len(listed):
        raise InputError(f"camera names must be distinct and at least one, got {list(listed)}")
    if len(listed) > MAX_CAMERAS:
        raise InputError(f"{len(listed)} cameras are too many, a rig has 1 to {MAX_CAMERAS}; leave some out")
    return listed


@dataclass(frozen=True, eq=False)
class Occupancy:
    """Result of one prediction, in the base frame at ``stamp_ns``.

    Attributes:
        semantics: (X, Y, Z) uint8 of the size of ``grid``, axes x, y, z; ids of ``classes``.
        instances: the same shape, int32, or None for variants without instances. Voxels of an instance carry its id
            (past those of the classes), all others their class id.
        centers: the instances, best score first; empty for variants without instances.
        stamp_ns: key stamp in nanoseconds.
        timings: wall milliseconds per stage: preprocess, encoder, pooling, head, decode, total.
        grid: where the voxels lie.
        masked_cameras: cameras whose picture was missing; black pixels took its place.
        classes: what the ids mean, which of them is free.
    """

    semantics: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.int32] | None
    centers: tuple[Instance, ...]
    stamp_ns: int
    timings: dict[str, float] = field(default_factory=dict)
    grid: VoxelGrid = OCC3D_GRID
    masked_cameras: tuple[str, ...] = ()
    classes: ClassTable = OCC3D

    def __repr__(self) -> str:
        names = self.classes.names
        counts = np.bincount(self.semantics.ravel(), minlength=len(names))
        counts[self.classes.free] = 0
        most = [f"{names[i]} {counts[i]}" for i in np.argsort(-counts, kind="stable")[:3] if counts[i]]
        parts = [f"{counts.sum()} of {self.semantics.size} voxels occupied ({', '.join(most) or 'none'})"]
        if self.instances is not None:
            parts.append("1 object" if len(self.centers) == 1 else f"{len(self.centers)} objects")
        parts += [f"without {', '.join(self.masked_cameras)}"] if self.masked_cameras else []
        return f"Occupancy({', '.join(parts)}, stamp {self.stamp_ns / 1e9:.3f} s)"

    def points(self) -> npt.NDArray[np.void]:
        """Centres of the occupied voxels, (M,) with fields x y z [m, base frame], rgb, class_id, instance_id."""
        return voxel_points(self.semantics, self.instances, self.grid, self.classes)

    def show(self, camera_set: Any = None) -> Any:
        """In a notebook: a page with the voxels, and the pictures of a ``CameraSet``; see ``flashocc_ros.show``."""
        return _from_above("show")(self, camera_set)

    def to_ply(self, path: str | Path) -> None:
        """Write the points as binary PLY (Open3D, MeshLab, CloudCompare, Blender).

        Raises:
            OutputError: it cannot be written.
        """
        write_ply(Path(path), self.points())

    def to_pcd(self, path: str | Path) -> None:
        """Write the points as binary PCD (PCL, Autoware).

        Raises:
            OutputError: it cannot be written.
        """
        write_pcd(Path(path), self.points())

    def save(self, path: str | Path) -> None:
        """Write everything as compressed npz, whole or not at all; `load` reads it back.

        Arrays: ``semantics`` (X, Y, Z) uint8; ``stamp_ns``; ``resolution_m``; ``origin_m`` (3,); ``stage``,
        ``stage_ms``; ``masked_cameras``; ``class_table``, JSON of ``classes``; with instances also ``instances``
        (X, Y, Z) int32 and, one row per object, ``instance_id``, ``instance_class``, ``instance_score``,
        ``instance_center_m`` (K, 3), ``instance_extent_m`` (K, 3), ``instance_voxels``, ``instance_velocity_mps``
        (K, 3), ``instance_velocity_std_mps``, NaN for unknown.

        Raises:
            OutputError: it cannot be written, or is not named .npz.
        """
        path = Path(path)
        if path.suffix != ".npz":
            raise OutputError(f"{path} is not named .npz, which numpy's files end in; name it {path.stem}.npz")
        arrays: dict[str, Any] = {
            "semantics": self.semantics,
            "stamp_ns": np.int64(self.stamp_ns),
            "resolution_m": np.float64(self.grid.resolution_m),
            "origin_m": np.array(self.grid.origin_m),
            "stage": np.array(list(self.timings), np.str_),
            "stage_ms": np.array(list(self.timings.values()), np.float64),
            "masked_cameras": np.array(self.masked_cameras, np.str_),
            "class_table": np.array(json.dumps(asdict(self.classes)), np.str_),
        }
        if self.instances is not None:
            arrays |= {"instances": self.instances} | instance_columns(self.centers)
        with whole_file(path) as temporary:
            np.savez_compressed(temporary, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Occupancy:
        """What `save` wrote.

        Raises:
            InputError: the file is none of `save`, damaged, or holds something else than a result.
        """
        try:
            regular_size(Path(path))
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            semantics = np.asarray(arrays["semantics"], np.uint8)
            classes = _class_table(str(arrays["class_table"])) if "class_table" in arrays else OCC3D
            if semantics.ndim != 3 or semantics.max(initial=0) >= len(classes):
                raise ValueError(f"semantics of shape {semantics.shape} and values up to {semantics.max(initial=0)}")
            instances = arrays.get("instances")
            if instances is not None and instances.shape != semantics.shape:
                raise ValueError(f"instances of shape {instances.shape} beside semantics of {semantics.shape}")
            x_m, y_m, z_m = arrays["origin_m"].tolist()
            size_x, size_y, size_z = semantics.shape
            return cls(
                semantics,
                None if instances is None else instances.astype(np.int32),
                () if instances is None else instances_of(arrays),
                int(arrays["stamp_ns"]),
                dict(zip(arrays["stage"].tolist(), arrays["stage_ms"].tolist(), strict=True)),
                VoxelGrid(float(arrays["resolution_m"]), (x_m, y_m, z_m), (size_x, size_y, size_z)),
                tuple(arrays["masked_cameras"].tolist()),
                classes,
            )
        except (*NPZ_DAMAGE, TypeError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{path} is no saved occupancy: {why}; make one with Occupancy.save") from error


def _class_table(text: str) -> ClassTable:
    """Raises ValueError where ``text`` is no JSON of a table."""
    if text == json.dumps(asdict(OCC3D)):
        return OCC3D
    from pydantic import TypeAdapter  # a tenth of a second, which results of published networks need not wait for

    return TypeAdapter(ClassTable).validate_json(text)
