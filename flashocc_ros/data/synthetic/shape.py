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

"""How one thing is put together from solids.

Thing frame: origin on the ground below the middle, x forward, y left, z up, metres.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.spatial.transform import Rotation

from flashocc_ros.data.synthetic.materials import PAINT, RUBBER
from flashocc_ros.data.synthetic.solids import BOX, CYLINDER, ELLIPSOID
from flashocc_ros.labels import CLASS_NAMES

Rgb = tuple[float, float, float]


@lru_cache(maxsize=1024)
def _rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> np.ndarray:
    """thing_from_solid, (3, 3)."""
    if yaw_deg == pitch_deg == roll_deg == 0:
        return np.eye(3)
    return Rotation.from_euler("ZYX", (yaw_deg, pitch_deg, roll_deg), degrees=True).as_matrix()


DARK: Rgb = (0.03, 0.03, 0.035)
STEEL: Rgb = (0.32, 0.33, 0.35)


@dataclass
class Shape:
    """Solids of one thing; ``size`` is its box (length, width, height) in metres."""

    name: str
    size: tuple[float, float, float]
    solids: list[tuple[int, list[float], list[float], list[float], np.ndarray, Rgb, int]] = field(default_factory=list)

    @property
    def label(self) -> int:
        return CLASS_NAMES.index(self.name)

    def add(
        self,
        kind: int,
        center: tuple[float, float, float],
        size: tuple[float, float, float],
        color: Rgb,
        material: int,
        taper: tuple[float, float] = (0.0, 0.0),
        euler_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        """Append a solid: centre and full size in metres, rotation as yaw, pitch, roll."""
        rotation = _rotation(*(float(a) for a in euler_deg))
        self.solids.append((kind, list(center), [0.5 * v for v in size], list(taper), rotation, color, material))

    def box(
        self, center: tuple[float, float, float], size: tuple[float, float, float], color: Rgb, **kw: object
    ) -> None:
        self.add(BOX, center, size, color, int(kw.pop("material", PAINT)), **kw)  # type: ignore[arg-type, call-overload]

    def ball(self, center: tuple[float, float, float], size: tuple[float, float, float], color: Rgb, m: int) -> None:
        self.add(ELLIPSOID, center, size, color, m)

    def post(
        self, x: float, y: float, low: float, high: float, radius: float, color: Rgb, m: int, k: float = 0
    ) -> None:
        """A vertical cylinder that loses the share ``k`` of its radius to the top."""
        self.add(CYLINDER, (x, y, 0.5 * (low + high)), (2 * radius, 2 * radius, high - low), color, m, (k, k))

    def wheel(self, x: float, y: float, radius: float, width: float, color: Rgb = DARK) -> None:
        self.add(CYLINDER, (x, y, radius), (2 * radius, 2 * radius, width), color, RUBBER, euler_deg=(0, 0, 90))


def paint(rng: np.random.Generator) -> Rgb:
    """A colour that vehicles are sold in."""
    base = [
        (0.75, 0.75, 0.75), (0.03, 0.03, 0.04), (0.28, 0.29, 0.31), (0.5, 0.04, 0.03), (0.03, 0.08, 0.35),
        (0.45, 0.42, 0.36), (0.02, 0.16, 0.08), (0.12, 0.13, 0.15), (0.55, 0.55, 0.58), (0.65, 0.35, 0.03),
    ][rng.integers(10)]  # fmt: skip
    r, g, b = (float(np.clip(c * rng.uniform(0.8, 1.2), 0.01, 0.9)) for c in base)
    return r, g, b
