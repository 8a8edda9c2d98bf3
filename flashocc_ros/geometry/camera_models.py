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

"""Directions from pixels and pixels from points, by the model of a camera."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from flashocc_ros.camera_model import CameraModel

Float64 = npt.NDArray[np.float64]

_STEPS = 4096
_SLACK_PX = 0.1
"""What a pixel may be off after there and back; beyond, no direction leads to it."""
MAX_TANGENT_RAD = np.deg2rad(89.0)
"""Of models in the tangent of the angle, which grows without limit."""


@lru_cache(maxsize=64)
def _growth(model: CameraModel) -> tuple[Float64, Float64]:
    """Angles to the axis in rad and their radii in focal lengths, up to where the radius no longer grows."""
    k = model.coefficients
    if model.kind == "equidistant":
        angles = np.linspace(0.0, np.pi, _STEPS)
        radii = equidistant_radius(k, angles)
    else:
        angles = np.linspace(0.0, MAX_TANGENT_RAD, _STEPS)
        r, (k1, k2, _, _, k3, k4, k5, k6) = np.tan(angles), (*k, *(0.0,) * 8)[:8]
        q = r * r
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            radii = r * (1 + q * (k1 + q * (k2 + q * k3))) / (1 + q * (k4 + q * (k5 + q * k6)))
    falls = np.flatnonzero(~(np.diff(radii) > 0))
    end = int(falls[0]) + 1 if len(falls) else _STEPS
    return angles[:end], radii[:end]


def equidistant_radius(k: tuple[float, ...], angles: Float64) -> Float64:
    """Radii in focal lengths of angles to the axis in rad (Kannala and Brandt 2006)."""
    q = angles * angles
    return angles * (1 + q * (k[0] + q * (k[1] + q * (k[2] + q * k[3]))))


def max_angle_rad(model: CameraModel) -> float:
    """To the optical axis: the image circle. Beyond it the radius shrinks again, so that pixels are ambiguous."""
    return float(_growth(model)[0][-1])


def rays_of_pixels(model: CameraModel, intrinsic: Float64, pixels: Float64) -> Float64:
    """Directions (..., 3) in the optical frame of pixels (..., 2); NaN outside the image circle.

    Of unit length where depth is range (`CameraModel.along_ray`), else with z = 1, so that in both cases depth times
    direction is the point in metres.
    """
    u, v = pixels[..., 0] - intrinsic[0, 2], pixels[..., 1] - intrinsic[1, 2]
    y = v / intrinsic[1, 1]
    x = (u - intrinsic[0, 1] * y) / intrinsic[0, 0]
    if model.kind == "pinhole":
        return np.stack([x, y, np.ones_like(x)], -1)
    if model.kind == "rational":
        return _rational_rays(model, x, y, float(intrinsic[0, 0]))
    k, (angles, radii) = model.coefficients, _growth(model)
    radius = np.hypot(x, y)
    angle = np.interp(radius, radii, angles, right=np.nan)
    cell = np.clip(np.searchsorted(radii, radius) - 1, 0, len(angles) - 2)
    for _ in range(3):  # Newton, kept within the cell of the table, where the radius grows
        q = angle * angle
        slope = 1 + q * (3 * k[0] + q * (5 * k[1] + q * (7 * k[2] + q * 9 * k[3])))
        angle = np.clip(angle - (equidistant_radius(k, angle) - radius) / slope, angles[cell], angles[cell + 1])
    sine = np.sin(angle) / np.maximum(radius, 1e-12)
    return np.stack([x * sine, y * sine, np.cos(angle)], -1)


def _rational_rays(model: CameraModel, x: Float64, y: Float64, focal_px: float) -> Float64:
    """Newton's method, from where the radius alone leads; what does not lead back to its pixel has no direction."""
    goal = np.stack([x.ravel(), y.ravel()], -1)
    angles, radii = _growth(model)
    radius = np.linalg.norm(goal, axis=1, keepdims=True)
    flat = goal * np.tan(np.interp(radius, radii, angles)) / np.maximum(radius, 1e-12)
    one, h = np.ones((len(goal), 1)), 1e-6
    for _ in range(5):
        right, below, here = (
            pixels_of_points(model, np.eye(3), np.concatenate([flat + shift, one], 1))
            for shift in ((h, 0), (0, h), (0, 0))
        )
        slopes, error = np.stack([right - here, below - here], -1) / h, here - goal
        with np.errstate(divide="ignore", invalid="ignore"):
            determinant = slopes[:, 0, 0] * slopes[:, 1, 1] - slopes[:, 0, 1] * slopes[:, 1, 0]
            step_x = slopes[:, 1, 1] * error[:, 0] - slopes[:, 0, 1] * error[:, 1]
            step_y = slopes[:, 0, 0] * error[:, 1] - slopes[:, 1, 0] * error[:, 0]
            flat = flat - np.stack([step_x, step_y], -1) / determinant[:, None]
    rays = np.concatenate([flat, one], 1)
    off = np.linalg.norm(pixels_of_points(model, np.eye(3), rays) - goal, axis=1) * focal_px
    rays[~(off < _SLACK_PX)] = np.nan
    return rays.reshape(*x.shape, 3)


def pixels_of_points(model: CameraModel, intrinsic: Float64, points: Float64) -> Float64:
    """Pixels (..., 2) of points (..., 3) in the optical frame; NaN where the camera cannot see them."""
    points = np.asarray(points, np.float64)
    side = np.hypot(points[..., 0], points[..., 1])
    angle = np.arctan2(side, points[..., 2])
    with np.errstate(divide="ignore", invalid="ignore"):
        if model.kind == "equidistant":
            scale = equidistant_radius(model.coefficients, angle) / np.where(side > 0, side, 1)
            flat = points[..., :2] * scale[..., None]
            seen = angle <= max_angle_rad(model)
        else:
            flat = points[..., :2] / points[..., 2:]
            seen = angle < (np.pi / 2 if model.kind == "pinhole" else max_angle_rad(model))
    if model.kind == "rational":
        import cv2

        inside = np.concatenate([flat[seen], np.ones((int(seen.sum()), 1))], 1)
        if len(inside):
            zero = np.zeros(3)
            flat[seen] = cv2.projectPoints(inside, zero, zero, np.eye(3), np.array(model.coefficients))[0][:, 0]
    x, y = flat[..., 0], flat[..., 1]
    pixel = np.stack(
        [
            intrinsic[0, 0] * x + intrinsic[0, 1] * y + intrinsic[0, 2],
            intrinsic[1, 1] * y + intrinsic[1, 2],
        ],
        -1,
    )
    pixel[~seen] = np.nan
    return pixel


def share_outside(model: CameraModel, intrinsic: Float64, size: tuple[int, int]) -> float:
    """Share of a picture of ``size`` (H, W) whose pixels lie outside the image circle."""
    if model.kind == "pinhole":
        return 0.0
    rows, columns = np.linspace(0, size[0] - 1, 64), np.linspace(0, size[1] - 1, 64)
    rays = rays_of_pixels(model, intrinsic, np.stack(np.meshgrid(columns, rows), -1))
    return float(np.isnan(rays[..., 2]).mean())
