"""The data that crosses module borders: voxel grid, camera rig, instances and the result of a prediction.

Transforms are named ``target_from_source`` and map column vectors: ``p_target = target_from_source @ p_source``.
Frames: ``base`` is x forward, y left, z up (REP-103); a camera frame is optical, z forward, x right, y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from flashocc_ros.errors import InputError

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class VoxelGrid:
    """A regular grid in the base frame; voxel (i, j, k) covers ``origin_m + (i, j, k) * resolution_m`` and one step on.

    Attributes:
        resolution_m: edge length of a voxel in metres.
        origin_m: lower corner (x, y, z) of voxel (0, 0, 0) in metres.
        size: number of voxels along x, y, z.
    """

    resolution_m: float = 0.4
    origin_m: tuple[float, float, float] = (-40.0, -40.0, -1.0)
    size: tuple[int, int, int] = (200, 200, 16)

    def centers_m(self, indices: npt.NDArray[np.integer]) -> Float64:
        """Centres in metres, base frame, (M, 3) float64, of voxel indices (M, 3)."""
        return (np.asarray(indices, np.float64) + 0.5) * self.resolution_m + np.asarray(self.origin_m)


OCC3D_GRID = VoxelGrid()


@dataclass(frozen=True, eq=False)
class CameraRig:
    """Names, intrinsics and mounting of N cameras.

    Attributes:
        names: N distinct camera names; the order is the order of the images given to a predictor.
        intrinsics: (N, 3, 3) float64, pixels of the source image.
        base_from_camera: (N, 4, 4) float64, camera optical frame to base frame, metres.

    Raises:
        InputError: a shape does not fit, a number is not finite, a focal length is not positive, a pose is not rigid.
    """

    names: Sequence[str]
    intrinsics: Float64
    base_from_camera: Float64

    def __post_init__(self) -> None:
        names = tuple(self.names)
        count = len(names)
        if count == 0 or len(set(names)) != count:
            raise InputError(f"camera names must be distinct and at least one, got {list(names)}")
        object.__setattr__(self, "names", names)
        for attribute, shape in (("intrinsics", (count, 3, 3)), ("base_from_camera", (count, 4, 4))):
            value = np.array(getattr(self, attribute), np.float64)
            if value.shape != shape:
                raise InputError(f"{attribute} has shape {value.shape}, needs {shape} for {count} cameras")
            value.setflags(write=False)
            object.__setattr__(self, attribute, value)
        for name, intrinsic, pose in zip(names, self.intrinsics, self.base_from_camera, strict=True):
            if not np.isfinite(intrinsic).all():
                raise InputError(f"camera {name}: K holds a value that is not finite; check its CameraInfo")
            if intrinsic[0, 0] <= 0 or intrinsic[1, 1] <= 0:
                raise InputError(
                    f"camera {name}: focal lengths {intrinsic[0, 0]:g}, {intrinsic[1, 1]:g} px must be positive; "
                    "an all-zero K means the camera is not calibrated"
                )
            rotation = pose[:3, :3]
            if not np.isfinite(pose).all() or not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3):
                raise InputError(f"camera {name}: base_from_camera is not a rigid transform; check its extrinsics")

    @property
    def num_cameras(self) -> int:
        return len(self.names)

    def same_as(self, other: CameraRig, tolerance: float = 1e-6) -> bool:
        """True when names are equal and all numbers agree within ``tolerance`` (pixels, metres, unitless)."""
        return (
            self.names == other.names
            and np.allclose(self.intrinsics, other.intrinsics, rtol=0, atol=tolerance)
            and np.allclose(self.base_from_camera, other.base_from_camera, rtol=0, atol=tolerance)
        )


@dataclass(frozen=True)
class Instance:
    """One object found by a panoptic variant.

    Attributes:
        id: value of its voxels in ``Occupancy.instances``; stable over frames.
        class_id: occupancy class, see ``labels.CLASS_NAMES``.
        score: detection score in [0, 1].
        center_m: (x, y, z) in metres, base frame.
        extent_m: size of the axis-aligned box around its voxels in metres, zeros when it owns no voxel.
        voxel_count: number of voxels that carry its id.
    """

    id: int
    class_id: int
    score: float
    center_m: tuple[float, float, float]
    extent_m: tuple[float, float, float]
    voxel_count: int


@dataclass(frozen=True, eq=False)
class Occupancy:
    """Result of one prediction, in the base frame at ``stamp_ns``.

    Attributes:
        semantics: (200, 200, 16) uint8, axes x, y, z; class ids of ``labels.CLASS_NAMES``, 17 is free.
        instances: (200, 200, 16) int32 or None for variants without instances. Voxels of an instance carry its id
            (at least 18), all others their class id.
        centers: the instances, best score first; empty for variants without instances.
        stamp_ns: key stamp in nanoseconds.
        timings: wall milliseconds per stage: preprocess, encoder, pooling, head, decode, total.
        grid: where the voxels lie.
    """

    semantics: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.int32] | None
    centers: tuple[Instance, ...]
    stamp_ns: int
    timings: dict[str, float] = field(default_factory=dict)
    grid: VoxelGrid = OCC3D_GRID
