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

"""People on foot and on two wheels."""

from __future__ import annotations

import numpy as np

from flashocc_ros.data.synthetic.materials import (
    BARK,
    CLOTH,
    GLOW,
    METAL,
    PAINT,
    RUBBER,
)
from flashocc_ros.data.synthetic.shape import DARK, STEEL, Rgb, Shape, paint
from flashocc_ros.data.synthetic.solids import BOX, CYLINDER, ELLIPSOID


def _cloth(rng: np.random.Generator) -> Rgb:
    base = [
        (0.02, 0.03, 0.06), (0.35, 0.05, 0.05), (0.06, 0.1, 0.3), (0.6, 0.58, 0.52), (0.08, 0.2, 0.1),
        (0.6, 0.42, 0.05), (0.2, 0.2, 0.22), (0.4, 0.12, 0.3), (0.75, 0.3, 0.05),
    ][rng.integers(9)]  # fmt: skip
    return base


def _skin(rng: np.random.Generator) -> Rgb:
    k = float(rng.uniform(0.3, 1.0))
    return 0.62 * k, 0.4 * k, 0.28 * k


def pedestrian(rng: np.random.Generator, walking: bool = True) -> Shape:
    tall = rng.uniform(0.9, 1.1) if rng.random() < 0.85 else rng.uniform(0.65, 0.8)
    jacket, trousers = _cloth(rng), _cloth(rng)
    shape = Shape("pedestrian", (0.65, 0.62, 1.75 * tall))
    stride = float(rng.integers(10, 24)) if walking else 4.0
    for side in (-1, 1):
        shape.add(CYLINDER, (0, 0.1 * side, 0.42 * tall), (0.17, 0.17, 0.86 * tall), trousers, CLOTH,
                  euler_deg=(0, stride * side, 0))  # fmt: skip
        shape.add(CYLINDER, (0, 0.26 * side, 1.12 * tall), (0.12, 0.12, 0.62 * tall), jacket, CLOTH,
                  euler_deg=(0, -stride * side, 0))  # fmt: skip
    shape.add(BOX, (0, 0, 1.12 * tall), (0.26, 0.42, 0.66 * tall), jacket, CLOTH, (-0.05, -0.12))
    shape.ball((0.02, 0, 1.6 * tall), (0.23, 0.21, 0.29), _skin(rng), CLOTH)
    shape.ball(
        (-0.02, 0, 1.66 * tall), (0.24, 0.23, 0.22), (0.04, 0.03, 0.02) if rng.random() < 0.8 else _cloth(rng), CLOTH
    )
    if rng.random() < 0.3:
        shape.box((-0.2, 0, 1.18 * tall), (0.2, 0.32, 0.45 * tall), _cloth(rng), material=CLOTH)
    return shape


def _rider(shape: Shape, rng: np.random.Generator, seat: float, lean_deg: float) -> None:
    jacket, trousers = _cloth(rng), _cloth(rng)
    shape.add(ELLIPSOID, (-0.05, 0, seat + 0.32), (0.36, 0.46, 0.75), jacket, CLOTH, euler_deg=(0, lean_deg, 0))
    shape.ball((0.12, 0, seat + 0.78), (0.26, 0.24, 0.3), _skin(rng) if rng.random() < 0.4 else _cloth(rng), CLOTH)
    for y in (-0.14, 0.14):
        shape.add(CYLINDER, (0.1, y, seat - 0.22), (0.16, 0.16, 0.75), trousers, CLOTH, euler_deg=(0, -25, 0))
        shape.add(CYLINDER, (0.25, y * 1.5, seat + 0.35), (0.11, 0.11, 0.6), jacket, CLOTH, euler_deg=(0, 62, 0))


def bicycle(rng: np.random.Generator, rider: bool = False) -> Shape:
    color = paint(rng)
    shape = Shape("bicycle", (1.75, 0.6, 1.75 if rider else 1.1))
    for x in (-0.52, 0.52):
        shape.wheel(x, 0, 0.35, 0.06)
        shape.wheel(x, 0, 0.27, 0.065, (0.4, 0.4, 0.42))
    shape.box((-0.02, 0, 0.62), (0.95, 0.06, 0.07), color, euler_deg=(0, -8, 0))
    shape.box((-0.05, 0, 0.5), (0.8, 0.05, 0.06), color, euler_deg=(0, -32, 0))
    shape.box((-0.2, 0, 0.7), (0.06, 0.06, 0.55), color, euler_deg=(0, -15, 0))
    shape.box((0.46, 0, 0.72), (0.06, 0.06, 0.75), color, euler_deg=(0, -15, 0))
    shape.box((0.38, 0, 1.05), (0.07, 0.56, 0.06), DARK, material=RUBBER)
    shape.box((-0.27, 0, 0.98), (0.28, 0.16, 0.07), DARK, material=RUBBER)
    if rider:
        _rider(shape, rng, 1.0, 22)
    elif rng.random() < 0.4:
        shape.box((0.6, 0, 0.9), (0.35, 0.4, 0.28), (0.35, 0.25, 0.12), material=BARK)
    return shape


def motorcycle(rng: np.random.Generator, rider: bool = False) -> Shape:
    color = paint(rng)
    shape = Shape("motorcycle", (2.1, 0.8, 1.75 if rider else 1.25))
    for x in (-0.68, 0.7):
        shape.wheel(x, 0, 0.33, 0.18)
        shape.wheel(x, 0, 0.2, 0.2, (0.45, 0.45, 0.45))
    shape.box((0.0, 0, 0.5), (0.75, 0.36, 0.42), STEEL, material=METAL)
    shape.ball((0.22, 0, 0.84), (0.7, 0.42, 0.4), color, PAINT)
    shape.box((-0.45, 0, 0.82), (0.8, 0.34, 0.14), DARK, material=RUBBER)
    shape.box((-0.75, 0, 0.72), (0.4, 0.3, 0.22), color)
    shape.box((0.62, 0, 0.75), (0.1, 0.22, 0.75), STEEL, material=METAL, euler_deg=(0, -24, 0))
    shape.box((0.48, 0, 1.12), (0.08, 0.76, 0.07), DARK, material=RUBBER)
    shape.ball((0.68, 0, 0.98), (0.22, 0.26, 0.24), (1.0, 0.95, 0.8), GLOW)
    shape.box((-0.96, 0, 0.8), (0.05, 0.18, 0.1), (0.9, 0.03, 0.02), material=GLOW)
    if rider:
        _rider(shape, rng, 0.9, 12)
    return shape
