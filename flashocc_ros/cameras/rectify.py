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

"""Camera matrices from CameraInfo, and rectification of distorted images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import cv2
import numpy as np
import numpy.typing as npt
from numpy.polynomial.polynomial import polyval

from flashocc_ros.camera_model import PINHOLE, CameraModel
from flashocc_ros.cameras.findings import Say, say_of
from flashocc_ros.cameras.headers import check_size
from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.geometry.camera_models import max_angle_rad, share_outside
from flashocc_ros.structures import why_no_intrinsic

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo

Float64 = npt.NDArray[np.float64]

Fisheye = Literal["rays", "rectify"]
"""What becomes of wide lenses: each pixel is lifted along its own ray, or pictures are straightened to pinholes."""
FISHEYE_MODELS = ("equidistant", "fisheye")
WIDE_MODELS = (*FISHEYE_MODELS, "rational_polynomial")
"""What `Fisheye` is about. A plumb_bob lens is straightened always: it loses next to nothing."""
POLYNOMIAL_MODELS = ("plumb_bob", "rational_polynomial", "pinhole", "none", "")
"""OpenCV's k1, k2, p1, p2, k3, ... k6, thin prism s1 ... s4 and tilt: the number of coefficients tells which."""
POLYNOMIAL_LENGTHS = (4, 5, 8, 12, 14)
ASPECT_TOLERANCE = 0.01
MAX_ENLARGEMENT = 4.0
FOCAL_RANGE = (0.2, 5.0)
CACHED_SIZES = 4


@dataclass(frozen=True)
class Region:
    """A region of interest, pixels; zeros mean the whole sensor."""

    x_offset: int = 0
    y_offset: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Lens:
    """The fields of a ``CameraInfo`` that count here, for a calibration that comes from a file. R and P are not known.

    Attributes:
        k: (3, 3) camera matrix, pixels.
        d: distortion coefficients of ``distortion_model``.
        width, height: size of the calibrated image, pixels; 0 is that of the image at hand.
    """

    k: Sequence[Sequence[float]]
    d: Sequence[float] = ()
    distortion_model: str = "plumb_bob"
    width: int = 0
    height: int = 0
    binning_x: int = 0
    binning_y: int = 0
    roi: Region = Region()
    r: Sequence[float] = field(default=(0.0,) * 9)
    p: Sequence[float] = field(default=(0.0,) * 12)


Calibration: TypeAlias = "CameraInfo | Lens"


def check_fisheye(value: str) -> Fisheye:
    """The value.

    Raises:
        ConfigError: it is another one.
    """
    for known in get_args(Fisheye):
        if value == known:
            return known
    raise ConfigError(f"fisheye is {value!r:.40}, needs {' or '.join(get_args(Fisheye))}")


def model_of(distortion_model: str, d: Sequence[float]) -> CameraModel:
    """The camera model of a CameraInfo; a lens of the polynomials without coefficients is a pinhole.

    Raises:
        InputError: the model is not known, or has not as many coefficients.
    """
    numbers, name = tuple(float(value) for value in d), distortion_model.lower()
    if name in FISHEYE_MODELS:
        return CameraModel("equidistant", numbers[:4] if any(numbers) else (0.0,) * 4)
    if name not in POLYNOMIAL_MODELS:
        raise InputError(f"distortion model {distortion_model!r:.40} is not known; use {', '.join(WIDE_MODELS)}")
    return CameraModel("rational", numbers) if any(numbers) else PINHOLE


def info_model(model: CameraModel) -> str:
    """What a CameraInfo calls a camera model."""
    if model.kind == "rational":
        return "plumb_bob" if len(model.coefficients) <= 5 else "rational_polynomial"
    return "equidistant" if model.kind == "equidistant" else "plumb_bob"


