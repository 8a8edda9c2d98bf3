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

"""Pictures of lenses as pinholes would have taken them, for people to look at and for viewers, which project so.

What a network is given is decided in ``cameras.rectify``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from flashocc_ros.camera_model import PINHOLE, CameraModel
from flashocc_ros.cameras.camera_set import CameraSet, decoded
from flashocc_ros.geometry.camera_models import pixels_of_points, rays_of_pixels

UInt8 = npt.NDArray[np.uint8]
Float64 = npt.NDArray[np.float64]

WIDEST_DEG = 120.0
"""Of a straightened picture; further out a pinhole only stretches."""


def straightened_set(camera_set: CameraSet) -> CameraSet:
    """The same set as of pinholes; what is one already stays as it is."""
    rig = camera_set.rig
    if all(model == PINHOLE for model in rig.models):
        return camera_set
    images, intrinsics = list(camera_set.images), rig.intrinsics.copy()
    for index, model in enumerate(rig.models):
        if model != PINHOLE:
            (picture,) = decoded([images[index]])
            images[index], intrinsics[index] = straightened(picture, rig.intrinsics[index], model)
    return replace(camera_set, images=images, rig=replace(rig, intrinsics=intrinsics, models=()))


def straightened(picture: UInt8, intrinsic: Float64, model: CameraModel) -> tuple[UInt8, Float64]:
    """The picture (H, W, 3) of a pinhole in the lens's place, of the same size, and its K.

    As wide as the lens sees, at most `WIDEST_DEG`; black where it sees nothing.
    """
    if model == PINHOLE:
        return picture, intrinsic
    maps, matrix = _maps(model, tuple(intrinsic.ravel().tolist()), picture.shape[:2])
    return np.asarray(cv2.remap(picture, *maps, cv2.INTER_LINEAR), np.uint8), matrix


@lru_cache(maxsize=12)
def _maps(
    model: CameraModel, numbers: tuple[float, ...], size: tuple[int, int]
) -> tuple[tuple[npt.NDArray[Any], npt.NDArray[Any]], Float64]:
    intrinsic, (height, width) = np.reshape(numbers, (3, 3)), size
    sides = rays_of_pixels(model, intrinsic, np.array([[0.0, intrinsic[1, 2]], [width - 1.0, intrinsic[1, 2]]]))
    angles = np.nan_to_num(np.arctan2(np.abs(sides[:, 0]), sides[:, 2]), nan=np.pi)
    half_rad = min(float(angles.min()), np.deg2rad(WIDEST_DEG / 2))
    focal_px = width / 2 / np.tan(half_rad)
    matrix = np.array([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1.0]])
    flat = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float64)
    source = np.nan_to_num(pixels_of_points(model, intrinsic, rays_of_pixels(PINHOLE, matrix, flat)), nan=-2.0)
    columns, rows = np.ascontiguousarray(source[..., 0], np.float32), np.ascontiguousarray(source[..., 1], np.float32)
    x, y = cv2.convertMaps(columns, rows, cv2.CV_16SC2)
    return (x, y), matrix
