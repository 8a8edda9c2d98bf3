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

"""One moment as the page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy.typing as npt

from flashocc_ros.bags.results import rig_at_key
from flashocc_ros.cameras.camera_set import CameraSet, Picture
from flashocc_ros.cameras.straighten import straightened_set
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.structures import OCC3D_GRID, Float64, Instance, Occupancy, VoxelGrid

Volume = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Layer:
    """A labelled volume.

    Attributes:
        semantics: (X, Y, Z) uint8 classes.
        instances: (X, Y, Z) integer ids or None; ids past those of the classes are objects.
        objects: what else is known of them; those that only the volume knows are added.
    """

    semantics: Volume
    instances: Volume | None = None
    objects: Sequence[Instance] = ()


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture and where its camera was at its shutter.

    Attributes:
        picture: (H, W, 3) uint8 RGB or the bytes of a JPEG file, of a pinhole.
        intrinsic: (3, 3), pixels of the picture.
        base_from_camera: (4, 4), camera optical frame to the base frame at the key stamp, metres.
    """

    name: str
    picture: Picture
    intrinsic: Float64
    base_from_camera: Float64


@dataclass(frozen=True)
class Report:
    """What the software says of itself.

    Attributes:
        message: one sentence.
        values: short texts by name, in the order they are shown.
    """

    level: Literal["ok", "warn", "error"] = "ok"
    message: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ViewFrame:
    """What is known of one moment; at least one of ``prediction`` and ``truth``.

    Attributes:
        seen: (X, Y, Z), non-zero where some camera sees the voxel; None when that is not known.
        odom_from_base: (4, 4), the vehicle at the key stamp; None when that is not known.
        grid, classes: where the voxels lie and what their ids mean.
    """

    stamp_ns: int
    prediction: Layer | None = None
    truth: Layer | None = None
    seen: Volume | None = None
    shots: Sequence[Shot] = ()
    odom_from_base: Float64 | None = None
    report: Report = field(default_factory=Report)
    grid: VoxelGrid = OCC3D_GRID
    classes: ClassTable = OCC3D


def frame_of(occupancy: Occupancy, camera_set: CameraSet | None = None, report: Report | None = None) -> ViewFrame:
    """A prediction with the pictures it was made from; ``report`` None lists its stage times."""
    times = {f"{stage} ms": f"{value_ms:.0f}" for stage, value_ms in occupancy.timings.items()}
    return ViewFrame(
        occupancy.stamp_ns,
        Layer(occupancy.semantics, occupancy.instances, occupancy.centers),
        shots=() if camera_set is None else shots_of(camera_set),
        odom_from_base=None if camera_set is None else camera_set.key_pose,
        report=Report(values=times) if report is None else report,
        grid=occupancy.grid,
        classes=occupancy.classes,
    )


def shots_of(camera_set: CameraSet) -> tuple[Shot, ...]:
    """Its pictures, straightened, each seen from where its camera was at its own shutter."""
    camera_set = straightened_set(camera_set)
    rig = rig_at_key(camera_set)
    return tuple(map(Shot, rig.names, camera_set.images, rig.intrinsics, rig.base_from_camera))
