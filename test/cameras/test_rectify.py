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

"""Camera matrices follow region, binning and size; distortion is removed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from flashocc_ros.camera_model import PINHOLE, CameraModel
from flashocc_ros.cameras.rectify import CACHED_SIZES, Lens, Rectifier
from flashocc_ros.errors import ConfigError, InputError

pytestmark = pytest.mark.ros

WIDTH, HEIGHT = 640, 480
K = np.array([[400.0, 0, 310], [0, 410, 250], [0, 0, 1]])


def info(
    d: tuple[float, ...] = (), model: str = "plumb_bob", p: np.ndarray | None = None, **more: object
) -> CameraInfo:
    message = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model=model, d=list(d), k=K.ravel().tolist())
    if p is not None:
        message.p = np.hstack([p, np.zeros((3, 1))]).ravel().tolist()
    for name, value in more.items():
        setattr(message, name, value)
    return message


def dots(matrix: np.ndarray, d: tuple[float, ...], model: str) -> tuple[np.ndarray, np.ndarray]:
    """An image with white blobs at the projections of a grid of rays, and the rays (x/z, y/z)."""
    rays = np.array([(x, y) for x in np.linspace(-0.5, 0.5, 5) for y in np.linspace(-0.4, 0.4, 5)])
    points = np.concatenate([rays, np.ones((len(rays), 1))], axis=1)
    if model == "equidistant":
        pixels, _ = cv2.fisheye.projectPoints(points[:, None], np.zeros(3), np.zeros(3), matrix, np.array(d))
    else:
        pixels, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, np.array(d))
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for u, v in pixels.reshape(-1, 2):
        cv2.circle(image, (round(u * 16), round(v * 16)), 3 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
    return image, rays


def blob(image: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Centre of mass of the light around a pixel."""
    u, v = np.round(near).astype(int)
    patch = image[v - 8 : v + 9, u - 8 : u + 9, 0].astype(float)
    y, x = np.mgrid[v - 8 : v + 9, u - 8 : u + 9]
    return np.array([(x * patch).sum(), (y * patch).sum()]) / patch.sum()


@pytest.mark.parametrize(
    ("d", "model"),
    [
        ((-0.3, 0.1, 0.001, -0.002, 0.0), "plumb_bob"),
        ((-0.2, 0.05, 0.0, 0.0), ""),
        ((0.2, -0.1, 0.001, 0.0, 0.02, 0.3, 0.02, 0.01), "rational_polynomial"),
        ((-0.02, 0.01, 0.0, 0.0), "equidistant"),
    ],
)
@pytest.mark.parametrize("with_p", [False, True])
def test_a_rectified_image_obeys_its_camera_matrix(d: tuple[float, ...], model: str, with_p: bool) -> None:
    image, rays = dots(K, d, model)
    rectifier = Rectifier("front")
    rectifier.update(info(d, model, np.array([[380.0, 0, 320], [0, 390, 240], [0, 0, 1]]) if with_p else None))
    rectified, matrix = rectifier(image)
    assert rectified.shape == image.shape
    if with_p:
        assert matrix[0, 0] == 380
    checked = 0
    for ray in rays:
        expected = (matrix @ [*ray, 1])[:2]
        if (expected > 12).all() and expected[0] < WIDTH - 12 and expected[1] < HEIGHT - 12:
            assert np.abs(blob(rectified, expected) - expected).max() < 0.6
            checked += 1
    assert checked >= 9


def test_without_distortion_the_image_is_handed_through() -> None:
    rectifier = Rectifier()
    rectifier.update(info((0.0,) * 5))
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rectified, matrix = rectifier(image)
    assert rectified is image
    np.testing.assert_array_equal(matrix, K)