def sensor_to_image(info: Calibration, image_size: tuple[int, int], camera: str = "camera") -> Float64:
    """(3, 3) affine map from pixels of the full sensor to pixels of the image: region of interest, binning, resizing.

    Scaling maps outer edges onto outer edges; as elsewhere in this package pixel coordinates scale without the half
    pixel shift, which is how the networks were trained.
    """
    height, width = image_size
    roi = info.roi
    check_size(*_described_size(info), f"camera {camera}: its CameraInfo")  # K would be scaled to nothing
    if info.width and info.height:
        right, bottom = roi.x_offset + roi.width, roi.y_offset + roi.height
        if right > info.width or bottom > info.height:
            raise InputError(
                f"camera {camera}: the region of interest of its calibration ends at ({right}, {bottom}), outside the "
                f"sensor of {info.width}x{info.height}; correct one of them"
            )
    roi_width, roi_height = roi.width or info.width or width, roi.height or info.height or height
    scale_x, scale_y = width / roi_width, height / roi_height
    if abs(scale_x / scale_y - 1) > ASPECT_TOLERANCE:
        raise InputError(
            f"camera {camera}: the image is {width}x{height} but its calibration describes {roi_width}x{roi_height}, "
            "another aspect ratio; calibrate at the image's size or set the region of interest"
        )
    if scale_x > MAX_ENLARGEMENT:
        raise InputError(
            f"camera {camera}: the image is {width}x{height}, more than {MAX_ENLARGEMENT:g} times the "
            f"{roi_width}x{roi_height} its calibration describes; calibrate at the image's size"
        )
    return np.array([[scale_x, 0, -roi.x_offset * scale_x], [0, scale_y, -roi.y_offset * scale_y], [0, 0, 1]])


def _intrinsics(k: npt.ArrayLike, camera: str) -> Float64:
    matrix = np.array(k, np.float64).reshape(3, 3)
    if why := why_no_intrinsic(matrix):
        raise InputError(f"camera {camera}: {why}")
    return matrix


