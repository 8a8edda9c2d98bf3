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

import cv2
import numpy as np
import pytest

from flashocc_ros.camera_model import PINHOLE, CameraModel
from flashocc_ros.errors import InputError
from flashocc_ros.geometry.camera_models import max_angle_rad, pixels_of_points, rays_of_pixels, share_outside

K = np.array([[210.0, 0, 350], [0, 212, 170], [0, 0, 1]])
FISHEYE = CameraModel("equidistant", (-0.02, 0.004, -0.001, 0.0001))
RATIONAL = CameraModel("rational", (-0.3, 0.12, 0.001, -0.0005, 0.01, 0.05, 0.02, 0.0))


def _pixels(step: float = 25.0) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(0, 704, step), np.arange(0, 352, step)), -1)


def _in_front() -> np.ndarray:
    x, y = np.meshgrid(np.linspace(-0.8, 0.8, 9), np.linspace(-0.6, 0.6, 7))
    return np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3) * np.linspace(1, 30, 63)[:, None]


def test_equidistant_points_project_as_in_opencv() -> None:
    ours, points = pixels_of_points(FISHEYE, K, _in_front()), _in_front()[:, None]
    theirs = cv2.fisheye.projectPoints(points, np.zeros(3), np.zeros(3), K, np.array(FISHEYE.coefficients))[0][:, 0]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("model", [PINHOLE, FISHEYE, RATIONAL])
def test_a_pixel_leads_to_its_ray_and_back(model: CameraModel) -> None:
    rays = rays_of_pixels(model, K, _pixels())
    known = ~np.isnan(rays[..., 0])
    assert known.mean() > 0.5
    np.testing.assert_allclose(pixels_of_points(model, K, rays[known] * 7), _pixels()[known], atol=1e-6)


def test_depth_times_ray_is_range_of_a_fisheye_and_z_of_the_others() -> None:
    assert np.linalg.norm(rays_of_pixels(FISHEYE, K, _pixels()), axis=-1) == pytest.approx(1)
    assert FISHEYE.along_ray
    for model in (PINHOLE, RATIONAL):
        z = rays_of_pixels(model, K, _pixels())[..., 2]
        assert z[~np.isnan(z)] == pytest.approx(1)
        assert not model.along_ray


def test_a_fisheye_sees_behind_itself() -> None:
    ideal = CameraModel("equidistant", (0, 0, 0, 0))
    ray = rays_of_pixels(ideal, K, np.array([[350 + 210 * np.deg2rad(95), 170.0]]))[0]
    assert ray == pytest.approx([np.cos(np.deg2rad(5)), 0, -np.sin(np.deg2rad(5))])
    assert pixels_of_points(ideal, K, 3 * ray) == pytest.approx([350 + 210 * np.deg2rad(95), 170])


def test_the_image_circle_ends_where_the_radius_no_longer_grows() -> None:
    model = CameraModel("equidistant", (-0.1, 0, 0, 0))  # r = t - 0.1 t^3, at its largest for t = sqrt(1 / 0.3)
    limit = np.sqrt(1 / 0.3)
    assert max_angle_rad(model) == pytest.approx(limit, abs=1e-3)
    radius_px = 210 * (limit - 0.1 * limit**3)
    inside, outside = (rays_of_pixels(model, K, np.array([[350 + radius_px * s, 170.0]])) for s in (0.99, 1.01))
    assert np.isfinite(inside).all()
    assert np.isnan(outside).all()
    behind = np.array([np.sin(limit + 0.1), 0, np.cos(limit + 0.1)])
    assert np.isnan(pixels_of_points(model, K, behind)).all()
    middle = np.array([[210.0, 0, 350], [0, 210, 300], [0, 0, 1]])
    assert share_outside(model, middle, (600, 704)) == pytest.approx(1 - np.pi * radius_px**2 / 600 / 704, abs=0.02)


def test_a_camera_sees_nothing_behind_it_unless_it_is_a_fisheye() -> None:
    behind = np.array([0.5, 0.0, -1.0])
    assert np.isnan(pixels_of_points(PINHOLE, K, behind)).all()
    assert np.isnan(pixels_of_points(RATIONAL, K, behind)).all()


@pytest.mark.parametrize(
    ("kind", "coefficients", "told"),
    [
        ("pinhole", (1.0,), "1 coefficients"),
        ("equidistant", (1.0, 2.0), "equidistant has 4"),
        ("rational", (float("nan"),) * 8, "not finite"),
        ("rational", ("a",) * 8, "needs numbers"),
        ("omni", (), "not known"),
    ],
)
def test_other_models_are_refused(kind: str, coefficients: tuple, told: str) -> None:
    with pytest.raises(InputError, match=told):
        CameraModel(kind, coefficients)  # type: ignore[arg-type]
