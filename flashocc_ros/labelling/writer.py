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

"""What a key frame's labels become in a label folder, see `data.label_files`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.data.label_files import class_facts
from flashocc_ros.geometry.camera_models import pixels_of_points
from flashocc_ros.labelling.boxes import Placed
from flashocc_ros.labelling.frame import Labels
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.sweeps import RETURN, Sweep
from flashocc_ros.labels import OCC3D

METHOD = 3
"""Raised when the same drive and settings give other labels."""
_NEAREST_M = 0.5


def described(settings: Settings) -> dict[str, Any]:
    """Settings for a manifest. Of classes what their ids mean: colours may change."""
    values = asdict(settings)
    del values["classes"]
    return values if settings.classes is OCC3D else {**values, "classes": class_facts(settings.classes)}


def fingerprint(settings: Settings, sources: dict[str, Any]) -> str:
    """Of all that decides the labels of a drive."""
    values = {"method": METHOD, "settings": described(settings), "sources": sources}
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def label_arrays(
    labels: Labels, mask_camera: npt.NDArray[np.bool_], boxes: Placed | None, later: Placed | None, base_from_fixed: Any
) -> dict[str, npt.NDArray[Any]]:
    """Contents of ``labels.npz``.

    Args:
        later: the boxes 0.1 s after the key frame, for their velocities.
    """
    arrays: dict[str, npt.NDArray[Any]] = {
        "semantics": labels.semantics,
        "mask_lidar": labels.observed.astype(np.uint8),
        "mask_camera": mask_camera.astype(np.uint8),
        "guessed": labels.guessed.astype(np.uint8),
        "instances": labels.instances,
    }
    if boxes is None or later is None:
        return arrays
    poses = base_from_fixed @ boxes.poses
    velocity = np.zeros((boxes.count, 2))
    place = {int(i): k for k, i in enumerate(later.ids)}
    for index, identity in enumerate(boxes.ids.tolist()):
        if identity in place:
            moved = later.poses[place[identity], :3, 3] - boxes.poses[index, :3, 3]
            velocity[index] = (base_from_fixed[:3, :3] @ moved)[:2] / 0.1
    yaw = np.arctan2(poses[:, 1, 0], poses[:, 0, 0])
    rows = np.concatenate([poses[:, :3, 3], boxes.sizes, yaw[:, None], velocity], 1)
    arrays["boxes"] = rows.astype(np.float32)
    arrays["box_classes"], arrays["box_ids"] = boxes.classes, boxes.ids.astype(np.int32)
    return arrays


def depth_targets(cameras: CameraSet, sweeps: Sequence[Sweep]) -> dict[str, npt.NDArray[Any]]:
    """Hits of the sweep nearest to each shutter: ``camera`` (P,) uint8, ``pixel`` (P, 2), ``depth_m`` (P,) float32.

    Depth is z, or distance along the ray, as the camera's model has it.
    """
    camera, pixel, depth = [], [], []
    for index, (height, width) in enumerate(cameras.image_sizes):
        stamp_ns = int(cameras.stamps_ns[index])
        nearest = min(sweeps, key=lambda s: abs((s.start_ns + s.end_ns) // 2 - stamp_ns))
        camera_from_fixed = np.linalg.inv(cameras.odom_from_base[index] @ cameras.rig.base_from_camera[index])
        shift = camera_from_fixed[:3, :3] @ nearest.anchor + camera_from_fixed[:3, 3]
        points = nearest.ends[nearest.kind == RETURN] @ camera_from_fixed[:3, :3].T + shift
        model = cameras.rig.models[index]
        depths_m = np.linalg.norm(points, axis=1) if model.along_ray else points[:, 2]
        points, depths_m = points[depths_m > _NEAREST_M], depths_m[depths_m > _NEAREST_M]
        uv = pixels_of_points(model, cameras.rig.intrinsics[index], points)
        inside = (uv[:, 0] >= -0.5) & (uv[:, 0] < width - 0.5) & (uv[:, 1] >= -0.5) & (uv[:, 1] < height - 0.5)
        camera.append(np.full(int(inside.sum()), index, np.uint8))
        pixel.append(uv[inside].astype(np.float32))
        depth.append(depths_m[inside].astype(np.float32))
    return {"camera": np.concatenate(camera), "pixel": np.concatenate(pixel), "depth_m": np.concatenate(depth)}