class Rectifier:
    """Calibration of one camera: gives each image its camera matrix and removes lens distortion.

    Args:
        camera: its name, for messages.
        rectified: the images are rectified already, whatever D says (``image_rect`` of image_proc): P is their matrix.
        say: called once per finding a user should know, such as an image that is not of the calibrated size, with a
            sentence that does not name the camera; default: a warning that does.
        fisheye: "rays" leaves images of `WIDE_MODELS` as they are; `model` then tells how they were taken.
    """

    def __init__(
        self, camera: str = "camera", rectified: bool = False, say: Say | None = None, fisheye: Fisheye = "rectify"
    ) -> None:
        self.camera, self.rectified, self._rays = camera, rectified, check_fisheye(fisheye) == "rays"
        self._say = say or say_of(camera)
        self._info: Calibration | None = None
        self._numbers: tuple[object, ...] = ()
        # by image size, of the calibration in force; a few sizes, the latest, as a stream has one
        self._cache: dict[tuple[int, int], tuple[Float64, tuple[npt.NDArray, npt.NDArray] | None]] = {}
        self._said_size = self._said_circle = False

    @property
    def calibrated(self) -> bool:
        """True once a CameraInfo was taken."""
        return self._info is not None

    @property
    def model(self) -> CameraModel:
        """Of the images that it gives."""
        info = self._calibration()
        if self.rectified or not self._rays or info.distortion_model.lower() not in WIDE_MODELS:
            return PINHOLE
        return model_of(info.distortion_model, info.d)

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) of the images that the calibration describes.

        Raises:
            InputError: it does not say, or says more than `headers.check_size` allows.
        """
        height, width = _described_size(self._calibration())
        if not height or not width:
            raise InputError(f"camera {self.camera}: its CameraInfo has no width and height; set them in its driver")
        check_size(height, width, f"camera {self.camera}: its CameraInfo")
        return height, width

    def update(self, info: Calibration) -> bool:
        """Takes a CameraInfo; True when it differs from the one before. Stamps do not count.

        Raises:
            InputError: K holds zeros or values that are not finite, or its distortion is not known. The one before
                stays in force.
        """
        roi = info.roi
        numbers: tuple[object, ...] = (
            *(info.width, info.height, info.binning_x, info.binning_y),
            *(roi.x_offset, roi.y_offset, roi.width, roi.height),
            *(info.distortion_model, tuple(info.d), tuple(np.ravel(info.k)), tuple(info.r), tuple(info.p)),
        )
        if numbers == self._numbers:
            return False
        _intrinsics(info.k, self.camera)
        self._check_distortion(info)
        self._info, self._numbers, self._cache = info, numbers, {}
        self._said_size = self._said_circle = False
        return True

    def __call__(self, image: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], Float64]:
        """The image without distortion, or as it is where rays are followed, uint8 (H, W, 3), and its K (3, 3) float64.

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
            built = self._build(self._calibration(), size)
            while len(self._cache) >= CACHED_SIZES:
                del self._cache[next(iter(self._cache))]
            self._cache[size] = built
        return self._cache[size]

    def lens(self, size: tuple[int, int]) -> Lens:
        """The calibration for images of this size (H, W), for a file: no region of interest, binning, R and P.

        Raises:
            InputError: no CameraInfo yet, or images of this size do not fit to it.
        """
        info, (height, width) = self._calibration(), size
        if self.rectified:
            return Lens(self.prepare(size)[0].tolist(), width=width, height=height)
        matrix = sensor_to_image(info, size, self.camera) @ _intrinsics(info.k, self.camera)
        return Lens(matrix.tolist(), tuple(map(float, info.d)), info.distortion_model, width, height)

    def _calibration(self) -> Calibration:
        if self._info is None:
            raise InputError(f"camera {self.camera}: no CameraInfo was received; check its camera_info topic")
        return self._info

    def _build(
        self, info: Calibration, size: tuple[int, int]
    ) -> tuple[Float64, tuple[npt.NDArray, npt.NDArray] | None]:
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
        if is_flat(info):
            return matrix, None
        distortion, fisheye = _coefficients(info)
        shape = (size[1], size[0])
        given = to_image @ projection if usable else None
        self._check_growth(matrix, distortion, shape, fisheye)
        if self.model != PINHOLE:
            self._tell_circle(matrix, size)
            return matrix, None
        if fisheye:
            new_matrix = _fisheye_view(matrix, distortion, shape) if given is None else given
            maps = cv2.fisheye.initUndistortRectifyMap(matrix, distortion, np.eye(3), new_matrix, shape, cv2.CV_16SC2)
        else:
            new_matrix = self._polynomial_view(matrix, distortion, shape) if given is None else given
            maps = cv2.initUndistortRectifyMap(matrix, distortion, np.eye(3), new_matrix, shape, cv2.CV_16SC2)
        return np.asarray(new_matrix, np.float64), (maps[0], maps[1])

    def _polynomial_view(self, matrix: Float64, distortion: Float64, shape: tuple[int, int]) -> Float64:
        """The camera matrix that shows as much as possible without black borders."""
        view = np.asarray(cv2.getOptimalNewCameraMatrix(matrix, distortion, shape, 0.0)[0], np.float64)
        if not _plausible(view, matrix):
            raise self._bent(distortion)
        return view

    def _check_growth(self, matrix: Float64, distortion: Float64, shape: tuple[int, int], fisheye: bool) -> None:
        """Refuses lenses whose image does not go on outwards, up to 30 degrees or the nearest edge of the picture.

        Radius over f is t (1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8) of a fisheye, t the angle to the axis (Kannala and
        Brandt), else r (1 + k1 r^2 + k2 r^4 + k3 r^6) / (1 + k4 r^2 + k5 r^4 + k6 r^6), r its tangent (OpenCV).
        """
        (fx, fy), (cx, cy) = np.diag(matrix)[:2], matrix[:2, 2]
        edge = min(cx / fx, (shape[0] - cx) / fx, cy / fy, (shape[1] - cy) / fy)
        angles = np.geomspace(1e-6, np.pi / 6, 1000)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if fisheye:
                ideal, growth = angles, polyval(angles**2, (1.0, *distortion))
            else:
                ideal, d = np.tan(angles), np.pad(distortion, (0, 14))
                growth = polyval(ideal**2, (1.0, d[0], d[1], d[4])) / polyval(ideal**2, (1.0, *d[5:8]))
            radii = ideal * growth
        within = int(np.argmax(~(radii < edge))) or len(radii)
        low, high = FOCAL_RANGE
        steady = (np.diff(radii[:within]) > 0).all() and growth[:within].min() >= low and growth[:within].max() <= high
        if not steady or (within < len(radii) and ideal[within] < low * edge):
            raise self._bent(distortion)

    def _bent(self, distortion: Float64) -> InputError:
        numbers = np.array2string(distortion, precision=3, max_line_width=1000)
        return InputError(
            f"camera {self.camera}: D of its calibration, {numbers}, bends the image beyond use; calibrate the camera"
        )

    def _check_distortion(self, info: Calibration) -> None:
        if self.rectified:
            return
        distortion, model = np.asarray(info.d, np.float64), info.distortion_model
        if not np.isfinite(distortion).all():
            raise InputError(
                f"camera {self.camera}: D of its calibration holds a value that is not finite; calibrate it"
            )
        if model.lower() in FISHEYE_MODELS:
            if distortion.any() and (len(distortion) < 4 or distortion[4:].any()):
                raise InputError(
                    f"camera {self.camera}: {model} needs 4 coefficients in D, got {len(distortion)}; calibrate it "
                    "again"
                )
        elif model.lower() not in POLYNOMIAL_MODELS or (distortion.any() and len(distortion) not in POLYNOMIAL_LENGTHS):
            raise InputError(
                f"camera {self.camera}: distortion model {model!r} with {len(distortion)} coefficients is not known; "
                "use plumb_bob, rational_polynomial or equidistant, or rectify the images before and say so "
                "(cameras.rectified of the node)"
            )

    def _tell_circle(self, matrix: Float64, size: tuple[int, int]) -> None:
        share = share_outside(self.model, matrix, size)
        if share > 0 and not self._said_circle:
            self._said_circle = True
            self._say(
                f"{share:.1%} of the picture lie outside the image circle, {np.rad2deg(max_angle_rad(self.model)):.0f} "
                "degrees off the axis, up to which its calibration holds; these pixels are left out"
            )

    def _tell_scale(self, info: Calibration, size: tuple[int, int]) -> None:
        height, width = size
        described_height, described_width = _described_size(info)
        described = (described_height or height, described_width or width)
        if described != size and not self._said_size:
            self._said_size = True
            self._say(
                f"images are {width}x{height} but the calibration is for {described[1]}x{described[0]}; K is scaled"
            )


