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

"""How a lens maps directions to pixels, as data; ``geometry.camera_models`` computes with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from flashocc_ros.errors import InputError

Kind = Literal["pinhole", "equidistant", "rational"]
COEFFICIENTS: dict[str, tuple[int, ...]] = {"pinhole": (0,), "equidistant": (4,), "rational": (4, 5, 8, 12, 14)}


@dataclass(frozen=True)
class CameraModel:
    """Of one camera, beside its K.

    Attributes:
        kind: "pinhole"; "equidistant", the fisheye of Kannala and Brandt (2006): a direction at the angle t to the
            optical axis has the radius t (1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8) in focal lengths, and K holds pixels
            per radian; or "rational", OpenCV's polynomials in the tangent of that angle.
        coefficients: none; k1 ... k4; or OpenCV's k1, k2, p1, p2, k3, k4, k5, k6, s1 ... s4, tx, ty, the first 4, 5,
            8, 12 or all 14 of them.

    Raises:
        InputError: another kind or number of coefficients, or one that is not finite.
    """

    kind: Kind = "pinhole"
    coefficients: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError(f"camera model {self.kind!r:.40} is not known; use {', '.join(get_args(Kind))}")
        try:
            numbers = tuple(float(value) for value in self.coefficients)
        except (TypeError, ValueError) as error:
            raise InputError(f"coefficients of a camera model are {self.coefficients!r:.60}, needs numbers") from error
        if len(numbers) not in COEFFICIENTS[self.kind]:
            needed = " or ".join(map(str, COEFFICIENTS[self.kind]))
            raise InputError(f"{len(numbers)} coefficients of a camera model, {self.kind} has {needed}")
        if not all(map(math.isfinite, numbers)):
            raise InputError("a coefficient of a camera model is not finite; calibrate the camera again")
        object.__setattr__(self, "coefficients", numbers)

    @property
    def along_ray(self) -> bool:
        """Whether depth is the distance along the ray; else it is z, along the optical axis, as published.

        An equidistant camera sees beyond 90 degrees, where z has no meaning.
        """
        return self.kind == "equidistant"


PINHOLE = CameraModel()
