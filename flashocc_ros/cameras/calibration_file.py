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

"""What ``calibration.yaml`` says of the cameras of a rig.

``calibration.yaml``::

    cameras:
      front:                                  # names in the order the network is given them
        K: [[1266.4, 0, 816.3], [0, 1266.4, 491.5], [0, 0, 1]]     # pixels
        D: [0, 0, 0, 0, 0]                    # optional: distortion (k1, k2, p1, p2, k3, ...), of the
        distortion_model: plumb_bob           # optional: model as in CameraInfo, e.g. equidistant for a fisheye
        width: 1600                           # optional: size of the pictures K is for; smaller ones scale it
        height: 900
        bit_depth: 12                         # optional: bits in use, of pictures of 16 bits that use fewer
        T_base_cam:                           # camera optical frame (z forward, x right) to base (x forward, z up)
          translation_xyz: [1.72, 0.0, 1.49]  # metres
          rotation_xyzw: [-0.5, 0.5, -0.5, 0.5]
        image: front.jpg                      # one set only: its picture,
        timestamp_us: 1533201470412460        # optional: when it was taken,
        T_map_base_at_image: {translation_xyz: [0, 0, 0], rotation_xyzw: [0, 0, 0, 1]}   # optional: vehicle pose then
    fisheye: rays                             # optional: lift wide lenses along their own rays; default rectify
    rate_hz: 10                               # optional: pictures without stamps were taken so many a second
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from scipy.spatial.transform import Rotation

from flashocc_ros import bounded_yaml
from flashocc_ros.cameras.images import check_bit_depth
from flashocc_ros.cameras.rectify import Fisheye, Lens
from flashocc_ros.cameras.transforms import UNIT_TOLERANCE
from flashocc_ros.config_errors import explain
from flashocc_ros.errors import ConfigError
from flashocc_ros.geometry.rigid import Quaternion

MAX_CALIBRATION_BYTES = 1 << 20


def _unit(rotation_xyzw: Quaternion) -> Quaternion:
    norm = math.hypot(*rotation_xyzw)
    if not abs(norm - 1) < UNIT_TOLERANCE:
        raise ValueError(f"a quaternion of length {norm:.3g}, which must be 1")
    return rotation_xyzw


class WrittenPose(BaseModel):
    """A translation in metres and a unit quaternion."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    translation_xyz: tuple[float, float, float]
    rotation_xyzw: Annotated[Quaternion, AfterValidator(_unit)]

    def matrix(self) -> npt.NDArray[np.float64]:
        """(4, 4)."""
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_quat(self.rotation_xyzw).as_matrix()
        pose[:3, 3] = self.translation_xyz
        return pose


_Row = tuple[float, float, float]


def _only_none(remark: object) -> object:
    """The example frames remark that their pictures have no distortion; this is no place for coefficients."""
    if not isinstance(remark, str) or not remark.startswith("none"):
        raise ValueError("may only say 'none ...'; write coefficients as D, with their distortion_model")
    return remark


class CalibratedCamera(BaseModel):
    """One entry of the file."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    K: tuple[_Row, _Row, _Row]
    D: list[float] = Field(default_factory=list, max_length=14)
    distortion_model: str = "plumb_bob"
    distortion: Annotated[str, BeforeValidator(_only_none)] = "none"
    width: int = Field(0, ge=0)
    height: int = Field(0, ge=0)
    bit_depth: Annotated[int, AfterValidator(check_bit_depth)] = 0
    T_base_cam: WrittenPose
    image: str | None = None
    timestamp_us: Annotated[int, Field(ge=0, le=np.iinfo(np.int64).max // 1000)] | None = None
    T_map_base_at_image: WrittenPose | None = None

    def lens(self) -> Lens:
        """What a `Rectifier` takes."""
        return Lens(self.K, self.D, self.distortion_model, self.width, self.height)


class WrittenCalibration(BaseModel):
    """The file: cameras by name, in its order, what becomes of wide lenses, and the rate of pictures without stamps."""

    model_config = ConfigDict(extra="ignore")

    cameras: dict[str, CalibratedCamera] = Field(min_length=1)
    fisheye: Fisheye = "rectify"
    rate_hz: float = Field(0.0, gt=0.0, le=1000.0)


def read_calibration(path: Path) -> WrittenCalibration:
    """What it says.

    Raises:
        ConfigError: it cannot be read, or holds something else.
    """
    try:
        loaded = bounded_yaml.read(path, MAX_CALIBRATION_BYTES)
    except OSError as error:
        raise ConfigError(
            f"calibration {path} cannot be read: {error.strerror}; a folder of pictures holds their calibration, a "
            "recording .mcap or .db3 files"
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"calibration {path} cannot be used: {error}; write plain YAML, a few lines per camera"
        ) from error
    try:
        return WrittenCalibration.model_validate(loaded)
    except ValidationError as error:
        first = error.errors()[0]
        if first["input"] is None:
            where = ".".join(str(part) for part in first["loc"]) or "top level"
            raise ConfigError(f"calibration {path}, {where}: it is still empty; fill it in") from error
        raise ConfigError(f"calibration {path}: {explain(error, WrittenCalibration)}") from error