def _described_size(info: Calibration) -> tuple[int, int]:
    """(H, W) of the region of interest after binning; 0 where the calibration does not say."""
    return (
        (info.roi.height or info.height) // (info.binning_y or 1),
        (info.roi.width or info.width) // (info.binning_x or 1),
    )


def is_flat(info: Calibration) -> bool:
    """Whether straight lines are straight in the images as they come."""
    distortion, fisheye = _coefficients(info)
    return not fisheye and not distortion.any()


def _coefficients(info: Calibration) -> tuple[Float64, bool]:
    """D and whether it is of a fisheye: without coefficients the ideal one, whose radius is f times the angle."""
    distortion = np.asarray(info.d, np.float64)
    if info.distortion_model.lower() not in FISHEYE_MODELS:
        return distortion, False
    return (distortion[:4] if len(distortion) >= 4 else np.zeros(4)), True


def _fisheye_view(matrix: Float64, distortion: Float64, shape: tuple[int, int]) -> Float64:
    """The camera matrix of a flat image that a fisheye image fills; its own where it reaches too far for one."""
    view: npt.NDArray = np.asarray(
        cv2.fisheye.estimateNewCameraMatrixForUndistortRectify(matrix, distortion, shape, np.eye(3), balance=0.0)
    )
    return view if _plausible(view, matrix) else matrix


def _plausible(view: Float64, matrix: Float64) -> bool:
    low, high = FOCAL_RANGE
    return bool(np.isfinite(view).all()) and all(low <= view[i, i] / matrix[i, i] <= high for i in (0, 1))
