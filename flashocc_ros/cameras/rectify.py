"""Camera matrices from CameraInfo, and rectification of distorted images."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from flashocc_ros.errors import InputError

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo

Float64 = npt.NDArray[np.float64]

FISHEYE_MODELS = ("equidistant", "fisheye")
POLYNOMIAL_MODELS = ("plumb_bob", "rational_polynomial", "")
POLYNOMIAL_LENGTHS = (4, 5, 8, 12, 14)
ASPECT_TOLERANCE = 0.01


def camera_matrix(info: CameraInfo, image_size: tuple[int, int], camera: str = "camera") -> Float64:
    """K (3, 3) float64 for pixels of an image of ``image_size`` (height, width).

    ``info.k`` is for the full sensor of ``info.width`` x ``info.height``; a region of interest shifts it, binning and
    a driver that resized the image without telling scale it.

    Raises:
        InputError: K holds zeros or values that are not finite, or the image cannot be a scaled view of the sensor.
    """
    return sensor_to_image(info, image_size, camera) @ _intrinsics(info.k, camera)


def sensor_to_image(info: CameraInfo, image_size: tuple[int, int], camera: str = "camera") -> Float64:
    """(3, 3) affine map from pixels of the full sensor to pixels of the image: region of interest, binning, resizing.

    Scaling maps outer edges onto outer edges; as elsewhere in this package pixel coordinates scale without the half
    pixel shift, which is how the networks were trained.
    """
    height, width = image_size
    roi = info.roi
    roi_width, roi_height = roi.width or info.width or width, roi.height or info.height or height
    scale_x, scale_y = width / roi_width, height / roi_height
    if abs(scale_x / scale_y - 1) > ASPECT_TOLERANCE:
        raise InputError(
            f"camera {camera}: the image is {width}x{height} but its CameraInfo describes {roi_width}x{roi_height}, "
            "another aspect ratio; calibrate at the image's size or set the region of interest"
        )
    return np.array([[scale_x, 0, -roi.x_offset * scale_x], [0, scale_y, -roi.y_offset * scale_y], [0, 0, 1]])


def _intrinsics(k: npt.ArrayLike, camera: str) -> Float64:
    matrix = np.array(k, np.float64).reshape(3, 3)
    if not np.isfinite(matrix).all():
        raise InputError(f"camera {camera}: K of its CameraInfo holds a value that is not finite; calibrate the camera")
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise InputError(
            f"camera {camera}: K of its CameraInfo has focal lengths {matrix[0, 0]:g}, {matrix[1, 1]:g} px, which must "
            "be positive; zeros mean that the camera is not calibrated"
        )
    return matrix


class Rectifier:
    """Calibration of one camera: gives each image its camera matrix and removes lens distortion.

    Args:
        camera: its name, for messages.
        rectified: the images are rectified already, whatever D says (``image_rect`` of image_proc): P is their matrix.
        say: called once per finding a user should know, such as an image that is not of the calibrated size.
    """

    def __init__(
        self, camera: str = "camera", rectified: bool = False, say: Callable[[str], object] | None = None
    ) -> None:
        self.camera, self.rectified = camera, rectified
        self._say = say or logging.getLogger(__name__).warning
        self._info: CameraInfo | None = None
        self._numbers: tuple[object, ...] = ()
        self._cache: dict[tuple[int, int], tuple[Float64, tuple[npt.NDArray, npt.NDArray] | None]] = {}
        self._said_size = False

    @property
    def calibrated(self) -> bool:
        """True once a CameraInfo was taken."""
        return self._info is not None

    def update(self, info: CameraInfo) -> bool:
        """Takes a CameraInfo; True when it differs from the one before. Stamps do not count.

        Raises:
            InputError: as `camera_matrix`, or a distortion that is not known. The one before stays in force.
        """
        roi = info.roi
        numbers = (
            *(info.width, info.height, info.binning_x, info.binning_y),
            *(roi.x_offset, roi.y_offset, roi.width, roi.height),
            *(info.distortion_model, tuple(info.d), tuple(info.k), tuple(info.r), tuple(info.p)),
        )
        if numbers == self._numbers:
            return False
        _intrinsics(info.k, self.camera)
        self._check_distortion(info)
        self._info, self._numbers, self._cache = info, numbers, {}
        self._said_size = False
        return True

    def __call__(self, image: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], Float64]:
        """The image without distortion, uint8 (H, W, 3), and its K (3, 3) float64.

        Raises:
            InputError: no CameraInfo yet, or the image does not fit to it.
        """
        matrix, maps = self.prepare(image.shape[:2])
        if maps is None:
            return image, matrix
        return cv2.remap(image, *maps, cv2.INTER_LINEAR).astype(np.uint8, copy=False), matrix

    def prepare(self, size: tuple[int, int]) -> tuple[Float64, tuple[npt.NDArray, npt.NDArray] | None]:
        """K of the rectified image and the maps for ``cv2.remap`` (None without distortion), cached per image size."""
        if size not in self._cache:
            if self._info is None:
                raise InputError(f"camera {self.camera}: no CameraInfo was received; check its camera_info topic")
            self._cache[size] = self._build(self._info, size)
        return self._cache[size]

    def _build(self, info: CameraInfo, size: tuple[int, int]) -> tuple[Float64, tuple[npt.NDArray, npt.NDArray] | None]:
        to_image = sensor_to_image(info, size, self.camera)
        matrix = to_image @ _intrinsics(info.k, self.camera)
        self._tell_scale(info, size)
        projection = np.array(info.p, np.float64).reshape(3, 4)[:, :3]
        rotated = np.any(np.asarray(info.r)) and not np.allclose(np.reshape(info.r, (3, 3)), np.eye(3), atol=1e-6)
        usable = np.isfinite(projection).all() and projection[0, 0] > 0 and projection[1, 1] > 0 and not rotated
        if self.rectified:
            if rotated:
                raise InputError(
                    f"camera {self.camera}: its images are rectified with a rotation R, so tf does not describe them; "
                    "use the images before rectification"
                )
            return (to_image @ projection if usable else matrix), None
        distortion = np.asarray(info.d, np.float64)
        if not distortion.any():
            return matrix, None
        height, width = size
        if info.distortion_model in FISHEYE_MODELS:
            if usable:
                new_matrix: npt.NDArray = to_image @ projection
            else:
                new_matrix = cv2.fisheye.estimateNewCameraMatrixForUndistortRectify(
                    matrix, distortion[:4], (width, height), np.eye(3), balance=0.0
                )
            maps = cv2.fisheye.initUndistortRectifyMap(
                matrix, distortion[:4], np.eye(3), new_matrix, (width, height), cv2.CV_16SC2
            )
        else:
            if usable:
                new_matrix = to_image @ projection
            else:
                new_matrix = np.asarray(cv2.getOptimalNewCameraMatrix(matrix, distortion, (width, height), 0.0)[0])
            maps = cv2.initUndistortRectifyMap(matrix, distortion, np.eye(3), new_matrix, (width, height), cv2.CV_16SC2)
        return np.asarray(new_matrix, np.float64), (maps[0], maps[1])

    def _check_distortion(self, info: CameraInfo) -> None:
        distortion, model = np.asarray(info.d, np.float64), info.distortion_model
        if self.rectified or not distortion.any():
            return
        if not np.isfinite(distortion).all():
            raise InputError(
                f"camera {self.camera}: D of its CameraInfo holds a value that is not finite; calibrate it"
            )
        if model in FISHEYE_MODELS:
            if len(distortion) < 4:
                raise InputError(f"camera {self.camera}: {model} needs 4 coefficients in D, got {len(distortion)}")
        elif model not in POLYNOMIAL_MODELS or len(distortion) not in POLYNOMIAL_LENGTHS:
            raise InputError(
                f"camera {self.camera}: distortion model {model!r} with {len(distortion)} coefficients is not known; "
                "use plumb_bob, rational_polynomial or equidistant, or rectify the images before"
            )

    def _tell_scale(self, info: CameraInfo, size: tuple[int, int]) -> None:
        height, width = size
        roi = info.roi
        nominal_width = (roi.width or info.width or width) // (info.binning_x or 1)
        nominal_height = (roi.height or info.height or height) // (info.binning_y or 1)
        if (nominal_width, nominal_height) != (width, height) and not self._said_size:
            self._said_size = True
            self._say(
                f"camera {self.camera}: images are {width}x{height} but CameraInfo is for "
                f"{nominal_width}x{nominal_height}; its K is scaled"
            )
