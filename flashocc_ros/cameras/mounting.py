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

"""How one camera stands on its vehicle, where its name says that it looks, and what is implausible about the two."""

from __future__ import annotations

import math
import re

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

MAX_ELEVATION_DEG = 60.0
"""Of an optical axis. Parking cameras look down by up to 50 degrees, none at the ground below itself."""
MAX_ROLL_DEG = 30.0
"""Of a picture against the horizon; the networks learned from upright ones."""
MIN_HEIGHT_M, MAX_HEIGHT_M = -0.5, 5.0
"""Above base_link, which may be at the height of an axle: half a metre above the ground of a truck."""
MAX_REACH_M = 15.0
"""From base_link along the ground, and between two cameras; a truck with its trailer has 12."""
MAX_NAME_ERROR_DEG = 60.0
"""Of the yaw against the one the name tells: front left is anything from 15 degrees right of ahead to 105 left."""

STEREO_DEG = 20.0
"""Between the axes of a stereo pair, which are parallel or meet ahead."""

_DIRECTIONS = {"front": 0, "forward": 0, "left": 90, "back": 180, "rear": 180, "right": -90}
_WORD = re.compile("|".join(_DIRECTIONS))
_SIDES = re.compile("left|right")
_WORDS = re.compile(f"(?:{_WORD.pattern})+")


class View:
    """Where one camera stands and looks.

    Attributes:
        max_elevation_deg: further up or down is implausible.
        elevation_deg: of the optical axis above the horizon.
        yaw_deg: of the optical axis, 0 ahead, 90 left.
        roll_deg: by which the camera is turned clockwise against the horizon.
        expected_deg: the yaw that the name tells, None when it tells none.
    """

    def __init__(self, name: str, pose: Float64, max_elevation_deg: float = MAX_ELEVATION_DEG) -> None:
        self.name, self.pose, self.max_elevation_deg = name, pose, max_elevation_deg
        axis, up = pose[:3, 2], pose[2, :3]
        self.elevation_deg = math.degrees(math.asin(float(np.clip(axis[2], -1, 1))))
        self.yaw_deg = math.degrees(math.atan2(axis[1], axis[0]))
        self.roll_deg = math.degrees(math.atan2(-up[0], -up[1]))
        self.height_m = float(pose[2, 3])
        self.reach_m = float(np.hypot(*pose[:2, 3]))
        self.expected_deg = named_direction_deg(name)

    @property
    def steep(self) -> bool:
        return abs(self.elevation_deg) > self.max_elevation_deg

    def at(self, pose: Float64) -> View:
        """The same camera elsewhere."""
        return View(self.name, pose, self.max_elevation_deg)

    def name_error_deg(self, other: View) -> float:
        """How far the axis of ``other`` is off the direction that this name tells; 0 when it tells none."""
        if self.expected_deg is None:
            return 0.0
        return abs((other.yaw_deg - self.expected_deg + 180) % 360 - 180)

    def is_stereo_with(self, other: View) -> bool:
        """Left and right of one pair that looks the same way: there the names tell places."""
        same = _SIDES.sub("", self.name.lower()) == _SIDES.sub("", other.name.lower())
        return same and float(self.pose[:3, 2] @ other.pose[:3, 2]) > math.cos(math.radians(STEREO_DEG))

    def complaints(self) -> dict[str, str]:
        """What is implausible, by cause; empty for a good camera."""
        found = {}
        if self.steep:
            side = "up" if self.elevation_deg > 0 else "down"
            found["axis"] = f"looks {abs(self.elevation_deg):.0f} degrees {side}, limit {self.max_elevation_deg:.0f}"
        elif abs(self.roll_deg) > MAX_ROLL_DEG:
            side = "clockwise" if self.roll_deg > 0 else "counterclockwise"
            found["roll"] = f"is rolled by {abs(self.roll_deg):.0f} degrees {side}, limit {MAX_ROLL_DEG:.0f}"
        if not self.steep and self.name_error_deg(self) > MAX_NAME_ERROR_DEG:
            found["direction"] = (
                f"looks {compass(self.yaw_deg)}, {self.name_error_deg(self):.0f} degrees off its name, limit "
                f"{MAX_NAME_ERROR_DEG:.0f}"
            )
        if self.height_m > MAX_HEIGHT_M:
            found["height"] = f"stands {self.height_m:.4g} m above base_link, limit {MAX_HEIGHT_M:g}"
        elif self.height_m < MIN_HEIGHT_M:
            found["height"] = f"stands {-self.height_m:.4g} m below base_link, limit {-MIN_HEIGHT_M:g}"
        if self.reach_m > MAX_REACH_M:
            found["distance"] = f"stands {self.reach_m:.4g} m beside base_link, limit {MAX_REACH_M:g}"
        return found


def named_direction_deg(name: str) -> float | None:
    """Yaw in degrees that a name tells, as CAM_FRONT_LEFT, rearRight or left_camera do; None when it tells none."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    tokens = re.findall("[a-z]+", spaced.lower())
    words = {w for token in tokens if _WORDS.fullmatch(token) for w in _WORD.findall(token)}
    angles = [math.radians(_DIRECTIONS[word]) for word in words]
    x, y = sum(map(math.cos, angles)), sum(map(math.sin, angles))
    return None if math.hypot(x, y) < 0.5 else math.degrees(math.atan2(y, x))


def compass(yaw_deg: float) -> str:
    """The side a yaw points to, for people."""
    sides = ("ahead", "ahead left", "left", "back left", "back", "back right", "right", "ahead right")
    return sides[round(yaw_deg / 45) % 8]
