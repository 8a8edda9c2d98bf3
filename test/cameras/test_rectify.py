"""Camera matrices follow region, binning and size; distortion is removed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from flashocc_ros.cameras.images import Rectifier, camera_matrix
from flashocc_ros.errors import InputError

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
    assert said == ["camera front: images are 320x240 but CameraInfo is for 640x480; its K is scaled"]


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
    [(0, float("nan"), "not finite"), (4, float("inf"), "not finite"), (0, 0.0, "not calibrated"), (4, -1.0, "-1")],
)
def test_an_impossible_k_is_refused(index: int, value: float, words: str) -> None:
    bad = info()
    bad.k[index] = value
    rectifier = Rectifier("front")
    rectifier.update(info())
    with pytest.raises(InputError, match=f"camera front: .*{words}"):
        rectifier.update(bad)
    with pytest.raises(InputError, match=words):
        camera_matrix(bad, (HEIGHT, WIDTH), "front")
    np.testing.assert_array_equal(rectifier(np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1], K)  # the good one stays


def test_an_image_of_another_shape_is_refused() -> None:
    rectifier = Rectifier("front")
    rectifier.update(info())
    with pytest.raises(InputError, match="camera front: the image is 640x640 but its CameraInfo describes 640x480"):
        rectifier(np.zeros((640, 640, 3), np.uint8))


@pytest.mark.parametrize(
    ("d", "model", "words"),
    [
        ((0.1, 0.2), "plumb_bob", "2 coefficients"),
        ((0.1,) * 5, "division", "'division'"),
        ((0.1,), "equidistant", "needs 4"),
        ((float("nan"),) * 5, "plumb_bob", "D of its CameraInfo"),
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