def test_an_image_of_another_size_scales_k_and_says_so_once() -> None:
    said: list[str] = []
    rectifier = Rectifier("front", say=said.append)
    rectifier.update(info())
    for _ in range(2):
        _, matrix = rectifier(np.zeros((HEIGHT // 2, WIDTH // 2, 3), np.uint8))
    np.testing.assert_allclose(matrix[:2], K[:2] / 2)
    assert said == ["images are 320x240 but the calibration is for 640x480; K is scaled"]


def test_scaling_and_distortion_go_together() -> None:
    d = (-0.3, 0.1, 0.0, 0.0, 0.0)
    image, rays = dots(K, d, "plumb_bob")
    small = cv2.resize(image, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    rectifier = Rectifier(say=lambda _: None)
    rectifier.update(info(d))
    rectified, matrix = rectifier(small)
    expected = (matrix @ [*rays[12], 1])[:2]
    assert np.abs(blob(rectified, expected) - expected).max() < 0.7


def test_region_and_binning() -> None:
    roi = RegionOfInterest(x_offset=100, y_offset=40, width=400, height=300)
    said: list[str] = []
    rectifier = Rectifier(say=said.append)
    rectifier.update(info(roi=roi, binning_x=2, binning_y=2))
    _, matrix = rectifier(np.zeros((150, 200, 3), np.uint8))
    np.testing.assert_allclose(matrix, [[200, 0, 105], [0, 205, 105], [0, 0, 1]])
    assert said == []


def test_images_that_are_rectified_already_use_p() -> None:
    rectifier = Rectifier(rectified=True)
    rectifier.update(info((-0.3, 0.1, 0, 0, 0), p=np.diag([380.0, 390, 1])))
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rectified, matrix = rectifier(image)
    assert rectified is image
    assert matrix[0, 0] == 380


def test_rectified_with_a_rotation_is_refused() -> None:
    rotation = cv2.Rodrigues(np.array([0.0, 0.1, 0]))[0].ravel().tolist()
    rectifier = Rectifier("front", rectified=True)
    rectifier.update(info((-0.3, 0.1, 0, 0, 0), p=np.diag([380.0, 390, 1]), r=rotation))
    with pytest.raises(InputError, match="rotation R"):
        rectifier(np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def test_maps_are_built_once_and_again_after_a_change() -> None:
    rectifier = Rectifier()
    assert rectifier.update(info((-0.3, 0.1, 0, 0, 0)))
    first = rectifier.prepare((HEIGHT, WIDTH))
    assert not rectifier.update(info((-0.3, 0.1, 0, 0, 0)))
    assert rectifier.prepare((HEIGHT, WIDTH)) is first
    assert rectifier.update(info((-0.2, 0.1, 0, 0, 0)))
    assert rectifier.prepare((HEIGHT, WIDTH)) is not first


@pytest.mark.parametrize(
    ("index", "value", "words"),
    [
        (0, float("nan"), "not finite"),
        (4, float("inf"), "not finite"),
        (0, 0.0, "not calibrated"),
        (4, -1.0, "-1"),
        (0, 1e300, "within 1 and 1e"),
        (0, 1e-30, "within 1 and 1e"),
        (8, 0.0, "last row"),
    ],
)
def test_an_impossible_k_is_refused(index: int, value: float, words: str) -> None:
    bad = info()
    bad.k[index] = value
    rectifier = Rectifier("front")
    rectifier.update(info())
    with pytest.raises(InputError, match=f"camera front: .*{words}"):
        rectifier.update(bad)
    np.testing.assert_array_equal(rectifier(np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1], K)  # the good one stays


def test_an_image_of_another_shape_is_refused() -> None:
    rectifier = Rectifier("front")
    rectifier.update(info())
    with pytest.raises(InputError, match="camera front: the image is 640x640 but its calibration describes 640x480"):
        rectifier(np.zeros((640, 640, 3), np.uint8))


@pytest.mark.parametrize(
    ("d", "model", "words"),
    [
        ((0.1, 0.2), "plumb_bob", "2 coefficients"),
        ((0.1,) * 5, "division", "'division'"),
        ((0.1,), "equidistant", "needs 4"),
        ((0.1, 0, 0, 0, 0.1), "equidistant", "needs 4"),
        ((0.0,) * 4, "kannala_brandt4", "'kannala_brandt4' .* not known"),
        ((), "double_sphere", "'double_sphere' .* not known"),
        ((0.01,) * 8, "thin_prism_fisheye", "'thin_prism_fisheye' .* not known"),
        ((float("nan"),) * 5, "plumb_bob", "D of its calibration"),
    ],
)
def test_unknown_distortion_is_refused(d: tuple[float, ...], model: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Rectifier("front").update(info(d, model))


def test_without_calibration_an_image_is_refused() -> None:
    rectifier = Rectifier("front")
    assert not rectifier.calibrated
    with pytest.raises(InputError, match="camera front: no CameraInfo"):
        rectifier(np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def shown_at(angle_deg: float, focal: float) -> np.ndarray:
    """What an ideal fisheye shows of a light in this direction to the right: a point focal x angle from the middle."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    u = K[0, 2] + focal * np.radians(angle_deg)
    cv2.circle(image, (round(u * 16), round(K[1, 2] * 16)), 3 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
    return image


@pytest.mark.parametrize("p", [np.array([[200.0, 0, 310], [0, 200, 250], [0, 0, 1]]), None])
@pytest.mark.parametrize("d", [(), (0.0,) * 4, (0.0,) * 5, (1e-9, 0.0, 0.0, 0.0)])
@pytest.mark.parametrize("model", ["equidistant", "fisheye", "EQUIDISTANT"])
@pytest.mark.parametrize("focal", [200.0, 300.0])  # of 200 the outermost pixels lie beyond 90 degrees
def test_a_fisheye_without_coefficients_is_still_one(
    focal: float, model: str, d: tuple[float, ...], p: np.ndarray | None
) -> None:
    matrix = np.array([[focal, 0, K[0, 2]], [0, focal, K[1, 2]], [0, 0, 1]])
    rectifier = Rectifier("front")
    rectifier.update(info(d, model, p, k=matrix.ravel().tolist()))
    rectified, new = rectifier(shown_at(40.0, focal))
    expected = new @ [np.tan(np.radians(40.0)), 0, 1]
    assert expected[0] < WIDTH - 8
    assert np.abs(blob(rectified, expected[:2]) - expected[:2]).max() < 0.6


def distorted(rays: np.ndarray, d: tuple[float, ...]) -> np.ndarray:
    """Distorted (x/z, y/z) of rays: rational, tangential, thin prism and tilted sensor, in that order of OpenCV."""
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4, tau_x, tau_y = (*d, *(0.0,) * (14 - len(d)))
    x, y = rays.T
    r2 = x**2 + y**2
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2) + s1 * r2 + s2 * r2**2
    v = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y + s3 * r2 + s4 * r2**2
    about_x = np.array([[1, 0, 0], [0, np.cos(tau_x), np.sin(tau_x)], [0, -np.sin(tau_x), np.cos(tau_x)]])
    about_y = np.array([[np.cos(tau_y), 0, -np.sin(tau_y)], [0, 1, 0], [np.sin(tau_y), 0, np.cos(tau_y)]])
    turn = about_y @ about_x
    tilt = np.array([[turn[2, 2], 0, -turn[0, 2]], [0, turn[2, 2], -turn[1, 2]], [0, 0, 1]]) @ turn
    out = np.stack([u, v, np.ones_like(u)], axis=-1) @ tilt.T
    return out[:, :2] / out[:, 2:]


@pytest.mark.parametrize(
    ("d", "model"),
    [
        ((-0.2, 0.05, 0.002, -0.001), "plumb_bob"),
        ((-0.2, 0.05, 0.002, -0.001, 0.01), "PLUMB_BOB"),
        ((0.2, -0.1, 0.001, 0.0, 0.02, 0.3, 0.02, 0.01), "rational_polynomial"),
        ((-0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.02, 0.01, -0.02, 0.01), "rational_polynomial"),
        ((-0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.02, 0.01, -0.02, 0.01, 0.03, -0.04), "plumb_bob"),
    ],
)
def test_every_length_of_polynomial(d: tuple[float, ...], model: str) -> None:
    rays = np.array([(x, y) for x in (-0.3, 0.0, 0.3) for y in (-0.25, 0.0, 0.25)])
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for x, y in distorted(rays, d):
        u, v, _ = K @ [x, y, 1]
        cv2.circle(image, (round(u * 16), round(v * 16)), 3 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
    rectifier = Rectifier("front")
    rectifier.update(info(d, model))
    rectified, matrix = rectifier(image)
    for ray in rays:
        expected = (matrix @ [*ray, 1])[:2]
        assert np.abs(blob(rectified, expected) - expected).max() < 0.6


@pytest.mark.parametrize("model", ["", "none", "pinhole", "plumb_bob", "rational_polynomial"])
def test_models_without_coefficients_hand_the_image_through(model: str) -> None:
    rectifier = Rectifier()
    rectifier.update(info((), model))
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert rectifier(image)[0] is image


def test_coefficients_that_leave_nothing_of_the_image_are_refused() -> None:
    rectifier = Rectifier("front")
    rectifier.update(info((1e30,) * 5))
    with pytest.raises(InputError, match=r"camera front: D of its calibration, \[1.e\+30.* beyond use"):
        rectifier(np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def test_a_region_outside_the_sensor_is_refused() -> None:
    rectifier = Rectifier("front")
    rectifier.update(info(roi=RegionOfInterest(x_offset=300, y_offset=0, width=400, height=300)))
    with pytest.raises(InputError, match=r"ends at \(700, 300\), outside the sensor of 640x480"):
        rectifier(np.zeros((300, 400, 3), np.uint8))


def test_distortion_of_a_binned_region() -> None:
    d = (-0.3, 0.1, 0.0, 0.0, 0.0)
    image, rays = dots(K, d, "plumb_bob")
    part = cv2.resize(image[40:440, 100:540], (220, 200), interpolation=cv2.INTER_AREA)
    rectifier = Rectifier()
    rectifier.update(
        info(d, roi=RegionOfInterest(x_offset=100, y_offset=40, width=440, height=400), binning_x=2, binning_y=2)
    )
    rectified, matrix = rectifier(part)
    expected = (matrix @ [*rays[12], 1])[:2]
    assert np.abs(blob(rectified, expected) - expected).max() < 0.7
    assert rectifier.image_size == (200, 220)


def test_an_image_far_larger_than_its_calibration_is_refused() -> None:
    rectifier = Rectifier("front")
    rectifier.update(info())
    with pytest.raises(InputError, match="3200x2400, more than 4 times the 640x480"):
        rectifier.prepare((2400, 3200))


def test_images_of_ever_other_sizes_do_not_fill_the_memory() -> None:
    rectifier = Rectifier(say=lambda _: None)
    rectifier.update(info((-0.3, 0.1, 0, 0, 0)))
    first = rectifier.prepare((HEIGHT, WIDTH))
    for smaller in range(1, CACHED_SIZES + 1):
        rectifier.prepare((HEIGHT - 3 * smaller, WIDTH - 4 * smaller))
    assert rectifier.prepare((HEIGHT, WIDTH)) is not first


@pytest.mark.parametrize(
    ("size", "words"),
    [((0, 0), "no width and height"), ((4_000_000_000, 4_000_000_000), "claims 4000000000x4000000000 pixels")],
)
def test_a_size_that_is_missing_or_absurd_is_refused(size: tuple[int, int], words: str) -> None:
    rectifier = Rectifier("front")
    rectifier.update(info(height=size[0], width=size[1]))
    with pytest.raises(
        InputError, match=f"camera front: its CameraInfo .*{words}|camera front: its CameraInfo {words}"
    ):
        _ = rectifier.image_size


def test_a_lens_of_a_file_is_as_good_as_a_message() -> None:
    d = (-0.3, 0.1, 0.001, 0.0, 0.0)
    image, _ = dots(K, d, "plumb_bob")
    from_message, from_file = Rectifier(), Rectifier()
    from_message.update(info(d))
    assert from_file.update(Lens(K, d, "plumb_bob", WIDTH, HEIGHT))
    assert not from_file.update(Lens(K, d, "plumb_bob", WIDTH, HEIGHT))
    for one, other in zip(from_message(image), from_file(image), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("equidistant", (1e30, 0, 0, 0)),
        ("equidistant", (0, 0, 0, -1e30)),
        ("equidistant", (-3.0, 0, 0, 0)),
        ("plumb_bob", (-1e30,) * 5),
        ("plumb_bob", (-5.0, 0, 0, 0, 0)),
        ("rational_polynomial", (0, 0, 0, 0, 0, -1e30, 0, 0)),
        ("rational_polynomial", (0,) * 12 + (1e30, 0)),
    ],
)
def test_a_distortion_that_turns_the_image_inside_out_is_refused(model: str, d: tuple[float, ...]) -> None:
    rectifier = Rectifier("front")
    rectifier.update(info(d, model))
    with pytest.raises(
        InputError, match=r"camera front: D of its calibration, .* bends the image beyond use"
    ) as caught:
        rectifier.prepare((HEIGHT, WIDTH))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("plumb_bob", (-0.4, 0.2, 0, 0, -0.05)),
        ("rational_polynomial", (2.5, 1.1, 0, 0, 0.05, 2.8, 1.6, 0.3)),
        ("equidistant", (-0.02, 0.004, -0.002, 0.0003)),
        ("equidistant", (0.3, -0.2, 0.05, -0.01)),
    ],
)
def test_lenses_of_wide_cameras_are_taken(model: str, d: tuple[float, ...]) -> None:
    rectifier = Rectifier("front")
    rectifier.update(info(d, model))
    assert rectifier.prepare((HEIGHT, WIDTH))[0][0, 0] > 0


def test_a_calibration_of_a_size_that_no_camera_has_is_refused() -> None:
    """Its K, scaled to the image, would be that of a camera that sees everything."""
    rectifier = Rectifier("front")
    rectifier.update(info(width=40000, height=30000))
    with pytest.raises(InputError, match="its CameraInfo claims 40000x30000 pixels"):
        rectifier.prepare((HEIGHT, WIDTH))


FISHEYE_D = (0.01, -0.002, 0.0, 0.0)
RATIONAL_D = (-0.3, 0.1, 0.001, -0.002, 0.01, 0.02, 0.01, 0.0)


def taken(d: tuple[float, ...], model: str, **more: bool) -> tuple[Rectifier, bool, np.ndarray]:
    """A rectifier that follows rays, whether it left an image as it was, and its K."""
    rectifier = Rectifier("front", fisheye="rays", **more)
    rectifier.update(info(d, model))
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    made, matrix = rectifier(image)
    return rectifier, np.array_equal(made, image), matrix


@pytest.mark.parametrize(
    ("d", "model", "kind"),
    [
        (FISHEYE_D, "equidistant", "equidistant"),
        (FISHEYE_D, "fisheye", "equidistant"),
        (RATIONAL_D, "rational_polynomial", "rational"),
    ],
)
def test_wide_lenses_are_left_as_they_are_where_rays_are_followed(d: tuple, model: str, kind: str) -> None:
    rectifier, untouched, matrix = taken(d, model)
    assert untouched
    np.testing.assert_array_equal(matrix, K)
    assert rectifier.model == CameraModel(kind, d)  # type: ignore[arg-type]


def test_an_ordinary_lens_is_straightened_also_where_rays_are_followed() -> None:
    rectifier, untouched, _ = taken((-0.3, 0.1, 0.001, -0.002, 0.0), "plumb_bob")
    assert not untouched
    assert rectifier.model == PINHOLE


def test_rectified_images_are_pinholes_whatever_d_says() -> None:
    rectifier, untouched, _ = taken(FISHEYE_D, "equidistant", rectified=True)
    assert untouched
    assert rectifier.model == PINHOLE


def test_the_k_of_a_lens_follows_the_size_of_its_images() -> None:
    rectifier = Rectifier("front", fisheye="rays")
    rectifier.update(info(FISHEYE_D, "equidistant"))
    np.testing.assert_allclose(rectifier.prepare((HEIGHT // 2, WIDTH // 2))[0][:2], K[:2] / 2)


def test_pixels_outside_the_image_circle_are_told_once() -> None:
    told: list[str] = []
    rectifier = Rectifier("front", say=told.append, fisheye="rays")
    rectifier.update(info((-0.25, 0.0, 0.0, 0.0), "equidistant"))  # the radius grows up to 66 degrees
    for size in ((HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2)):
        rectifier.prepare(size)
    (sentence,) = [text for text in told if "circle" in text]
    assert "66 degrees off the axis" in sentence
    assert "left out" in sentence


def test_a_lens_that_bends_beyond_use_is_refused_for_rays_too() -> None:
    rectifier = Rectifier("front", fisheye="rays")
    rectifier.update(info((-9.0, 0.0, 0.0, 0.0), "equidistant"))
    with pytest.raises(InputError, match="bends the image beyond use"):
        rectifier.prepare((HEIGHT, WIDTH))


def test_what_becomes_of_fisheyes_is_one_of_two() -> None:
    with pytest.raises(ConfigError, match="fisheye is 'flat', needs rays or rectify"):
        Rectifier("front", fisheye="flat")  # type: ignore[arg-type]
