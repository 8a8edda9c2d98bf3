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

"""The geometry of camera sets, as the network sees their pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.geometry import Geometry
from flashocc_ros.pipeline.preprocess import image_transform
from flashocc_ros.structures import CameraRig
from flashocc_ros.variants import Variant

Float64 = npt.NDArray[np.float64]


def geometry_of(camera_set: CameraSet, variant: Variant) -> Geometry:
    """One frame of N cameras, seen from the vehicle at the key stamp of the set.

    Raises:
        InputError: a picture has no pixels, or a JPEG no header.
    """
    sizes = camera_set.image_sizes
    return rig_geometry(camera_set.rig, sizes, variant, camera_set.odom_from_base, camera_set.key_pose)


def rig_geometry(
    rig: CameraRig,
    image_sizes: Sequence[tuple[int, int]],
    variant: Variant,
    odom_from_base: Float64 | None = None,
    key_pose: Float64 | None = None,
) -> Geometry:
    """One frame of a rig.

    Args:
        rig: N cameras.
        image_sizes: N (H, W) in pixels.
        odom_from_base: (N, 4, 4) float64, the vehicle at each shutter; None does not move.
        key_pose: (4, 4) float64, the vehicle at the key stamp; None takes camera 0's.
    """
    transforms = [image_transform(size, variant) for size in image_sizes]
    poses = np.tile(np.eye(4), (rig.num_cameras, 1, 1)) if odom_from_base is None else odom_from_base
    return Geometry(
        sensor2ego=rig.base_from_camera[None],
        ego2global=poses[None],
        intrinsics=rig.intrinsics[None],
        post_rot=np.stack([transform.post_rot for transform in transforms])[None],
        post_tran=np.stack([transform.post_tran for transform in transforms])[None],
        bda=np.eye(3),
        key2global=key_pose,
        models=tuple(rig.models),
    )
